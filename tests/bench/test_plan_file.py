"""Plan files: what they say, and what is wrong with those that say something else."""

import re
from pathlib import Path

import pytest

from gaugenn.bench.plan_file import _EXPERIMENT, parse_plan, read_plan
from gaugenn.bench.presets import PRESETS
from gaugenn.bench.settings import BenchSettings, Experiment
from gaugenn.cli.bench import command
from gaugenn.errors import UsageError
from gaugenn.records import InputShape, PageCache, Precision, Processor
from gaugenn.records._environment import KEYS

PAGE = (Path(__file__).parents[2] / "docs/bench.md").read_text()


def example() -> str:
    (found,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_documented_plan_is_read_as_it_is_explained() -> None:
    assert parse_plan(example()) == BenchSettings(
        seed=7,
        control=True,
        precision=0.02,
        launches_minimum=8,
        launches_maximum=30,
        budget_s=1800.0,
        experiments=(
            Experiment(
                models=("mobilenet*", "3f2a91c07d"),
                engines=("litert==2.3.0", "onnxruntime"),
                devices=("host",),
                processors=(Processor.CPU,),
                precisions=(Precision.AS_STORED, Precision.FLOAT32),
                threads=("1", "4a2"),
                batches=(1, 8),
                input_shapes=(InputShape(name="image", shape=(1, 224, 224, 3)),),
                preset="compare",
                page_cache=PageCache.WARM,
                launch_limit_s=180.0,
            ),
            Experiment(
                models=("camera.tflite",),
                rate_per_s=15.0,
                sustain_s=1200.0,
                beside="hotword@litert",
            ),
        ),
    )


def test_every_key_of_a_plan_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE))
    assert set(_EXPERIMENT) <= documented
    assert {"count", "minimum", "maximum", "precision", "budget", "seed", "control"} <= documented
    assert set(PRESETS) <= documented


def test_every_option_of_the_command_is_documented() -> None:
    options = {option for param in command.params for option in param.opts if option[:2] == "--"}
    assert options <= set(re.findall(r"--[a-z-]+", PAGE))


def test_the_documented_presets_are_those_of_the_table() -> None:
    for name, preset in PRESETS.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1:] == [
            preset.purpose,
            f"{preset.launches}",
            f"{preset.warmup_maximum_s:g} s" if preset.warmup_maximum_s else "no",
            f"{preset.steady_minimum_count} and {preset.steady_minimum_s:g} s",
            f"{preset.steady_maximum_s:g} s",
        ]


def test_the_documented_registry_is_the_one_that_is_used() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (device|launch|sample) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE
    )
    assert rows == [(k.name, k.scope.value, k.unit or "-", k.meaning) for k in KEYS.values()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no .*experiment"),
        ("a = [", "no TOML"),
        ("seed = " + "9" * 6000 + "\n[[experiment]]", "no TOML: .*4300 digits"),
        ("x." * 50_000 + "y = 1", "line 1: a key has at most 16 parts"),
        ("[x" + ".x" * 50_000 + "]", "line 1: a key has at most 16 parts"),
        ("[launches]\ncount = 999999999\n[[experiment]]", "count: 999999999 is not from 1 to 1000"),
        ("sed = 1\n[[experiment]]", "the plan: unknown key 'sed'; known are: seed, control"),
        ("[[experiment]]\nthread = 1", "experiment 1: unknown key 'thread'; known are: models"),
        ("[[experiment]]\n[[experiment]]\nx = 1", "experiment 2: unknown key 'x'"),
        ("[launches]\ncuont = 1\n[[experiment]]", r"\[launches\]: unknown key 'cuont'"),
        ("experiment = 1", "experiment: expected a list, not 1"),
        ("experiment = [1]", "expected a table"),
        ("launches = 5\n[[experiment]]", "launches: expected a table"),
        ("control = 1\n[[experiment]]", "control: expected true or false"),
        ("seed = -1\n[[experiment]]", "seed: -1 is not from 0"),
        ("seed = true\n[[experiment]]", "seed: expected a whole number"),
        ("[launches]\ncount = 0\n[[experiment]]", "count: 0 is not from 1"),
        ("[launches]\nprecision = 0.02\n[[experiment]]", "precision: expected a text"),
        ("[launches]\nprecision = '2'\n[[experiment]]", "precision: '2' is no percentage"),
        ("[launches]\nbudget = '2'\n[[experiment]]", "budget: '2' is no time"),
        ("[launches]\ncount = 3\nprecision = '2%'\n[[experiment]]", "both given"),
        ("[launches]\nminimum = 3\n[[experiment]]", "needs a precision"),
        ("[launches]\nminimum = 9\nmaximum = 5\nprecision = '2%'\n[[experiment]]", "above it"),
        ("[[experiment]]\nthreads = ['4b2']", "experiment 1: threads '4b2': give a number"),
        ("[[experiment]]\nthreads = []", "threads: expected 1 to"),
        ("[[experiment]]\nbatches = [0]", "batches: 0 is not from 1"),
        ("[[experiment]]\nprocessors = ['tpu']", "'tpu' is not one of cpu, gpu, dsp, npu"),
        ("[[experiment]]\npage_cache = 'cold'", "'cold' is not one of warm, dropped"),
        ("[[experiment]]\npreset = 'fast'", "no preset 'fast'; there are: smoke"),
        ("[[experiment]]\nrate = '15'", "rate: '15' is no rate"),
        ("[[experiment]]\nsustain = '0s'", "sustain of 0"),
        ("[[experiment]]\ninput_shapes = {x = [0]}", "input_shapes: x: 0 is not from 1"),
    ],
)
def test_what_a_plan_cannot_say_is_a_usage_error_that_says_where(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_plan(text)


def test_a_plan_that_cannot_be_read_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "p.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"p\.toml: is no UTF-8"):
        read_plan(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(UsageError, match="at most"):
        read_plan(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_text("[[experiment]]\nx = 1\n")
    with pytest.raises(UsageError, match=r"p\.toml: experiment 1: unknown key 'x'"):
        read_plan(tmp_path / "p.toml")
