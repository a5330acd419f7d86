"""Duplicates, shared architectures and fine-tuned siblings among many models."""

import random
from dataclasses import replace

from gaugenn.analysis.lineage import MAXIMUM_HOLDERS, Group, Lineage, Twins, trace
from gaugenn.records import FileKind, LayerRecord, ModelRecord, QuantizationScheme


class Census:
    """Models as lists of layers, each a digest."""

    def __init__(self) -> None:
        self.models: list[ModelRecord] = []
        self.layers: list[LayerRecord] = []

    def add(
        self, name: str, layers: list[str], *, architecture: str = "a", parameters: int = 100
    ) -> None:
        self.models.append(
            ModelRecord(
                model_sha256=name,
                kind=FileKind.MODEL,
                format="onnx",
                size_bytes=1,
                architecture_sha256=architecture,
                weights_sha256="/".join(sorted(layers)),
            )
        )
        self.layers += [
            LayerRecord(
                model_sha256=name,
                graph=0,
                position=position,
                name="",
                operator="Conv",
                source_operator="Conv",
                macs=1,
                flops=2,
                elementwise_operations=0,
                parameters=parameters,
                weights_bytes=4 * parameters,
                output_shape=(1,),
                output_bytes=4,
                weights_sha256=layer,
            )
            for position, layer in enumerate(layers)
        ]

    def describe(self, **fields: object) -> None:
        """Changes the model that was added last; `values` are the digests of its layers' values."""
        values = fields.pop("values", None)
        name = self.models[-1].model_sha256
        self.models[-1] = replace(self.models[-1], **fields)  # type: ignore[arg-type]
        if isinstance(values, list):
            own = [layer for layer in self.layers if layer.model_sha256 == name]
            self.layers = [layer for layer in self.layers if layer.model_sha256 != name]
            self.layers += [
                replace(layer, weights_values_sha256=value)
                for layer, value in zip(own, values, strict=True)
            ]

    def trace(self) -> Lineage:
        return trace(self.models, self.layers)


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def test_same_weights_and_architecture_are_duplicates() -> None:
    census = Census()
    census.add("one", names("x", 5))
    census.add("two", names("x", 5))
    census.add("three", names("y", 5))
    found = census.trace()
    assert [group.models for group in found.duplicates] == [("one", "two")]
    assert found.siblings == ()
    assert found.families == (("one", "two"),)


def test_same_architecture_with_other_weights_is_reported_apart() -> None:
    census = Census()
    census.add("one", names("x", 5), architecture="net")
    census.add("two", names("y", 5), architecture="net")
    found = census.trace()
    assert found.architectures == (Group(digest="net", models=("one", "two")),)
    assert found.duplicates == found.siblings == ()


def test_a_fifth_of_shared_layers_makes_siblings_and_less_does_not() -> None:
    census = Census()
    census.add("one", names("x", 20))
    census.add("two", [*names("x", 4), *names("y", 16)])
    census.add("three", [*names("x", 3), *names("z", 17)])
    found = census.trace()
    pairs = {(pair.first, pair.second): pair for pair in found.siblings}
    assert set(pairs) == {("one", "two")}
    assert pairs["one", "two"].share == 0.2
    assert pairs["one", "two"].different_layers == 16


def test_models_that_differ_in_three_layers_are_siblings_whatever_the_share() -> None:
    census = Census()
    census.add("one", ["same", "a", "b", "c"])
    census.add("two", ["same", "d", "e", "f"])
    census.add("five", [*names("x", 100), "same"])
    (pair,) = census.trace().siblings
    assert (pair.different_layers, pair.shared_layers) == (3, 1)


def test_layers_that_occur_twice_are_shared_twice_at_most() -> None:
    census = Census()
    census.add("one", ["same"] * 10)
    census.add("two", ["same", *names("y", 9)])
    assert census.trace().siblings == ()


def test_tiny_layers_are_no_evidence() -> None:
    census = Census()
    census.add("one", ["mean", "a"], parameters=3)
    census.add("two", ["mean", "b"], parameters=3)
    assert census.trace().siblings == ()


def test_the_order_of_the_rows_does_not_matter() -> None:
    census = Census()
    for i in range(30):
        census.add(f"m{i}", [*names("base", 5), *names(f"own{i}-", 5)], architecture=str(i % 3))
    expected = census.trace()
    mixer = random.Random(3)
    mixer.shuffle(census.models)
    mixer.shuffle(census.layers)
    assert census.trace() == expected


def test_a_layer_in_thousands_of_models_makes_one_family_and_not_millions_of_pairs() -> None:
    census = Census()
    for i in range(2000):
        census.add(f"m{i:04}", [*names("backbone", 3), f"head{i}"])
    found = census.trace()
    assert len(found.families) == 1
    assert len(found.families[0]) == 2000
    assert len(found.siblings) < 2000 * MAXIMUM_HOLDERS


def test_one_architecture_in_two_precisions_are_twins() -> None:
    census = Census()
    census.add("one", names("x", 5), architecture="net")
    census.describe(quantization=QuantizationScheme.NONE)
    census.add("two", names("y", 5), architecture="net")
    census.describe(quantization=QuantizationScheme.FULL_INTEGER)
    census.add("three", names("z", 5), architecture="other")
    census.describe(quantization=QuantizationScheme.NONE)
    census.add("four", names("w", 5), architecture="other")
    census.describe(quantization=QuantizationScheme.NONE)
    schemes = (QuantizationScheme.FULL_INTEGER, QuantizationScheme.NONE)
    assert census.trace().twins == (Twins(digest="net", models=("one", "two"), schemes=schemes),)


def test_equal_values_in_another_format_are_copies() -> None:
    census = Census()
    census.add("one", names("x", 10))
    census.describe(values=names("v", 10))
    census.add("two", names("y", 10))
    census.describe(values=names("v", 10), format="ncnn")
    found = census.trace()
    assert [(pair.first, pair.second, pair.shared_layers) for pair in found.copies] == [
        ("one", "two", 10)
    ]
    assert found.siblings == found.duplicates == ()
    assert found.families == (("one", "two"),)


def test_equal_values_in_one_format_and_precision_are_no_copies() -> None:
    census = Census()
    census.add("one", names("x", 10))
    census.describe(values=names("v", 10))
    census.add("two", names("y", 10))
    census.describe(values=names("v", 10))
    assert census.trace().copies == ()


def test_narrower_floats_of_the_same_values_are_copies() -> None:
    census = Census()
    census.add("one", names("x", 10))
    census.describe(values=names("v", 10), quantization=QuantizationScheme.NONE)
    census.add("two", names("y", 10))
    census.describe(values=names("v", 10), quantization=QuantizationScheme.FLOAT16)
    assert len(census.trace().copies) == 1


def test_less_than_four_fifths_of_equal_values_are_no_copy() -> None:
    census = Census()
    census.add("one", names("x", 10))
    census.describe(values=names("v", 10))
    census.add("two", names("y", 10))
    census.describe(values=[*names("v", 7), *names("w", 3)], format="ncnn")
    assert census.trace().copies == ()
    census.describe(values=[*names("v", 8), *names("w", 2)])
    assert len(census.trace().copies) == 1
