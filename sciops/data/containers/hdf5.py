"""HDF5 as a container: every numeric data set, by its path without the first slash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from sciops.data import hdf5
from sciops.data.layout import Stored


def is_container(path: Path) -> bool:
    """Whether it is an HDF5 file."""
    return hdf5.is_hdf5(path)


def arrays(path: Path) -> dict[str, Stored]:
    """All data sets of numbers."""
    found: dict[str, Stored] = {}

    def look(name: str, member: Any) -> None:
        numeric = isinstance(member, h5py.Dataset) and member.dtype.kind in "fiucb"
        if numeric and member.shape is not None:
            found[name] = hdf5.stored(path, member, ("?",) * member.ndim)

    with hdf5.opened(path) as file:
        file.visititems(look)
    return found


def load(stored: Stored) -> Any:
    """The data set, through the handle of this process and thread."""
    return hdf5.member(stored.path, stored.key)
