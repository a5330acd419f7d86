"""Writes the tables of `docs/formats.md` from the readers, the engines and what the samples show.

Usage, from the repository's root: `python -m tests.formats.document`
"""

import re
from pathlib import Path

from gaugenn import plugins
from gaugenn.engines import Engine
from gaugenn.formats import _candidates, readers
from gaugenn.graph import Model, TensorKind
from tests.formats.samples import all_samples

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
COMMAND = "python -m tests.formats.document"
_TABLES = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    """The whole page with its tables as they should be."""
    tables = {
        "reader": _reader_table(),
        "suffix": _suffix_table(),
        "extension": _extension_table(),
    }
    return _TABLES.sub(lambda found: found[1] + tables[found[2]] + found[3], PAGE.read_text())


def _reader_table() -> str:
    engines = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    models: dict[str, list[Model]] = {name: [] for name in readers()}
    for sample in all_samples():
        models[sample.format].append(readers()[sample.format].read(sample.content()))
    lines = [
        "| format | name | graph | weights | run by | suffixes | specification |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, reader in sorted(readers().items(), key=lambda item: item[1].title.lower()):
        run_by = ", ".join(e.title for e in engines.values() if name in e.formats)
        suffixes = " ".join(f"`{suffix}`" for suffix in reader.suffixes)
        others = [suffix for suffix in reader.weights_suffixes if suffix not in reader.suffixes]
        beside = " ".join(f"`{suffix}`" for suffix in others)
        lines.append(
            f"| {reader.title} | `{name}` | {_graph(models[name])} | {_weights(models[name])} "
            f"| {run_by or '-'} | {suffixes}{', weights ' + beside if beside else ''} "
            f"| [link]({reader.spec}) |"
        )
    return "\n".join(lines) + "\n"


def _graph(models: list[Model]) -> str:
    if not models:
        return "recognised only"
    return "yes" if any(graph.nodes for model in models for graph in model.graphs) else "none"


def _weights(models: list[Model]) -> str:
    if not models:
        return "-"
    constants = [
        tensor
        for model in models
        for graph in model.graphs
        for tensor in graph.tensors.values()
        if tensor.kind is TensorKind.CONSTANT
    ]
    if any(tensor.data is not None for tensor in constants):
        return "yes"
    return "shapes only" if constants else "none"


def _suffix_table() -> str:
    read = {suffix for reader in readers().values() for suffix in reader.suffixes}
    read |= {suffix for reader in readers().values() for suffix in reader.weights_suffixes}
    groups = (
        ("registered by the Netron viewer in April 2021", _candidates.HISTORIC),
        ("added since", _candidates.ADDED),
        ("further suffixes of formats read here", read - _candidates.HISTORIC - _candidates.ADDED),
    )
    lines = ["| suffixes that make a file a candidate | number | a reader's own |", "|---|---|---|"]
    lines += [f"| {what} | {len(group)} | {len(group & read)} |" for what, group in groups]
    return "\n".join(lines) + "\n"


def _extension_table() -> str:
    """Every extension of both lists, with the readers that have it as theirs."""
    lines = [
        "| extension | since | formats read or recognised under it |",
        "|---|---|---|",
    ]
    for since, group in (("2021", _candidates.HISTORIC), ("later", _candidates.ADDED)):
        for suffix in sorted(group, key=lambda each: (each.strip("._"), each)):
            found = [
                reader.title
                for reader in readers().values()
                if suffix in (*reader.suffixes, *reader.weights_suffixes)
            ]
            named = ", ".join(sorted(found, key=str.lower))
            lines.append(f"| `{suffix}` | {since} | {named or '-'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
