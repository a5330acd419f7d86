"""Files with what a store says of apps: a CSV with a heading, or JSON objects, one a line or a list.

Columns, in any order: `file`, `package`, `version_code`, `version_name`, `title`, `category` (several
joined by `|`), `installs`, `rating`, `ratings`, `price`, `currency`, `chart`, `rank`, `country`,
`device_profile`, `updated_at`. Others are left alone; an empty cell is unknown.
"""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gaugenn.errors import UsageError

Fields = dict[str, object]

_TEXTS = (
    *("package", "version_name", "title", "currency", "chart", "country", "device_profile"),
    "updated_at",
)
_WHOLES = ("version_code", "installs", "ratings", "rank")
_REALS = ("rating", "price")
_DIGITS = re.compile(r"[0-9]{1,18}")
_LARGEST_BYTES = 1 << 30


def rows(path: Path) -> Iterator[tuple[str, Fields]]:
    """The `file` cell and the fields of an `AppRef` for each row.

    Raises:
        UsageError: the file cannot be read, or a number in it is none; the message names the row.
    """
    for number, row in enumerate(_raw(path), start=1):
        where = f"{path}, row {number}"
        fields: Fields = {name: str(row[name]) for name in _TEXTS if _there(row, name)}
        for name in _WHOLES:
            if _there(row, name):
                fields[name] = _whole(str(row[name]), f"{where}: {name}")
        for name in _REALS:
            if _there(row, name):
                fields[name] = _real(str(row[name]), f"{where}: {name}")
        named = row.get("category") or row.get("categories") or ""
        split = named if isinstance(named, list) else str(named).split("|")
        fields["categories"] = tuple(str(part).strip() for part in split if str(part).strip())
        yield (str(row.get("file") or ""), fields)


def _there(row: Mapping[str, object], name: str) -> bool:
    return row.get(name) not in (None, "")


def _raw(path: Path) -> Iterator[Mapping[str, object]]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} is larger than 1 GiB; give a part of it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".json":
                found = json.load(file)
                yield from (_object(row, path) for row in found)
            elif path.suffix.lower() in (".jsonl", ".ndjson"):
                yield from (_object(json.loads(line), path) for line in file if line.strip())
            else:
                for row in csv.DictReader(file):
                    yield {str(key).strip().lower(): value for key, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except (ValueError, RecursionError, TypeError) as error:
        raise UsageError(f"{path} is no JSON with one object an app: {error}") from error


def _object(row: object, path: Path) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise UsageError(f"{path}: expected one object an app")
    return row


def _whole(text: str, where: str) -> int:
    """A whole number as stores write it: `1,000,000+` is 1000000."""
    clean = text.strip().replace(",", "").removesuffix("+")
    if not _DIGITS.fullmatch(clean):
        raise UsageError(f"{where}: {text[:40]!r} is no whole number")
    return int(clean)


def _real(text: str, where: str) -> float:
    try:
        value = float(text.strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {text[:40]!r} is no number")
    return value
