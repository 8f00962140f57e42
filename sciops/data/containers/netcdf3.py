"""netCDF-3 (classic), through scipy's reader; the numbers are read through a memory map.

Variables with a record dimension lie interleaved in the file, which strides describe.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sciops.core.errors import DataError
from sciops.data.layout import Stored

MAGIC = (b"CDF\x01", b"CDF\x02")


def is_container(path: Path) -> bool:
    """Whether it begins as the classic format does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) in MAGIC


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """scipy's `netcdf_file`; nothing that it gives may outlive the block."""
    import warnings

    from scipy.io import netcdf_file

    try:
        file = netcdf_file(str(path), "r", mmap=True)
    except Exception as error:  # scipy raises many kinds on damaged bytes
        raise DataError(
            path, f"a damaged netCDF-3 file ({type(error).__name__}: {error})"
        ) from None
    try:
        yield file
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # scipy: views of the map are alive
            file.close()


def arrays(path: Path) -> dict[str, Stored]:
    """The numeric variables."""
    with opened(path) as file:
        return {
            name: one
            for name, variable in file.variables.items()
            if (one := _stored(path, file, name, variable.data)) is not None
        }


def _stored(path: Path, file: Any, name: str, data: Any) -> Stored | None:
    if data.dtype.kind not in "fiu":
        return None
    shape = tuple(int(n) for n in data.shape)
    axes = ("?",) * data.ndim
    if data.size == 0:
        return None
    offset = data.__array_interface__["data"][0] - file._mm_buf.__array_interface__["data"][0]
    size = path.stat().st_size
    last = offset + sum((n - 1) * s for n, s in zip(shape, data.strides, strict=True))
    if offset < 0 or last + data.dtype.itemsize > size:
        raise DataError(path, f"{name} goes beyond the end of the file; it is truncated")
    strides = None if data.flags.c_contiguous else tuple(int(s) for s in data.strides)
    return Stored(str(path), "netcdf3", name, axes, shape, data.dtype.str, offset, strides=strides)


def load(stored: Stored) -> Any:
    """Never needed: the reader maps these files."""
    raise AssertionError(stored)
