"""Records what each engine prints for a tiny model that runs and for one that it refuses.

Run it when the worker's output changes: `python tests/engines/record_transcripts.py`. Engines that
are not installed yet are installed into the cache folder.
"""

import runpy
import tempfile
from pathlib import Path

from gaugenn.devices.host import HostDevice
from gaugenn.engines import _environments, load_engine

HERE = Path(__file__).parent


def main() -> None:
    """Writes `transcripts/ENGINE.txt` and `transcripts/ENGINE-refused.txt`."""
    models = runpy.run_path(str(HERE / "conftest.py"))
    for suffix, makers in (("", models["RUNNING"]), ("-refused", models["REFUSED"])):
        for make in makers:
            model = make()
            engine = load_engine(model.engine)
            version = engine.default_version
            if engine.distribution is not None:
                _environments.install(engine)
            with tempfile.TemporaryDirectory() as folder, HostDevice() as device:
                paths = [device.push(p, p.name) for p in model.write(Path(folder))]
                program = _environments.program(engine, version)
                output = device.run(engine.command(model.job(version), program, paths))
            target = HERE / "transcripts" / f"{engine.name}{suffix}.txt"
            target.write_text(output.stdout)
            print(target, output.exit_code, output.stderr.strip().splitlines()[-1:])


if __name__ == "__main__":
    main()
