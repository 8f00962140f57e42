"""Files of arrays, whatever wrote them: which arrays there are, and how one is read.

A container is a module with

    is_container(path) -> bool          by the file's first bytes or structure
    arrays(path) -> {key: Stored}       every numeric array; the axes have no meaning yet ("?")
    load(stored) -> array-like          to be indexed; only where no memory map can do it

No container runs code that stands in a file: no pickle, no object arrays.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from sciops.core.errors import DataError
from sciops.data.damage import structure
from sciops.data.layout import Stored

CONTAINERS = ("hdf5", "npy", "npz", "torch", "netcdf3", "matlab", "zarr", "text")


def module(name: str) -> ModuleType:
    """The module of a container."""
    return importlib.import_module(f"sciops.data.containers.{name}")


def container(path: Path) -> str | None:
    """Name of the container that a file or folder is; None where it is none of them."""
    for name in CONTAINERS:
        if module(name).is_container(path):
            return name
    return None


def arrays(path: Path) -> dict[str, Stored]:
    """Every numeric array of a file, by its key; DataError where it is no known container."""
    name = container(path)
    if name is None:
        raise DataError(
            path, f"not a file of arrays that sciops can read ({', '.join(CONTAINERS)})"
        )
    with structure(path):
        found: dict[str, Stored] = module(name).arrays(path)
    return found
