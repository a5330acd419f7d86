"""The sample packages are described as the script that made them says."""

import json
from pathlib import Path
from typing import Any

import pytest

from gaugenn.apps.evidence import verdicts
from gaugenn.apps.scan import describe
from gaugenn.content import open_file
from gaugenn.records import EvidenceCategory, EvidenceSource

SAMPLES = Path(__file__).parents[2] / "samples"
EXPECTED: dict[str, dict[str, Any]] = json.loads((SAMPLES / "expected.json").read_text())[
    "packages"
]
FACTS = ("kind", "package", "label", "version_code", "version_name", "minimum_sdk", "target_sdk")


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sample_says_about_itself_what_it_was_made_with(name: str) -> None:
    expected = EXPECTED[name]
    app = describe(open_file(SAMPLES / name)).app
    assert [getattr(app, fact) for fact in FACTS] == [expected.get(fact) for fact in FACTS]
    for fact in ("permissions", "features", "abis"):
        assert list(getattr(app, fact)) == expected.get(fact, [])


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_evidence_in_a_sample_is_what_was_put_there(name: str) -> None:
    expected = EXPECTED[name]
    evidence = describe(open_file(SAMPLES / name)).evidence
    confirmed = [verdict for verdict in verdicts(evidence) if verdict.confirmed]

    def names(category: EvidenceCategory) -> list[str]:
        return sorted(v.name for v in confirmed if v.category is category)

    assert names(EvidenceCategory.RUNTIME) == expected.get("runtimes", [])
    assert names(EvidenceCategory.ACCELERATOR) == expected.get("accelerators", [])
    clouds = [v.vendor for v in confirmed if v.category is EvidenceCategory.CLOUD]
    assert sorted(filter(None, clouds)) == sorted(c["vendor"] for c in expected.get("cloud", []))
    libraries = {row.member for row in evidence if row.source is EvidenceSource.LIBRARY}
    assert libraries <= set(expected.get("libraries", []))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_model_file_of_a_sample_is_met_with_its_bytes(name: str) -> None:
    package = describe(open_file(SAMPLES / name)).package
    members = {member.path: member for member in package.walk()}
    for file in EXPECTED[name].get("files", []):
        content = members[file["member"]].content()
        assert (content.size_bytes, content.sha256()) == (file["size_bytes"], file["sha256"])
