"""Devices that hang on machines of a Ray cluster: each is measured there, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gaugenn import api
from gaugenn.store import Study
from tests.devices.box import Box
from tests.pipeline import packages

SIMULATED = "simulated:launch_variation=0.01"
_CLUSTER = """
import json, sys, ray
context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
                   resources=json.loads(sys.argv[1]))
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


def environment() -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "for-this-cluster-alone-0123456789abcdef",
    }


def gaugenn(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gaugenn", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def cluster(box: Box, cache: Path) -> Iterator[str]:
    """A cluster whose machine announces a phone and a simulated device."""
    del cache
    announced = gaugenn("devices", "--ray", box.serial, SIMULATED).stdout
    with subprocess.Popen(
        [sys.executable, "-c", _CLUSTER, announced],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "one.onnx").write_bytes(packages.onnx_model(1))
    return api.scan([tmp_path / "one.onnx"], tmp_path / "s", workers=1).study


@pytest.fixture
def plan(tmp_path: Path, box: Box) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(
        f"""[launches]
count = 3
[[experiment]]
engines = "null"
devices = "{box.serial}"
preset = "smoke"
[[experiment]]
engines = "simulated"
devices = "{SIMULATED}"
preset = "smoke"
"""
    )
    return path


def launches(study: Path) -> list[tuple[object, ...]]:
    with Study(study).connect() as connection:
        return connection.execute(
            "SELECT job.engine AS engine, launch, count(*) FROM runs JOIN jobs USING (job_sha256)"
            " WHERE status = 'ok' GROUP BY ALL ORDER BY ALL"
        ).fetchall()


WANTED = [(engine, launch, 1) for engine in ("null", "simulated") for launch in range(3)]


def _disturb(process: "subprocess.Popen[bytes]", happened: Callable[[], bool]) -> int:
    """Kills, once something happened, the worker on the phone's machine; how many were killed."""
    while process.poll() is None and not happened():
        time.sleep(0.05)
    killed = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"ray::work_on_share" in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
                killed += 1
    return killed


def test_each_device_is_measured_where_it_hangs_and_a_worker_that_dies_costs_no_launch(
    study: Path, plan: Path, box: Box, cluster: str, tmp_path: Path
) -> None:
    before = box.state()
    shared = tmp_path / "shared"
    words = ["bench", str(study), "--plan", str(plan), "--ray", cluster, "-q"]
    words += ["--shared", str(shared), "--meter", f"simulated:high=2@{box.serial}", "--idle", "0s"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gaugenn", *words], env=environment(), stderr=subprocess.PIPE
    )

    def launched() -> bool:
        return any(shared.glob("batches/bench-*/runs.parquet"))

    assert _disturb(process, launched) > 0
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-2000:]
    assert launches(study) == WANTED
    assert box.state() == before
    assert not list(shared.glob("batches/*/COMMIT.json"))
    (traces,) = api.query(study, "SELECT count(*) AS n FROM traces").to_pylist()
    assert traces == {"n": 3}
    energies = api.query(study, "SELECT power_w FROM energies WHERE phase = 'first'").to_pylist()
    assert energies == [{"power_w": pytest.approx(2.0)}] * 3
    # The same command again has nothing to do.
    assert gaugenn(*words).returncode == 0
    assert launches(study) == WANTED
    lacking = gaugenn("bench", str(study), "--device", "R5CT30", "--ray", cluster)
    assert lacking.returncode == 2
    assert "no machine of the cluster announces R5CT30" in lacking.stderr
