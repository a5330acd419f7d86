"""Records what each engine prints for a tiny model that runs and for one that it refuses.

Run it when the worker's output changes: `python tests/engines/record_transcripts.py [ENGINE ...]`.
Engines that are not installed yet are installed into the cache folder.
"""

import runpy
import sys
import tempfile
from pathlib import Path

from gaugenn.devices.host import HostDevice
from gaugenn.engines import _environments, load_engine

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
            engine = load_engine(model.engine)
            if sys.argv[1:] and engine.name not in sys.argv[1:]:
                continue
            version = engine.default_version
            if engine.distribution is not None:
                _environments.install(engine)
            program = _environments.program(engine, version)
            with tempfile.TemporaryDirectory() as folder, HostDevice() as device:
                paths = [device.push(p, p.name) for p in model.write(Path(folder))]
                command = engine.command(model.job(version), program, paths)
                if suffix == "-profile":
                    command = engine.profile_command(model.job(version), program, paths)
                if suffix == "-offers":
                    command = engine.offers_command(program)
                output = device.run(command)
            target = HERE / "transcripts" / f"{engine.name}{suffix}.txt"
            target.write_text(output.stdout)
            print(target.name, output.exit_code, output.stdout[-200:])


if __name__ == "__main__":
    main()
