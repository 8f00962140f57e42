"""What libraries raise at damaged files, and the one error that users get instead.

A file may hold a group where an array is expected, text where numbers are, sizes that no memory has
or streams that cannot be decompressed; h5py, numpy, zipfile, zlib and zarr raise some thirty kinds
of exceptions at them.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sciops.core.errors import DataError, SchemaError, SciopsError

DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SystemError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
LONGEST = 1000  # characters: foreign names and values stand in these texts


@contextmanager
def structure(path: str | Path) -> Iterator[None]:
    """A block in which contradictions and unreadable objects become a `DataError` of that file."""
    try:
        yield
    except SchemaError as error:
        raise DataError(path, str(error)[:LONGEST]) from None
    except DAMAGE as error:
        if isinstance(error, SciopsError):
            raise
        raise DataError(path, f"damaged, or not what it seems to be ({said(error)})") from error


def said(error: Exception) -> str:
    """What an exception says, in one line and with its kind where that says more."""
    text = " ".join(str(error).split())[:LONGEST]
    return text if isinstance(error, OSError) and text else f"{type(error).__name__}: {text}"
