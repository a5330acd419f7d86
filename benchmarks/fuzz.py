"""Damages model files at random for as long as one likes; every reader must refuse or read them.

Takes the tests' samples of all formats and, with `--corpus`, every file of a folder that a reader
claims. What a reader may do is what `tests/formats/test_fuzz.py` says. An input that breaks a rule is
saved with its neighbours, so that it can become a regression test.

Usage: `python -m benchmarks.fuzz [--seconds N] [--corpus DIR] [--format NAME] [--seed N] [--json]`
"""

import argparse
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tests.formats.mutations import Damaged, Kind, Step, damage, survive
from tests.formats.samples import Sample, all_samples

from gaugenn.content import open_file
from gaugenn.formats import identify, readers

MEMORY_EVERY = 8
"""Memory is watched for one input in so many, because that is slow."""

LARGEST_BYTES = 8 << 20
QUICK_S = 20.0


@dataclass(slots=True)
class Tally:
    """What came out so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest_s_per_mb: float = 0.0
    slowest: str = ""


def corpus(folder: Path) -> list[Sample]:
    """Every file of a folder that a reader claims, not too large to be damaged often."""
    found: list[Sample] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
            continue
        content = open_file(path)
        for name in identify(content).formats[:1]:
            companions = readers()[name].companions(content)
            found.append(
                Sample(
                    name=path.relative_to(folder).as_posix(),
                    format=name,
                    source=path.read_bytes,
                    file_name=path.name,
                    neighbours={c.file_name: bytes(c.data) for c in companions},
                )
            )
    return found


def random_step(generator: random.Random) -> Step:
    """Any damage, more often near the beginning, where formats keep their headers."""
    at = generator.getrandbits(32)
    if generator.random() < 0.3:
        at = generator.randrange(512)
    return Step(
        kind=generator.choice(list(Kind)),
        at=at,
        other=generator.getrandbits(32),
        length=generator.getrandbits(32),
        value=generator.getrandbits(32),
    )


def save(damaged: Damaged, folder: Path, error: BaseException) -> Path:
    """Writes a failing input down."""
    number = sum(1 for _ in folder.glob("*")) if folder.is_dir() else 0
    into = folder / f"{number:04d}-{damaged.sample.format}-{type(error).__name__}"
    into.mkdir(parents=True)
    for name, data in {damaged.sample.file_name: damaged.data, **damaged.neighbours}.items():
        (into / Path(name).name).write_bytes(data)
    (into / "error.txt").write_text(f"{damaged.sample.name}\n{error!r}\n")
    return into


def fuzz(samples: list[Sample], seconds: float, seed: int, failures: Path) -> Tally:
    """Damages and reads until the time is up."""
    generator = random.Random(seed)
    tally = Tally()
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        count += 1
        sample = generator.choice(samples)
        steps = [random_step(generator) for _ in range(generator.choice((1, 1, 1, 2, 4)))]
        damaged = damage(sample, steps, victim=generator.randrange(4))
        watched = count % MEMORY_EVERY == 0
        start = time.process_time()
        try:
            outcome = survive(damaged, sample.format, watched=watched)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what we are looking for
            outcome = "failed"
            where = save(damaged, failures, error)
            tally.failures.append(f"{sample.format} {sample.name}: {error!r}; saved in {where}")
            print(tally.failures[-1], file=sys.stderr)
        spent = time.process_time() - start
        tally.outcomes[outcome] += 1
        if not watched and spent > tally.slowest_s:
            tally.slowest_s = spent
            tally.slowest = f"{sample.format} {sample.name}"
        if not watched:
            per_mb = spent / max(damaged.size_bytes / 1e6, 1.0)
            tally.slowest_s_per_mb = max(tally.slowest_s_per_mb, per_mb)
    return tally


def peak_bytes(samples: list[Sample], seed: int) -> int:
    """The most memory that one reading of a damaged small file took, over a few hundred."""
    generator = random.Random(seed)
    small = [sample for sample in samples if len(sample.data()) < 1 << 20]
    peak = 0
    for _ in range(300):
        sample = generator.choice(small)
        damaged = damage(sample, [random_step(generator)])
        tracemalloc.start()
        try:
            readers()[sample.format].read(damaged.content())
        except Exception:  # noqa: BLE001, S110  counted elsewhere
            pass
        finally:
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    return peak


def main() -> None:
    """Fuzzes and prints what came out; exit code 1 when anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S:.0f} seconds")
    parser.add_argument("--corpus", type=Path, help="a folder of real files")
    parser.add_argument("--format", help="only this reader's files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    samples = [*all_samples(), *(corpus(options.corpus) if options.corpus else ())]
    if options.format:
        samples = [sample for sample in samples if sample.format == options.format]
    samples = [replace(sample, source=partial(bytes, sample.data())) for sample in samples]
    if not samples:
        sys.exit(f"no files of format {options.format}")
    seconds = QUICK_S if options.quick else options.seconds
    tally = fuzz(samples, seconds, options.seed, options.failures)
    total = tally.outcomes.total()
    rows: list[tuple[str, float, str, float | None]] = [
        ("files damaged", len(samples), "", None),
        ("inputs", total, "", None),
        ("inputs per second", total / seconds, "1/s", None),
        ("refused", tally.outcomes["refused"], "", None),
        ("read", tally.outcomes["read"], "", None),
        ("failed", tally.outcomes["failed"], "", 0),
        ("slowest input", tally.slowest_s * 1e3, "ms", None),
        ("slowest per megabyte, at least one", tally.slowest_s_per_mb, "s/MB", 1.0),
        (
            "peak memory, files below 1 MiB",
            peak_bytes(samples, options.seed) / (1 << 20),
            "MiB",
            68,
        ),
    ]
    if options.json:
        print(
            json.dumps(
                [
                    {
                        "name": name,
                        "value": value,
                        "unit": unit,
                        "bar": bar,
                        "ok": None if bar is None else value <= bar,
                    }
                    for name, value, unit, bar in rows
                ]
            )
        )
    else:
        for name, value, unit, bar in rows:
            told = "" if bar is None else f"  (at most {bar:g})"
            print(f"{name:36}{value:12.2f} {unit}{told}")
        print(f"slowest: {tally.slowest}")
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
