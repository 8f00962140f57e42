"""Tables of numbers as text with comments that begin with ``%`` (COMSOL) or ``#``.

The key ``table`` stands for the whole table (rows, columns), ``columns 2,5,8`` for some of its
columns.  Text cannot be read in part: the table is parsed once for each process and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data import budget, hdf5
from sciops.data.layout import Stored

KEY = "table"
SOME = "columns "
START = 1 << 12  # bytes that are looked at to recognise a table
HEADER = 1 << 22  # characters of all comments before the first row
KEPT = 2  # tables that a process keeps


def is_container(path: Path) -> bool:
    """Whether the first line without a comment is a row of numbers."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(START)
    if not start or b"\0" in start:
        return False
    rows = [r for r in start.splitlines()[:-1] or [start] if r.strip() and r[:1] not in b"%#"]
    try:
        return bool(rows) and len([float(x) for x in rows[0].replace(b",", b" ").split()]) > 1
    except ValueError:
        return bool(start[:1] == b"%") and not rows


def comments(path: Path) -> list[str]:
    """The lines of comment before the first row."""
    lines: list[str] = []
    left = HEADER
    with path.open(encoding="utf-8", errors="replace") as file:
        while left > 0:
            line = file.readline(left)
            if not line or line[:1] not in "%#":
                break
            lines.append(line[1:].strip())
            left -= len(line)
    return lines


def arrays(path: Path) -> dict[str, Stored]:
    """The table (rows, columns) under the key ``table``."""
    values = table(path)
    return {KEY: Stored(str(path), "text", KEY, ("?", "?"), values.shape, values.dtype.str)}


def columns(whole: Stored, numbers: Sequence[int], axes: tuple[str, str]) -> Stored:
    """Some columns of a table, in that order, as one array."""
    key = SOME + ",".join(map(str, numbers))
    return replace(whole, key=key, axes=axes, shape=(whole.shape[0], len(numbers)))


def load(stored: Stored) -> Any:
    """The table, or some of its columns."""
    values = table(Path(stored.path))
    if not stored.key.startswith(SOME):
        return values
    numbers = [int(k) for k in stored.key.removeprefix(SOME).split(",")]
    if max(numbers) >= values.shape[1]:
        raise DataError(stored.path, f"has {values.shape[1]} columns, {stored.key} were expected")
    return values[:, numbers]


def table(path: Path) -> NDArray[np.float64]:
    """All numbers (rows, columns)."""
    return _parsed(hdf5.identity(str(path), fresh=True), path)


@lru_cache(maxsize=KEPT)
def _parsed(identity: tuple[str | int, ...], path: Path) -> NDArray[np.float64]:
    budget.require((path.stat().st_size,), 8, path, "the table")  # 1 character is no number
    try:
        values = np.loadtxt(path, comments=["%", "#"], ndmin=2, dtype=np.float64)
    except (ValueError, OSError) as error:
        raise DataError(path, f"not a table of numbers ({error})") from None
    values.flags.writeable = False
    return values
