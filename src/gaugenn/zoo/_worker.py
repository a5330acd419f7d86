"""One export or one comparison, in a process of its own inside the exporters' environment.

    python -I _worker.py ORDER.json

The order is that of `_order.Order`; the answer is written as `answer.json` into the order's folder.
An export from the definition also leaves the reference: the seeded sample and what the definition
makes of it. An export from another format finds it there and does without PyTorch.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

ANSWER = "answer.json"


def _make_gaugenn_importable() -> None:
    """Registers the package of this file, and nothing else of the folder that it lies in."""
    folder = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location(
        "gaugenn", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no package")
    package: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules["gaugenn"] = package
    spec.loader.exec_module(package)


def export(order: Any) -> dict[str, object]:  # noqa: ANN401
    """Exports the definition, or the files of another format."""
    from gaugenn import plugins
    from gaugenn.zoo import _seeding
    from gaugenn.zoo._order import Variant
    from gaugenn.zoo.exporters import Export, Exporter

    folder = Path(order.folder) / "files"
    exporter = plugins.load("gaugenn.zoo.exporters", order.format, Exporter)()  # type: ignore[type-abstract]
    samples = [
        _seeding.sample(order.inputs, order.seed, number)
        for number in range(1 + _seeding.CALIBRATION_SAMPLES)
    ]
    module = None
    if exporter.source is None or not Path(order.reference).is_file():
        module = _filled(order, samples[0])
    export_order = Export(
        module=module,
        inputs=order.inputs,
        sample=samples[0],
        calibration=samples[1:],
        variant=Variant(order.variant),
        sources=tuple(Path(path) for path in order.sources),
        folder=folder,
        stem=f"{order.model}_{order.variant}",
    )
    if module is None:
        files = exporter.export(export_order)
    else:
        with importlib.import_module("torch").no_grad():
            files = exporter.export(export_order)
    for path in folder.iterdir():
        if path not in files:
            path.unlink()
    counted = None if module is None else sum(int(p.numel()) for p in module.parameters())
    return {"files": [path.name for path in files], "parameters": counted}


def _filled(order: Any, values: Any) -> Any:  # noqa: ANN401
    """The definition with its weights; what it makes of the values is written down."""
    import numpy as np

    from gaugenn.zoo import _seeding, _weights

    torch = importlib.import_module("torch")
    torch.set_num_threads(2)
    definitions = importlib.import_module(f"gaugenn.zoo.definitions.{order.definition}")
    module = getattr(definitions, order.model)().eval()
    if order.weights:
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        _weights.require_fitting(Path(order.weights), shapes)
        _seeding.load_weights(module, Path(order.weights))
    else:
        _seeding.seed_weights(module, values, order.seed)
    module.requires_grad_(False)
    with torch.no_grad():
        found = module(*(torch.from_numpy(value) for value in values))
    outputs = [t.numpy() for t in (found if isinstance(found, tuple) else (found,))]
    named: dict[str, Any] = {f"input{i}": value for i, value in enumerate(values)}
    named |= {f"output{i}": value for i, value in enumerate(outputs)}
    whole = Path(order.folder) / "reference.npz"
    np.savez(whole, **named)
    whole.replace(order.reference)
    return module


def compare(order: Any) -> dict[str, object]:  # noqa: ANN401
    """Runs the exported file with a library."""
    import numpy as np

    from gaugenn import plugins
    from gaugenn.zoo._agreement import compare as closeness
    from gaugenn.zoo.runtimes import Runtime

    runtime = plugins.load("gaugenn.zoo.runtimes", order.runtime, Runtime)()  # type: ignore[type-abstract]
    with np.load(order.reference, allow_pickle=False) as arrays:
        values = _numbered(arrays, "input")
        outputs = _numbered(arrays, "output")
    found = runtime.run(order.files, order.inputs, values)
    return {
        "version": importlib.metadata.version(runtime.distribution),
        **asdict(closeness(outputs, found)),
    }


def _numbered(arrays: Any, prefix: str) -> list[Any]:  # noqa: ANN401
    count = sum(1 for name in arrays.files if name.startswith(prefix))
    return [arrays[f"{prefix}{i}"] for i in range(count)]


def explain(error: Exception, order: Any) -> str:  # noqa: ANN401
    """An error in one line, without the folders of this machine."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for path in (order.folder, *order.sources, *order.files):
        text = text.replace(str(Path(path).parent), "").replace(path, "")
    return text[:1000]


def main(arguments: Sequence[str]) -> None:
    """Runs the order in the file named last."""
    _make_gaugenn_importable()
    from gaugenn.engines._worker import die_with_parent
    from gaugenn.zoo._order import read_order

    die_with_parent()
    order = read_order(json.loads(Path(arguments[-1]).read_text()))
    try:
        answer = export(order) if order.action == "export" else compare(order)
    except Exception as error:  # noqa: BLE001 - this program's door: a converter's error is an answer
        traceback.print_exc()
        answer = {"error": explain(error, order)}
    (Path(order.folder) / ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv)
