"""Looks at single files without a study: the contract is `docs/inspect.md`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gaugenn.apps.walk import open_package
from gaugenn.content import Content, open_file
from gaugenn.errors import GaugennError
from gaugenn.formats import identify
from gaugenn.pipeline.analyse import examine
from gaugenn.pipeline.scan import Candidate, candidates, is_package, lone_candidate
from gaugenn.records import FileKind, LayerRecord, ModelRecord, PackageKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a file is. `as_json` gives the documented object.

    Attributes:
        path: as given, or the member's path inside its package.
        sha256: of the file; None when its bytes could not be had.
        size_bytes: of the file; None when it could not be opened.
        kind: see `FileKind`.
        format: a reader's name, or None.
        record: the model's numbers; None for what was not read as a model.
        layers: the model's nodes.
        models: for a package, its members that are models or could be.
        error: why it is not a model, or None.
        wrapping: what was around the model, see `AppFile`.
    """

    path: str
    sha256: str | None
    size_bytes: int | None
    kind: FileKind
    format: str | None = None
    record: ModelRecord | None = None
    layers: tuple[LayerRecord, ...] = ()
    models: "tuple[Inspection, ...] | None" = None
    error: str | None = None
    wrapping: str | None = None

    @property
    def operators(self) -> dict[str, int]:
        """Operator as the file names it -> count, most frequent first."""
        return dict(Counter(layer.source_operator for layer in self.layers).most_common())

    @property
    def layer_classes(self) -> dict[str, int]:
        """Kind of work -> nodes that do it, most frequent first."""
        return dict(Counter(layer.layer_class.value for layer in self.layers).most_common())

    def as_json(self, *, layers: bool = False) -> dict[str, object]:
        """The object of `docs/inspect.md`, ready for `json.dumps`.

        Args:
            layers: with one object a node.
        """
        record = self.record
        value: dict[str, object] = {
            "path": self.path,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "format": self.format,
            "kind": self.kind.value,
            "wrapping": self.wrapping,
            "graphs": record.graphs if record else None,
            "nodes": record.nodes if record else None,
            "operators": self.operators,
            "parameters": record.parameters if record else None,
            "macs": record.macs if record else None,
            "flops": record.flops if record else None,
            "bytes_moved": record.bytes_moved if record else None,
            "arithmetic_intensity": record.arithmetic_intensity if record else None,
            "inputs": _interface(record, "inputs"),
            "outputs": _interface(record, "outputs"),
            "modality": record.modality.value if record else None,
            "task": record.task.value if record else None,
            "family": record.family if record else None,
            "task_confidence": record.task_confidence if record else None,
            "task_evidence": list(record.task_evidence) if record else [],
            "layer_classes": self.layer_classes,
            "quantization": record.quantization.value if record and record.quantization else None,
            "weight_elements": {each.dtype: each.elements for each in record.weight_elements}
            if record
            else {},
            "weights_examined": record.weights_examined if record else None,
            "zero_weights": record.zero_weights if record else None,
            "near_zero_weights": record.near_zero_weights if record else None,
            "tensors_examined": record.tensors_examined if record else None,
            "clustered_tensors": record.clustered_tensors if record else None,
            "architecture_sha256": record.architecture_sha256 if record else None,
            "weights_sha256": record.weights_sha256 if record else None,
            "uncounted_nodes": record.uncounted_nodes if record else None,
            "assumed_dimensions": record.assumed_dimensions if record else None,
            "notes": list(record.notes) if record else [],
            "error": self.error,
        }
        if layers:
            value["layers"] = [_layer(layer) for layer in self.layers]
        if self.models is not None:
            value["models"] = [model.as_json(layers=layers) for model in self.models]
        return value


def _layer(layer: LayerRecord) -> dict[str, object]:
    shape = layer.output_shape
    return {
        "graph": layer.graph,
        "name": layer.name,
        "operator": layer.operator,
        "source_operator": layer.source_operator,
        "class": layer.layer_class.value,
        "output_shape": None if shape is None else list(shape),
        "macs": layer.macs,
        "elementwise_operations": layer.elementwise_operations,
        "bytes_moved": layer.bytes_moved,
        "arithmetic_intensity": layer.arithmetic_intensity,
        "parameters": layer.parameters,
        "weights_bytes": layer.weights_bytes,
        "weights_sha256": layer.weights_sha256,
    }


def inspect(paths: Iterable[Path | str] | Path | str) -> Iterator[Inspection]:
    """One inspection a path, in order; a path that cannot be read is an inspection with an error."""
    for path in (paths,) if isinstance(paths, str | Path) else paths:
        try:
            yield inspect_file(Path(path))
        except (OSError, GaugennError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if isinstance(error, IsADirectoryError):
                text = "it is a folder; look into folders with: gaugenn scan"
            yield _unread(path, f"cannot be read: {text}")
        except Exception as error:  # noqa: BLE001 - the item's door: one file never stops the rest
            yield _unread(path, f"a bug of gaugenn, please report it: {error!r}")


def _unread(path: Path | str, error: str) -> Inspection:
    return Inspection(
        path=str(path), sha256=None, size_bytes=None, kind=FileKind.UNKNOWN, error=error
    )


def inspect_file(path: Path) -> Inspection:
    """What one file is, and if it is a package, what every model in it is.

    Raises:
        OSError: the file cannot be opened.
    """
    content = open_file(path)
    if not is_package(content):
        lone = lone_candidate(content)
        if lone is not None:
            return _inspect_candidate(lone)
        return _plain(content, FileKind.UNKNOWN, identify(content).reason)
    package = open_package(content)
    if package.kind is PackageKind.NONE:
        return _plain(content, FileKind.UNKNOWN, package.error)
    return Inspection(
        path=content.name,
        sha256=content.sha256(),
        size_bytes=content.size_bytes,
        kind=FileKind.PACKAGE,
        models=tuple(_inspect_candidate(candidate) for candidate in candidates(package)),
        error=package.error,
    )


def _plain(content: Content, kind: FileKind, error: str | None) -> Inspection:
    return Inspection(
        path=content.name,
        sha256=content.sha256(),
        size_bytes=content.size_bytes,
        kind=kind,
        error=error,
    )


def _inspect_candidate(candidate: Candidate) -> Inspection:
    content = candidate.content
    record: ModelRecord | None = None
    layers: tuple[LayerRecord, ...] = ()
    kind, found_format, error = candidate.kind, candidate.format, candidate.error
    shipped = candidate.shipped or content
    sha256 = None if shipped is None else shipped.sha256()
    if kind is FileKind.MODEL and content is not None and sha256 is not None:
        identity = sha256 if candidate.shipped is None else content.sha256()
        record, layers = examine(
            content, identity, content.size_bytes, found_format, (candidate.path,)
        )
        kind, found_format, error = record.kind, record.format, record.error
    read = record is not None and record.kind in (FileKind.MODEL, FileKind.WEIGHTS)
    return Inspection(
        path=candidate.path,
        sha256=sha256,
        size_bytes=candidate.size_bytes,
        kind=kind,
        format=found_format,
        record=record if read else None,
        layers=layers,
        error=error,
        wrapping=candidate.wrapping,
    )


def _interface(record: ModelRecord | None, side: str) -> list[dict[str, object]]:
    tensors = () if record is None else record.inputs if side == "inputs" else record.outputs
    return [
        {
            "name": tensor.name,
            "dtype": tensor.dtype,
            "shape": None
            if tensor.shape is None
            else [int(size) if size.isdigit() else size for size in tensor.shape],
        }
        for tensor in tensors
    ]
