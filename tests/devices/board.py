"""A real sshd on loopback, with keys of its own, as a board."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.devices.box import free_port

SSHD = Path("/usr/sbin/sshd")


def _key(path: Path) -> str:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text()


class Board:
    """The server, and a configuration of ssh that knows it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        host_key = _key(folder / "host_key")
        (folder / "authorized_keys").write_text(_key(folder / "user_key"))
        _key(folder / "stranger_key")
        self.known_hosts = f"[127.0.0.1]:{self.port} {host_key}"
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.home = folder / "home"
        self.home.mkdir()
        (folder / "sshd_config").write_text(
            f"""ListenAddress 127.0.0.1:{self.port}
HostKey {folder}/host_key
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv XDG_CACHE_HOME={self.home}
"""
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @staticmethod
    def why_not() -> str | None:
        there = SSHD.exists() and shutil.which("ssh") and shutil.which("ssh-keygen")
        return None if there else "no sshd here; scripts/test installs openssh-server"

    @property
    def name(self) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    def config(self, *, key: str = "user_key", known_hosts: str | None = None) -> Path:
        known = self.folder / f"known-{key}"
        known.write_text(self.known_hosts if known_hosts is None else known_hosts)
        path = self.folder / f"config-{key}"
        path.write_text(
            f"""Host *
IdentityFile {self.folder}/{key}
IdentitiesOnly yes
UserKnownHostsFile {known}
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
Host board
HostName 127.0.0.1
Port {self.port}
User {getpass.getuser()}
"""
        )
        return path

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        argv = [str(SSHD), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        # A group of its own: its sessions are ended with it.
        self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        log.close()
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        pytest.fail((self.folder / "log").read_text()[-1000:])

    def lose_links(self) -> None:
        """Every connection dies; the server goes on."""
        for pid in _children(self._process.pid if self._process else 0):
            for grandchild in _children(pid):
                with suppress(ProcessLookupError):
                    os.kill(grandchild, 9)
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def close(self) -> None:
        self.lose_links()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []
