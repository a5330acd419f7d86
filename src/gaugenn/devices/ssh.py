"""Linux boards, through the system's `ssh` with one shared connection."""

import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import IO

from gaugenn import _processes
from gaugenn.adb import COPY_S, Answer, answer, marked, new_mark
from gaugenn.devices import _remote
from gaugenn.errors import (
    DeviceError,
    MissingToolError,
    StorageFullError,
    UsageError,
    is_storage_full,
)

INSTALL = "apt-get install openssh-client"
CONFIG_VARIABLE = "GAUGENN_SSH_CONFIG"
"""Environment variable with a configuration file for `ssh` in place of the user's own."""
LOST = 255
"""Exit code of ssh itself, as opposed to the command's.

**Source:** https://man.openbsd.org/ssh#EXIT_STATUS
"""
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ControlMaster": "auto",
    "ControlPersist": "60",
    "LogLevel": "ERROR",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
}
"""**Source:** https://man.openbsd.org/ssh_config"""
_NAME = re.compile(
    r"(?:ssh:(?P<alias>[A-Za-z0-9][A-Za-z0-9_.-]*)"
    r"|(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?)"
)
_FULL = re.compile(r"No space left on device|Disk quota exceeded")


def is_ssh_name(name: str) -> bool:
    """Whether a device's name is `USER@HOST`, `USER@HOST:PORT` or `ssh:ALIAS`."""
    return _NAME.fullmatch(name) is not None


class SshDevice(_remote.RemoteDevice):
    """A board by `USER@HOST`, `USER@HOST:PORT`, or `ssh:ALIAS` for a host of the ssh configuration.

    Nothing is asked for: keys have to be in place, and the board's own key has to be known.

    Args:
        name: of the board.
        config: of ssh, in place of the user's.
    """

    kind = "ssh"

    def __init__(self, name: str, config: Path | None = None) -> None:
        super().__init__(name)
        found = _NAME.fullmatch(name)
        if found is None:
            raise UsageError(
                f"{name[:80]!r} is no board: give USER@HOST, USER@HOST:PORT or ssh:ALIAS"
            )
        host = (found["host"] or "").strip("[]")
        self._target = found["alias"] or f"{found['user']}@{host}"
        self._host = host or None
        self._port = found["port"]
        self._config = config
        self._control: Path | None = None
        self.title = f"board {name}"

    def connect(self) -> None:
        """Opens the shared connection; see `RemoteDevice.connect`."""
        if shutil.which("ssh") is None:
            raise MissingToolError("a board", "ssh", INSTALL)
        if self._control is None:
            # A socket's path may have some 100 characters, so it is not in the cache folder.
            self._control = Path(tempfile.mkdtemp(prefix="gaugenn-ssh-"))
        self.shell("true", 30.0)

    def shell(self, script: str, timeout_s: float = _remote.SHORT_S) -> Answer:
        """See `RemoteDevice.shell`."""
        mark = new_mark()
        try:
            ended = self._ssh(marked(script, mark), timeout_s)
        except (OSError, ValueError) as error:
            raise DeviceError(f"{self.title}: ssh cannot be run: {error}") from error
        return answer(mark, ended, self.title)

    def send(self, local: Path, remote: str) -> None:
        """See `RemoteDevice.send`."""
        with local.open("rb") as file:
            ended = self._ssh(f"cat >{shlex.quote(remote)}", COPY_S, stdin=file)
        said = ended.stderr.decode(errors="replace").strip()
        if _FULL.search(said):
            raise StorageFullError(f"{self.title}: no room left for {local.name}; free some there")
        if ended.exit_code != 0:
            raise DeviceError(f"{self.title}: {local.name} did not arrive whole: {said[-200:]}")

    def receive(self, remote: str, local: Path) -> None:
        """See `RemoteDevice.receive`."""
        try:
            with local.open("wb") as file:
                ended = self._ssh(f"cat {shlex.quote(remote)}", COPY_S, stdout=file)
        except OSError as error:
            if is_storage_full(error):
                raise StorageFullError(f"{local}: {error}; free some room and try again") from error
            raise
        said = ended.stderr.decode(errors="replace").strip()
        if _FULL.search(said):
            raise StorageFullError(f"{local}: {said}; free some room and try again")
        if ended.exit_code != 0:
            raise DeviceError(f"{self.title}: {remote} did not arrive whole: {said[-200:]}")

    def cache_script(self) -> str:
        """See `RemoteDevice.cache_script`."""
        return 'd="${XDG_CACHE_HOME:-$HOME/.cache}/gaugenn"; mkdir -p "$d" && cd "$d" && pwd -P'

    def host(self) -> str | None:
        """See `RemoteDevice.host`."""
        return self._host

    def disconnect(self) -> None:
        """Ends the shared connection."""
        if self._control is not None:
            try:
                _processes.run([*self._command(), "-O", "exit", self._target], timeout_s=10.0)
            except OSError as error:
                raise DeviceError(f"{self.title}: ssh cannot be run: {error}") from error
            finally:
                shutil.rmtree(self._control, ignore_errors=True)
                self._control = None

    def _ssh(
        self,
        script: str,
        timeout_s: float,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> _processes.Finished:
        # The user's login shell may be any; the script is for sh.
        return _processes.run(
            [*self._command(), "--", self._target, f"exec sh -c {shlex.quote(script)}"],
            timeout_s=timeout_s,
            stdin=stdin,
            stdout=stdout,
            started=self.note,
        )

    def _command(self) -> list[str]:
        options = [f"-o{name}={value}" for name, value in _OPTIONS.items()]
        if self._control is not None:
            options.append(f"-oControlPath={self._control}/%C")
        if self._config is not None:
            options.append(f"-F{self._config}")
        if self._port is not None:
            options.append(f"-p{self._port}")
        return ["ssh", *options]
