"""Small files of the device that is measured, read in one round trip."""

import re
from collections.abc import Iterator

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, UsageError

TIMEOUT_S = 20.0
_PATTERN = re.compile(r"/[A-Za-z0-9_./:*-]*")


def lines(device: Device, patterns: tuple[str, ...], what: str) -> Iterator[tuple[str, str]]:
    """Path and text of each line of each file that can be read.

    Args:
        device: opened by the caller.
        patterns: absolute paths; `*` is the device's shell's.
        what: the meter, as the start of a message.

    Raises:
        DeviceError: the link was lost, or the command did not end.
        UsageError: a path has characters that a shell might read as something else.
    """
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise UsageError(f"{what}: {pattern!r} is no plain absolute path")
    # Each line after its path and a tab, in plain sh; what cannot be read is left out.
    command = (
        f'for f in {" ".join(patterns)}; do while IFS= read -r l; do printf "%s\\t%s\\n" "$f" "$l"; '
        'done < "$f"; done 2>/dev/null; exit 0'
    )
    output = device.run(["sh", "-c", command], timeout_s=TIMEOUT_S)
    if output.timed_out or output.exit_code != 0:
        raise DeviceError(f"{what}: reading {', '.join(patterns)} ended with {output.exit_code}")
    for line in output.stdout.splitlines():
        path, tab, text = line.partition("\t")
        if tab:
            yield path, text.strip()
