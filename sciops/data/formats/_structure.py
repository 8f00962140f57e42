"""What a format asks of an HDF5 file: arrays, numbers and attributes, checked before they are used.

A file may hold a group where an array is expected, text where numbers are, or sizes that no memory
has.  Everything here ends in a `DataError` that says what was expected and what came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis
from sciops.data.damage import structure as structure
from sciops.data.hdf5 import SMALL, is_hdf5, opened, require_own, values
from sciops.data.inflate import guarded_hdf5

SUFFIXES = (".h5", ".hdf5")  # in a folder; a single file may have any name
LONGEST = SMALL // 8  # entries along one axis, since its coordinates are held in memory
COUNTED = "coordinates are not stored; the axes count the points from 0"


def files(path: Path) -> list[Path]:
    """The file itself, or the HDF5 files that lie in a folder, ordered by the numbers in names."""
    if not path.is_dir():
        return [path]
    found = [p for p in path.iterdir() if p.suffix in SUFFIXES and not p.name.startswith(".")]
    return sorted(found, key=lambda p: _natural(p.name))


def _natural(name: str) -> list[str | int]:
    return [int(s) if s.isdecimal() else s for s in re.split(r"([0-9]+)", name)]


def recognised(path: Path, check: Callable[[h5py.File], str | None]) -> str | None:
    """What `check` says of a file, or of a folder's first file; None where that is not HDF5."""
    found = files(path)
    if not found or not is_hdf5(found[0]):
        return None
    try:
        with structure(found[0]), opened(found[0]) as file:
            try:
                with structure(found[0]):
                    reason = check(file)
            except DataError:
                return None  # what is damaged here may be no matter to another format
    except DataError:
        if path.is_dir():
            return None  # likewise
        raise
    if reason is None or path.is_file():
        return reason
    return f"a folder of {len(found)} files: {reason}"


def is_array(group: Any, name: str, *ranks: int) -> bool:
    """Whether the group holds a numeric array of that name and of one of the ranks."""
    found = group.get(name) if isinstance(group, h5py.Group) else None
    return (
        isinstance(found, h5py.Dataset)
        and found.shape is not None
        and found.dtype.kind in "fiu"
        and len(found.shape) in ranks
    )


def array(path: Path, group: h5py.Group, name: str, meaning: str) -> h5py.Dataset:
    """The array of that name; `meaning`, for example ``(n, T, X)``, gives its rank."""
    rank = len(meaning.strip("()").rstrip(",").split(","))
    found = group.get(name)
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(found, h5py.Dataset):
        what = "nothing of that name" if found is None else "a group"
        raise DataError(path, f"expected the array {where} {meaning}, got {what}")
    if found.shape is None or len(found.shape) != rank:
        raise DataError(path, f"{where} must be {meaning}, got the shape {found.shape}")
    if found.dtype.kind not in "fiu":
        raise DataError(path, f"{where} must hold real numbers, got {found.dtype}")
    if not all(1 <= n <= LONGEST for n in found.shape):
        raise DataError(path, f"{where} must be {meaning} and not empty, got {found.shape}")
    return found


def same_shape(path: Path, arrays: dict[str, h5py.Dataset]) -> tuple[int, ...]:
    """The one shape of several arrays."""
    shapes = {name: tuple(a.shape) for name, a in arrays.items()}
    if len(set(shapes.values())) != 1:
        raise DataError(path, f"these arrays must have one shape, got {shapes}")
    return next(iter(shapes.values()))


def numbers(
    path: Path, group: h5py.Group, name: str, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """A small array of finite numbers of exactly that shape."""
    found = group.get(name)
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu":
        raise DataError(path, f"expected {where}, numbers of the shape {shape}; it is not there")
    if found.shape != shape:
        raise DataError(path, f"{where} must have the shape {shape}, got {found.shape}")
    read = values(path, found).astype(np.float64)
    if not np.isfinite(read).all():
        raise DataError(path, f"{where} holds NaN or infinity")
    return read


def line(path: Path, data: h5py.Dataset, index: tuple[int | slice, ...]) -> NDArray[np.float64]:
    """One line of a large array, for coordinates that are stored at every point."""
    chunk = int(np.prod(data.chunks or (1,), dtype=object)) * data.dtype.itemsize
    if chunk > SMALL:
        raise DataError(path, f"{data.name} is stored in chunks of {chunk >> 20} MiB; rechunk it")
    require_own(path, data)
    return np.asarray(guarded_hdf5(path, data)[index], dtype=np.float64)


def attribute(path: Path, item: Any, name: str) -> Any:
    """An attribute, None where it is not there."""
    try:
        return item.attrs.get(name)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(path, f"cannot read {item.name}@{name} ({error})") from None


def number(path: Path, item: Any, name: str) -> float | None:
    """An attribute that is one finite number; None where it is missing or something else."""
    return as_number(attribute(path, item, name))


def as_number(value: Any) -> float | None:
    """One finite real number; None for text, arrays, truth values and everything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return None
    if isinstance(value, np.complexfloating):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if np.isfinite(found) else None


def counted(name: str, n: int) -> Axis:
    """The axis of which nothing but the number of points is known: x_i = i on [0, n]."""
    return Axis.uniform(name, n, 0.0, float(n), "left")
