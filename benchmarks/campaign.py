"""A campaign over a phone, a board and this machine while links are cut and processes are killed.

The phone is Debian's adbd in namespaces of its own behind a gate that can lose links, the board a real
sshd (both as in `tests/devices`, unpacked and installed by `scripts/test`), and each has a meter that
replays a recording of known power. Two engines run their models on all three. A fault comes whenever
the campaign has got on by a launch since the last one: the phone's link is cut, its daemon killed, the
adb server killed, the board's sessions killed, or gaugenn itself is killed (SIGKILL) and started again
with the same command. Afterwards the same campaign runs undisturbed.

Bars: every launch is there once, with its trace and its energy, nothing is left running or set on a
device, and every result agrees with that of the undisturbed campaign within their intervals.

Usage: `python -m benchmarks.campaign [--quick] [--json] [--engines FIRST,SECOND]`
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.devices.board import Board
from tests.devices.box import Box, Gate, free_port, why_not

from gaugenn import api
from gaugenn._cache import cache_folder
from gaugenn.analysis.statistics import estimate
from gaugenn.devices.ssh import CONFIG_VARIABLE
from gaugenn.engines import load_engine
from gaugenn.engines._environments import is_installed
from gaugenn.errors import StoreError
from gaugenn.store import Study

SAMPLES = Path(__file__).parents[1] / "samples"
ENGINES = "litert,onnxruntime"
QUICK_ENGINES = "null,onnxruntime"
"""`null` needs no library, which each device would have to install for itself."""
MODELS = {
    "litert": "scene_classifier.tflite",
    "onnxruntime": "characters.onnx",
    "null": "scene_classifier.tflite",
}
WATTS = 2.5
"""Of the recording, on both of its rails together."""
RECORDED_S = 600.0
RESTARTS = 40
POLL_S = 0.2

Row = tuple[str, float, str, float | None, bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """Devices, and how they fail."""

    box: Box
    gate: Gate
    board: Board

    @property
    def devices(self) -> tuple[str, ...]:
        """Names for `--device`."""
        return (self.gate.serial, self.board.name, "host")


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """A phone and a board, a server of adb and a cache of their own."""
    reason = why_not() or Board.why_not()
    if reason is not None:
        raise SystemExit(reason)
    engines = cache_folder() / "engines"
    own = folder / "cache"
    own.mkdir()
    # Installed libraries are used as they are; locks, journals and strikes are this run's own.
    (own / "engines").symlink_to(engines)
    os.environ["GAUGENN_CACHE"] = str(own)
    os.environ["ANDROID_ADB_SERVER_PORT"] = str(free_port())
    home = folder / "home"
    home.mkdir()
    os.environ["HOME"] = str(home)
    for name in ("box", "sshd"):
        (folder / name).mkdir()
    box, board = Box(folder / "box", "BENCH1"), Board(folder / "sshd")
    gate = Gate(box.port)
    os.environ[CONFIG_VARIABLE] = str(board.config())
    try:
        yield Rig(box=box, gate=gate, board=board)
    finally:
        subprocess.run(["adb", "kill-server"], capture_output=True, check=False)
        gate.close()
        box.close()
        board.close()


def recording(path: Path) -> Path:
    """Two rails whose sum is known, at 100 Hz, from before a launch until long after it."""
    steps = (n / 100 for n in range(int(RECORDED_S * 100)))
    path.write_text("t_s,cpu_w,rest_w\n" + "".join(f"{t:.2f},1.75,0.75\n" for t in steps))
    return path


def plan_file(path: Path, rig: Rig, engines: Sequence[str], launches: int) -> Path:
    """Each engine with its own model on every device."""
    devices = json.dumps(rig.devices)
    experiments = "".join(
        f'[[experiment]]\nengines = "{engine}"\nmodels = "{MODELS[engine]}"\ndevices = {devices}\n'
        for engine in engines
    )
    path.write_text(f"[launches]\ncount = {launches}\n{experiments}")
    return path


def command(study: Path, rig: Rig, plan: Path, trace: Path) -> list[str]:
    """The campaign; the same words go on with it."""
    words = [sys.executable, "-m", "gaugenn", "bench", str(study), "--quiet", "--plan", str(plan)]
    words += ["--idle", "0s"]
    for device in rig.devices:
        words += ["--meter", f"replay:file={trace}@{device}"]
    return words


def launched(study: Path) -> Counter[tuple[str, str, int]]:
    """Launches that ended well, by device, job and number."""
    with suppress(StoreError), Study(study).connect() as connection:
        rows = connection.execute(
            "SELECT job.device AS device, job_sha256, launch, count(*) FROM runs"
            " JOIN jobs USING (job_sha256) WHERE status = 'ok' GROUP BY ALL"
        ).fetchall()
        return Counter({(device, job, launch): n for device, job, launch, n in rows})
    return Counter()  # a part was just replaced


class Faults:
    """What goes wrong, in an order drawn from a seed; each only after a launch since the last."""

    def __init__(self, rig: Rig, study: Path, count: int, seed: int) -> None:
        self._study = study
        kinds: Mapping[str, Callable[[subprocess.Popen[bytes]], None]] = {
            "the phone's link is cut": lambda _: rig.gate.cut(),
            "the phone's daemon is killed": lambda _: rig.box.kill_adbd(),
            "the adb server is killed": lambda _: _kill_server(),
            "the board's sessions are killed": lambda _: rig.board.lose_links(),
            "gaugenn is killed": lambda process: process.send_signal(signal.SIGKILL),
        }
        names = list(kinds) * math.ceil(count / len(kinds))
        self._draw = random.Random(seed)
        self._draw.shuffle(names)
        self._left = names[:count]
        self._kinds = kinds
        self._seen = 0
        self.injected: Counter[str] = Counter()

    def look(self, process: "subprocess.Popen[bytes]") -> None:
        """Lets the next thing go wrong if it is time."""
        there = sum(launched(self._study).values())
        if not self._left or there <= self._seen:
            return
        self._seen = there
        time.sleep(self._draw.uniform(0, 1.5))  # somewhere within the next launch
        if process.poll() is None:
            name = self._left.pop()
            self._kinds[name](process)
            self.injected[name] += 1


def _kill_server() -> None:
    subprocess.run(["adb", "kill-server"], capture_output=True, check=False, timeout=30)


def campaign(words: Sequence[str], faults: Faults | None) -> tuple[int, float]:
    """Runs a campaign until it ends well.

    Returns:
        How often it was started, and how long all of it took.
    """
    begin = time.monotonic()
    for start in range(1, RESTARTS + 1):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None:
            if faults is not None:
                faults.look(process)
            time.sleep(POLL_S)
        said = b"" if process.stderr is None else process.stderr.read()
        if process.returncode == 0:
            return start, time.monotonic() - begin
        if faults is None or b"quarantine" in said:
            raise SystemExit(said.decode(errors="replace")[-2000:])
    raise SystemExit(f"the campaign did not end in {RESTARTS} starts")


def processes_left(rig: Rig) -> int:
    """Workers, samplers and sessions of either device that still run."""
    found = 0
    places = (str(rig.board.home).encode(), b"/data/local/tmp/gaugenn")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += any(place in path.read_bytes() for place in places)
    return found


def folders_left(rig: Rig) -> int:
    """Working folders on the devices; a killed campaign's are swept by the next."""
    words = ["adb", "-s", rig.gate.serial, "shell", "ls -d /data/local/tmp/gaugenn/work-*"]
    subprocess.run(["adb", "connect", rig.gate.serial], capture_output=True, check=False)
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return listed.count("work-") + len(list(rig.board.home.glob("**/work-*")))


def intervals(study: Path) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Latency of each result with its interval, by device and engine."""
    with Study(study).connect() as connection:
        rows = connection.execute(
            "SELECT device, engine, medians_s FROM results WHERE launches_ok > 0"
        ).fetchall()
    found = {}
    for device, engine, medians_s in rows:
        one = estimate(medians_s)
        if one.low is not None and one.high is not None:
            found[device, engine] = (one.value, one.low, one.high)
    return found


def energies(study: Path) -> tuple[int, int, float]:
    """Launches whose steady phase has its energy, launches, and the worst error of the power in %."""
    rows = api.query(
        study,
        "SELECT r.job_sha256, r.launch, sum(e.power_w) AS watts, bool_and(e.reason IS NULL) AS told"
        " FROM (SELECT DISTINCT job_sha256, launch FROM runs WHERE status = 'ok') r"
        " LEFT JOIN energies e ON e.job_sha256 = r.job_sha256 AND e.launch = r.launch"
        " AND e.phase = 'steady' GROUP BY ALL",
    ).to_pylist()
    good = [row for row in rows if row["watts"] is not None and row["told"]]
    worst = max((100 * abs(row["watts"] / WATTS - 1) for row in good), default=math.inf)
    return len(good), len(rows), worst


def compared(rig: Rig, disturbed: Path, calm: Path) -> list[Row]:
    """A row a result, and how many agree."""
    rows: list[Row] = []
    first, second = intervals(disturbed), intervals(calm)
    agreeing = 0
    names = dict(zip(rig.devices, ("phone", "board", "host"), strict=True))
    for key in sorted(first.keys() | second.keys()):
        if key not in first or key not in second:
            continue
        one, other = first[key], second[key]
        meet = one[1] <= other[2] and other[1] <= one[2]
        agreeing += meet
        label = f"{names.get(key[0], key[0])}, {key[1]}: disturbed over calm"
        rows.append((label, one[0] / other[0], "ratio", None, meet))
    wanted = len(first.keys() | second.keys())
    rows.append(("results that agree", float(agreeing), f"of {wanted}", wanted, agreeing == wanted))
    return rows


def measured(options: argparse.Namespace) -> list[Row]:
    """Both campaigns."""
    engines = (options.engines or (QUICK_ENGINES if options.quick else ENGINES)).split(",")
    for engine in engines:
        if not is_installed(load_engine(engine), load_engine(engine).default_version):
            api.engines_install(engine)
    launches, count = (3, 5) if options.quick else (8, 25)
    wanted = 3 * len(engines) * launches
    with tempfile.TemporaryDirectory(prefix="gaugenn-campaign-") as here, rig(Path(here)) as made:
        folder = Path(here)
        trace = recording(folder / "power.csv")
        plan = plan_file(folder / "plan.toml", made, engines, launches)
        studies = [folder / name for name in ("disturbed", "calm")]
        for study in studies:
            api.scan(sorted(SAMPLES.glob("*.apk")), study, workers=1)
        before = made.box.state()
        faults = Faults(made, studies[0], count, options.seed)
        words = command(studies[0], made, plan, trace)
        starts, took_s = campaign(words, faults)
        state = made.box.state()
        there = launched(studies[0])
        _, calm_s = campaign(command(studies[1], made, plan, trace), None)
        with_energy, all_launches, worst = energies(studies[0])
        lost = sum(_statuses(studies[0]).values())
        left = processes_left(made) + folders_left(made)
        doubled = sum(there.values()) - len(there)
        changed = sum(before.get(k) != v for k, v in state.items()) + len(before.keys() - state)
        rows: list[Row] = [
            (f"injected: {name}", float(n), "times", None, None)
            for name, n in sorted(faults.injected.items())
        ]
        rows += [
            ("injected: all", float(faults.injected.total()), "times", count, None),
            ("gaugenn was started", float(starts), "times", None, None),
            ("attempts that a fault cost, each a row", float(lost), "", None, None),
            ("launches asked for", float(wanted), "", None, None),
            ("launches there", float(len(there)), "", wanted, len(there) == wanted),
            ("launches lost", float(wanted - len(there)), "", 0, len(there) == wanted),
            ("launches doubled", float(doubled), "", 0, doubled == 0),
            (
                "launches with energy of their steady phase",
                float(with_energy),
                "",
                wanted,
                with_energy == wanted == all_launches,
            ),
            ("worst error of replayed power", worst, "%", 0.1, worst <= 0.1),
            ("settings of the phone not restored", float(changed), "", 0, changed == 0),
            ("processes and folders left on devices", float(left), "", 0, left == 0),
            ("time over that undisturbed", took_s / calm_s, "ratio", None, None),
        ]
        return rows + compared(made, *studies)


def _statuses(study: Path) -> Counter[str]:
    """Attempts that did not end well."""
    with Study(study).connect() as connection:
        rows = connection.execute(
            "SELECT status, count(*) FROM runs WHERE status <> 'ok' GROUP BY ALL"
        ).fetchall()
    return Counter(dict(rows))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="3 launches of each, 5 faults, one engine without a library",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--seed", type=int, default=1, help="of the order of faults")
    parser.add_argument("--engines", metavar="FIRST,SECOND", help=f"{ENGINES} by default")
    rows = measured(parser.parse_args())
    if "--json" in sys.argv:
        keys = ("name", "value", "unit", "bar", "ok")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
        return
    for name, value, unit, bar, ok in rows:
        told = "" if ok is None else "ok" if ok else "MISSED"
        limit = "" if bar is None or ok is None else f"bar {bar:g}"
        print(f"{name:48}{value:10.4g} {unit:6} {limit:8} {told}".rstrip())


if __name__ == "__main__":
    main()
