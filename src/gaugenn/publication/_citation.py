"""How a study is to be cited, as a file in the Citation File Format, version 1.2.0.

**Source:** https://github.com/citation-file-format/citation-file-format/blob/1.2.0/schema-guide.md
"""

import json

from gaugenn import __version__
from gaugenn.errors import UsageError
from gaugenn.publication._facts import Facts, Publication, facts
from gaugenn.publication._privacy import Redaction
from gaugenn.report import visible
from gaugenn.store import Study


def citation(study: Study, about: Publication) -> str:
    """The text of `CITATION.cff`.

    Raises:
        UsageError: no author was given, without whom nothing can be cited.
    """
    return render(facts(study, about, Redaction.of(study)), about)


def render(found: Facts, about: Publication) -> str:
    """See `citation`."""
    if not about.authors:
        raise UsageError("a citation needs authors: --author NAME, once for each")
    counted = found.counted
    abstract = (
        f"Neural networks in {counted.apps:,} app packages: {counted.instances:,} model instances, "
        f"{counted.models:,} distinct models, {counted.jobs_measured:,} measured experiments."
    )
    lines = [
        "cff-version: 1.2.0",
        "message: If you use this dataset, please cite it as below.",
        "type: dataset",
        f"title: {_quoted(found.title)}",
        f"abstract: {_quoted(abstract)}",
        "authors:",
        *(f"  - name: {_quoted(author)}" for author in about.authors),
    ]
    if found.released_on:
        lines.append(f"date-released: {_quoted(found.released_on)}")
    if about.licence:
        lines.append(f"license: {_quoted(about.licence)}")
    lines += [
        "references:",
        "  - type: software",
        "    title: gaugenn",
        f"    version: {_quoted(', '.join(found.versions) or __version__)}",
        "    authors:",
        "      - name: The gaugenn authors",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A YAML scalar; JSON's strings are YAML's double-quoted ones."""
    return json.dumps(visible(text), ensure_ascii=False)
