"""HDF5 files: opening with plain errors, a bounded cache of handles, stored arrays.

A handle is held per (process, thread, file) and opened where it is first used, so data sets hold
paths only and pickle; a process made by fork never uses its parent's handles.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data.damage import DAMAGE, said, structure
from sciops.data.filters import FILTERS, missing, names
from sciops.data.inflate import Guarded, guarded_hdf5
from sciops.data.layout import Stored

MAX_HANDLES = 64  # open files per thread; the usual limit of a process is 1024
SMALL = 1 << 26  # bytes of a coordinate, a list of times or of parameters
NUMBERS = "fiubc"  # kinds of numpy's types
ALL = 1 << 28  # bytes of all of these in one file

Identity = tuple[str | int, ...]
GLANCE = 0.05  # seconds
MAX_SEEN = 4096

_local = threading.local()
_seen: dict[tuple[str, str, int], tuple[float, Identity]] = {}  # until when, and what it was
_looked_at: set[tuple[str | int, ...]] = set()  # files that were found to hold no foreign links


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """The file, open for reading while a format looks at its `structure`."""
    outside = getattr(_local, "described", 0)
    _local.described = 0
    try:
        with structure(path), _open(path) as file:
            known = identity(str(path), fresh=True)
            if known not in _looked_at:
                refuse_foreign_links(path, file)
                _looked_at.add(known)
            yield file
    finally:
        _local.described = outside


def identity(path: str, fresh: bool = False) -> Identity:
    """What distinguishes a file from another that later stands under the same path.

    A file is looked at again after `GLANCE` seconds at the latest, or at once if `fresh`: to ask
    the system at every read would take as long as reading a window.
    """
    place = (path, "" if path.startswith("/") else os.getcwd(), os.getpid())
    now = time.monotonic()
    known = _seen.get(place)
    if known is not None and now < known[0] and not fresh:
        return known[1]
    try:
        found = os.stat(path)
    except OSError:
        raise DataError(path, "no such file") from None
    key = (
        os.getpid(), os.path.abspath(path), found.st_ino, found.st_mtime_ns, found.st_size
    )  # fmt: skip
    if len(_seen) > MAX_SEEN:
        _seen.clear()
    _seen[place] = (now + GLANCE, key)
    return key


def handle(path: str) -> h5py.File:
    """An open read-only handle of this process and thread, from a bounded cache."""
    cache: OrderedDict[tuple[str | int, ...], h5py.File] | None
    cache = getattr(_local, "handles", None)
    if cache is None:
        cache = _local.handles = OrderedDict()
    key = identity(path)
    if key in cache:
        cache.move_to_end(key)
        return cache[key]
    cache[key] = _open(path)
    while len(cache) > MAX_HANDLES:
        oldest, file = cache.popitem(last=False)
        if oldest[0] == os.getpid():
            file.close()
    return cache[key]


def member(path: str, key: str) -> h5py.Dataset | Guarded:
    """A data set through the handle of this process and thread; looked up once."""
    file = handle(path)
    found: dict[tuple[int, str], h5py.Dataset | Guarded] | None = getattr(_local, "members", None)
    if found is None:
        found = _local.members = {}
    dataset = found.get((file.id.id, key))
    if dataset is None or not dataset.id.valid:
        if len(found) > 16 * MAX_HANDLES:
            found.clear()
        try:
            dataset = found[file.id.id, key] = guarded_hdf5(path, file[key])
        except DAMAGE as error:
            if isinstance(error, DataError):
                raise
            raise DataError(path, f"no data set {key} any more ({said(error)})") from None
    return dataset


def close_all() -> None:
    """Close the handles of this thread."""
    for key, file in getattr(_local, "handles", {}).items():
        if key[0] == os.getpid():
            file.close()
    _local.handles = OrderedDict()
    _local.members = {}


def is_hdf5(path: Path) -> bool:
    """Whether the file begins with the HDF5 signature (at 0, 512, 1024, ..)."""
    return path.is_file() and bool(h5py.is_hdf5(path))


def values(path: str | Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """All of a small array (coordinates, times, parameters), refused where it is not small."""
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(path, f"{getattr(dataset, 'name', '?')} is a group, expected an array")
    require_own(path, dataset)
    size = int(np.prod(dataset.shape or (1,), dtype=object)) * dataset.dtype.itemsize
    if dataset.shape is None or size > SMALL:
        raise DataError(
            path,
            f"{dataset.name} should be a list of coordinates or parameters, but it has the shape "
            f"{dataset.shape}, {size / 2**20:.0f} MiB; at most {SMALL >> 20} MiB are read so",
        )
    _local.described = getattr(_local, "described", 0) + size
    if _local.described > ALL:
        raise DataError(
            path,
            f"its coordinates, times and parameters take more than {ALL >> 20} MiB together, "
            f"which is refused; they may be claimed only",
        )
    try:
        return np.asarray(guarded_hdf5(path, dataset)[()])
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        hint = missing(names(dataset))
        raise DataError(path, f"cannot read {dataset.name} ({said(error)}){hint}") from None


def refuse_foreign_links(path: str | Path, file: h5py.File) -> None:
    """DataError at the first link into another file; links are looked at, not followed."""

    def look(name: str, link: Any) -> str | None:
        return f"{name} -> {link.filename}" if isinstance(link, h5py.ExternalLink) else None

    try:
        found = file.visititems_links(look)
    except DAMAGE as error:
        raise DataError(
            path, f"a damaged HDF5 file: its links cannot be read ({said(error)})"
        ) from None
    if found is not None:
        raise DataError(path, f"holds a link into another file ({found}), which is refused")


def _open(path: str | Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise DataError(path, "no such file") from None
    except OSError as error:
        if not Path(path).is_file():
            raise DataError(path, "not a file") from None
        if not h5py.is_hdf5(path):
            raise DataError(
                path, "not an HDF5 file: it does not begin with the HDF5 signature"
            ) from None
        raise DataError(
            path, f"a damaged or truncated HDF5 file ({error}); fetch or write it again"
        ) from None


def stored(
    path: str | Path,
    dataset: h5py.Dataset,
    axes: tuple[str, ...],
    fixed: tuple[tuple[int, int], ...] = (),
) -> Stored:
    """The description of an HDF5 data set whose stored axes mean `axes`."""
    require_own(path, dataset)
    if dataset.shape is None or dataset.dtype.kind not in NUMBERS:
        raise DataError(path, f"{dataset.name} must hold numbers, got {dataset.dtype}")
    filters = names(dataset)
    plain = dataset.chunks is None and not filters and dataset.dtype.isnative
    return Stored(
        path=str(path),
        container="hdf5",
        key=dataset.name,
        axes=axes,
        shape=tuple(int(n) for n in dataset.shape),
        dtype=dataset.dtype.str,
        offset=dataset.id.get_offset() if plain and dataset.dtype.kind in "fiu" else None,
        chunks=dataset.chunks,
        filters=filters,
        fixed=fixed,
    )


def require_own(path: str | Path, dataset: h5py.Dataset) -> None:
    """DataError where the numbers of a data set lie in other files, or are made of other ones."""
    if dataset.external is not None or dataset.is_virtual:
        raise DataError(path, f"{dataset.name} points into other files, which is refused")


def library() -> tuple[str, list[str]]:
    """(version of HDF5, filters that this installation can read)."""
    found = [name for name, code in FILTERS.items() if h5py.h5z.filter_avail(code)]
    return h5py.version.hdf5_version, found


def text(value: Any) -> str:
    """An attribute that may be bytes, str or a numpy scalar, as str."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def texts(value: Any) -> list[str]:
    """An attribute that may be one name or an array of names."""
    if value is None:
        return []
    if isinstance(value, (str, bytes)):
        return [text(value)]
    return [text(v) for v in np.asarray(value).reshape(-1).tolist()]
