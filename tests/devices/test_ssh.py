"""A real sshd as a board, and each way in which it can fail."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn.devices.ssh import SshDevice, is_ssh_name
from gaugenn.errors import DeviceError, MissingToolError, StorageFullError, UsageError
from gaugenn.records._environment import number
from tests.devices.board import Board


@pytest.fixture
def board(sshd: Board) -> Iterator[SshDevice]:
    with SshDevice(sshd.name, sshd.config()) as device:
        yield device


def test_a_command_returns_its_streams_apart_with_its_code(board: SshDevice) -> None:
    output = board.run(["sh", "-c", "printf '12\\n3'; echo e >&2; exit 9"])
    assert (output.exit_code, output.stdout, output.stderr) == (9, "12\n3", "e\n")
    assert output.cpu_s is not None
    odd = ["a b", "$HOME", "'q'", '"', "\\", "new\nline", "", "é", "!", "*"]
    said = board.run(["printf", "[%s]", *odd], environment={"X": "1 2"}).stdout
    assert said == "".join(f"[{word}]" for word in odd)


def test_one_connection_serves_all_commands(board: SshDevice, sshd: Board) -> None:
    before = (sshd.folder / "log").read_text().count("Accepted publickey")
    for _ in range(3):
        board.run(["true"])
    assert (sshd.folder / "log").read_text().count("Accepted publickey") == before


def test_what_the_board_is_comes_from_its_files(board: SshDevice) -> None:
    info = board.info()
    assert (info.device_kind, info.architecture) == ("ssh", os.uname().machine)
    assert info.logical_cores == os.cpu_count()
    assert "Linux" in info.kernel
    assert number(board.conditions(), "load_average") is not None


def test_the_whole_group_dies_at_the_time_limit(board: SshDevice) -> None:
    output = board.run(["sh", "-c", "sleep 4713 & echo begun; wait"], timeout_s=1.0)
    assert (output.timed_out, output.exit_code, output.stdout) == (True, None, "begun\n")
    listed = board.shell("for f in /proc/[0-9]*/cmdline; do cat $f 2>/dev/null; done").stdout
    assert "sleep\x004713" not in listed


def test_files_go_there_and_back_and_vanish(sshd: Board, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(300_000))
    with SshDevice("ssh:board", sshd.config()) as device:
        there = Path(device.push(source, "net/model.bin"))
        assert there.read_bytes() == source.read_bytes()
        assert there.is_relative_to(sshd.home)
        device.pull(str(there), tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert not there.exists()


def test_a_lost_link_is_no_end_and_the_next_command_opens_another(
    board: SshDevice, sshd: Board, tmp_path: Path
) -> None:
    threading.Timer(0.4, sshd.lose_links).start()
    with pytest.raises(DeviceError):
        board.run(["sh", "-c", "echo half; sleep 30; echo whole"])
    board.reconnect()
    assert board.run(["echo", "back"]).stdout == "back\n"
    source = tmp_path / "m"
    source.write_bytes(b"m")
    assert board.digest_of(board.push(source, "m")) is not None


def test_a_board_whose_key_changed_is_not_talked_to(sshd: Board) -> None:
    other = (sshd.folder / "stranger_key.pub").read_text()
    config = sshd.config(known_hosts=f"[127.0.0.1]:{sshd.port} {other}")
    with pytest.raises(DeviceError, match="Host key verification failed"):
        SshDevice(sshd.name, config).connect()


def test_a_key_that_is_refused_is_said(sshd: Board) -> None:
    with pytest.raises(DeviceError, match=r"Permission denied \(publickey\)"):
        SshDevice(sshd.name, sshd.config(key="stranger_key")).connect()


def test_a_board_that_is_off_is_said(sshd: Board) -> None:
    name = f"{sshd.name.rpartition(':')[0]}:1"
    with pytest.raises(DeviceError, match="Connection refused"):
        SshDevice(name, sshd.config()).connect()


def test_a_full_board_says_so(board: SshDevice, tmp_path: Path) -> None:
    source = tmp_path / "m"
    source.write_bytes(os.urandom(1 << 20))
    full = f"{board.working_folder()}/full"
    board.shell(f"mkdir -p {full}")
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True)
    try:
        with pytest.raises(StorageFullError, match="no room left for m"):
            board.push(source, "full/m")
        assert list(Path(full).iterdir()) == []
    finally:
        subprocess.run(["umount", full], check=True)


def test_names_of_boards() -> None:
    for name in ("pi@raspberry", "root@10.0.0.7:2222", "ssh:jetson", "pi@[fe80::1]:22"):
        assert is_ssh_name(name)
    for name in ("-oProxyCommand=x@h", "a@-b", "a b@c", "ssh:-x", "pi@h:99999x", "S1"):
        assert not is_ssh_name(name)
        with pytest.raises(UsageError, match="is no board"):
            SshDevice(name)


def test_without_ssh_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install openssh-client"):
        SshDevice("pi@board").connect()
