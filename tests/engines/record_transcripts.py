"""Records what each engine prints for a tiny model that runs and for one that it refuses.

Run it when the worker's output changes: `python tests/engines/record_transcripts.py [ENGINE ...]`.
Engines that are not installed yet are installed into the cache folder.
"""

import runpy
import sys
import tempfile
from pathlib import Path

from gaugenn.bench.devices import device_programs, open_device
from gaugenn.engines import _environments, load_engine
from gaugenn.records import JobRecord

HERE = Path(__file__).parent


def main() -> None:
    """Writes `transcripts/ENGINE.txt` and those of a refusal, a profile and the offers."""
    models = runpy.run_path(str(HERE / "conftest.py"))
    for suffix, makers in (
        ("", models["RUNNING"]),
        ("-refused", models["REFUSED"]),
        ("-profile", models["RUNNING"]),
        ("-offers", models["RUNNING"]),
    ):
        for make in makers:
            model = make()
            if sys.argv[1:] and model.engine not in sys.argv[1:]:
                continue
            engine = load_engine(model.engine)
            if sys.argv[1:] and engine.name not in sys.argv[1:]:
                continue
            version = engine.default_version
            if engine.distribution is not None:
                _environments.install(engine)
            # What the simulated engine refuses is any real device.
            name = "simulated" if model.engine == "simulated" and not suffix else "host"
            job = model.job(version)
            record = JobRecord(job_sha256=job.job_sha256, job=job, launches=1)
            if suffix == "-profile" and engine.profile_method is None:
                continue
            with tempfile.TemporaryDirectory() as folder, open_device(name, seed=0) as device:
                paths = [device.push(p, p.name) for p in model.write(Path(folder))]
                program = device_programs(device, name, [record])[0][engine.name, version]
                command = engine.command(job, program, paths)
                if suffix == "-profile":
                    command = engine.profile_command(job, program, paths)
                if suffix == "-offers":
                    command = engine.offers_command(program)
                output = device.run(command)
            target = HERE / "transcripts" / f"{engine.name}{suffix}.txt"
            target.write_text(output.stdout)
            print(target.name, output.exit_code, output.stdout[-200:])


if __name__ == "__main__":
    main()
