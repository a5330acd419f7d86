"""The members of a tar archive inside a package, read in place.

**Source:** POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header",
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13 ; long names and
binary sizes: https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

import re
from collections.abc import Iterator, Sequence

from gaugenn.apps.directory import STORED, Entry, member_name
from gaugenn.apps.limits import Account
from gaugenn.errors import PackageError

_BLOCK = 512
_MAGIC_AT, _MAGIC = 257, b"ustar"
_FILES = (b"0", b"\0", b"7")
_GNU_NAME, _PAX = b"L", b"x"
_LONGEST_NAME = 4096
_PAX_PATH = re.compile(rb"(?:^|\n)\d+ path=([^\n]*)\n")


def is_tar(head: bytes) -> bool:
    """Whether the bytes start a tar archive of this century."""
    return head[_MAGIC_AT : _MAGIC_AT + 5] == _MAGIC and len(head) >= _BLOCK


class Tar:
    """The files of a tar archive; folders, links and devices are left out.

    Args:
        data: the whole archive.
        account: limits and counters to charge.

    Attributes:
        entries: the files as members that are stored, in order.

    Raises:
        PackageError: the first header is none.
    """

    __slots__ = ("_by_name", "_data", "account", "entries")

    def __init__(self, data: memoryview, account: Account) -> None:
        if not is_tar(bytes(data[:_BLOCK])):
            raise PackageError("tar: expected 'ustar' at byte 257")
        self._data = data
        self.account = account
        self.entries: Sequence[Entry] = list(self._list())
        self._by_name = {entry.name: entry for entry in reversed(self.entries)}
        account.members += len(self.entries)

    def find(self, name: str) -> Entry | None:
        """The first member of that name."""
        return self._by_name.get(name)

    def head(self, entry: Entry, count: int) -> bytes:
        """The first `count` bytes of a member."""
        return bytes(self._data[entry.offset : entry.offset + min(count, entry.size_bytes)])

    def read(self, entry: Entry) -> memoryview:
        """A member's bytes, a view.

        Raises:
            PackageError: the archive ends before the member does.
        """
        end = entry.offset + entry.size_bytes
        if end > self._data.nbytes:
            raise PackageError(
                f"{entry.name}: ends at {end}, archive at {self._data.nbytes}: it is cut off"
            )
        return self._data[entry.offset : end]

    def stored(self, entry: Entry) -> memoryview | None:
        """The same as `read`.

        Raises:
            PackageError: as `read`.
        """
        return self.read(entry)

    def _list(self) -> Iterator[Entry]:
        data, room, at = self._data, self.account.room, 0
        longer: bytes | None = None
        while at + _BLOCK <= data.nbytes:
            header = bytes(data[at : at + _BLOCK])
            size = _number(header[124:136])
            if header[_MAGIC_AT : _MAGIC_AT + 5] != _MAGIC or size is None:
                return  # zeros at the end, or damage
            start = at + _BLOCK
            at = start + (size + _BLOCK - 1) // _BLOCK * _BLOCK
            kind = header[156:157]
            if kind in (_GNU_NAME, _PAX):
                body = bytes(data[start : start + min(size, 16 * _LONGEST_NAME)])
                found = _PAX_PATH.search(body) if kind == _PAX else None
                longer = found.group(1) if found else longer
                longer = body.rstrip(b"\0") if kind == _GNU_NAME else longer
                continue
            name = longer if longer is not None else _ustar_name(header)
            longer = None
            if kind not in _FILES:
                continue
            if room <= 0:
                self.account.note("limit-members")
                return
            room -= 1
            yield Entry(member_name(name[:_LONGEST_NAME]), 0, STORED, 0, size, size, start)


def _ustar_name(header: bytes) -> bytes:
    name, prefix = header[:100].rstrip(b"\0"), header[345:500].rstrip(b"\0")
    gnu = header[_MAGIC_AT : _MAGIC_AT + 8] == b"ustar  \0"  # has other fields there
    return name if gnu or not prefix else prefix + b"/" + name


def _number(field: bytes) -> int | None:
    """Octal digits, or with the highest bit set a big-endian number."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]{1,12}", digits) else None
