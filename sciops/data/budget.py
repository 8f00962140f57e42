"""How much memory a read may take: what is asked for counts, not what a file declares.

The budget is half of the memory that the machine has free when it is first asked for, or the
environment variable ``SCIOPS_MEMORY`` (bytes, or with a suffix: ``4GiB``).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sciops.core.errors import ConfigError, DataError

VARIABLE = "SCIOPS_MEMORY"
FALLBACK = 4 << 30  # bytes, where the system does not say what is free
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@cache
def budget() -> int:
    """Bytes that one read may take."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return _free() // 2
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text)
    if found is None:
        raise ConfigError(f"{VARIABLE}: expected bytes or a size such as 4GiB, got {text!r}")
    return int(float(found[1]) * UNITS[found[2]])


def require(shape: Sequence[int], itemsize: int, path: str | Path, what: str) -> None:
    """DataError where an array of that shape would not fit the budget."""
    size = math.prod(int(n) for n in shape) * itemsize
    if size > budget():
        raise DataError(
            path,
            f"{what} of shape {tuple(shape)} takes {readable(size)}, more than the "
            f"{readable(budget())} that one read may take; read a part of it, or set {VARIABLE}",
        )


def readable(size: float) -> str:
    """Bytes for people: 3.2 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def _free() -> int:
    """Free bytes: of the machine, or of the container in which the process runs."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) << 10)
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii")
            found.append(max(int(limit) - int(used), 0))
    except (OSError, ValueError, IndexError):
        pass
    return min(found) if found else FALLBACK
