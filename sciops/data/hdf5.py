"""HDF5 files: opening with plain errors, a bounded cache of handles, stored arrays.

A handle is held per (process, thread, file) and opened where it is first used, so data sets hold
paths only and pickle; a process made by fork never uses its parent's handles.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciops.core.errors import DataError
from sciops.data.layout import Stored

MAX_HANDLES = 64  # open files per thread; the usual limit of a process is 1024

_local = threading.local()


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """The file, open for reading while a format looks at its structure."""
    with _open(path) as file:
        yield file


def identity(path: str) -> tuple[str | int, ...]:
    """What distinguishes a file from another that later stands under the same path."""
    try:
        found = os.stat(path)
    except OSError:
        raise DataError(path, "no such file") from None
    return os.getpid(), os.path.abspath(path), found.st_ino, found.st_mtime_ns, found.st_size


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


def close_all() -> None:
    """Close the handles of this thread."""
    for key, file in getattr(_local, "handles", {}).items():
        if key[0] == os.getpid():
            file.close()
    _local.handles = OrderedDict()


def is_hdf5(path: Path) -> bool:
    """Whether the file begins with the HDF5 signature (at 0, 512, 1024, ..)."""
    return path.is_file() and bool(h5py.is_hdf5(path))


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
    external = dataset.external is not None or dataset.is_virtual
    if external:
        raise DataError(path, f"{dataset.name} points into other files, which is refused")
    filters = tuple(
        dataset.id.get_create_plist().get_filter(i)[3].decode() or "filter"
        for i in range(dataset.id.get_create_plist().get_nfilters())
    )
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


def library() -> tuple[str, list[str]]:
    """(version of HDF5, filters that this installation can read)."""
    known = {
        "gzip": h5py.h5z.FILTER_DEFLATE,
        "lzf": h5py.h5z.FILTER_LZF,
        "szip": h5py.h5z.FILTER_SZIP,
        "shuffle": h5py.h5z.FILTER_SHUFFLE,
        "blosc": 32001,
        "lz4": 32004,
        "zfp": 32013,
        "zstd": 32015,
    }
    found = [name for name, code in known.items() if h5py.h5z.filter_avail(code)]
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
