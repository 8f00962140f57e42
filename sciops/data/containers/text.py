"""Tables of numbers as text with comments that begin with ``%`` (COMSOL) or ``#``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sciops.core.errors import DataError
from sciops.data import budget
from sciops.data.layout import Stored

KEY = "table"
START = 1 << 12  # bytes that are looked at to recognise a table


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
    lines = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line[:1] not in "%#":
                break
            lines.append(line[1:].strip())
    return lines


def arrays(path: Path) -> dict[str, Stored]:
    """The table (rows, columns) under the key ``table``."""
    values = _table(path)
    return {KEY: Stored(str(path), "text", KEY, ("?", "?"), values.shape, values.dtype.str)}


def load(stored: Stored) -> Any:
    """The whole table."""
    return _table(Path(stored.path))


def _table(path: Path) -> np.ndarray:
    budget.require((path.stat().st_size,), 8, path, "the table")  # 1 character is no number
    try:
        return np.loadtxt(path, comments=["%", "#"], ndmin=2, dtype=np.float64)
    except (ValueError, OSError) as error:
        raise DataError(path, f"not a table of numbers ({error})") from None
