"""MATLAB's ``.mat`` of level 5 (versions 5 to 7.2); version 7.3 is HDF5.

    128 bytes of header, then elements: tag (type, bytes), content
    miMATRIX       flags (class, complex, logical), dimensions, name, real part[, imaginary part]
    miCOMPRESSED   a miMATRIX through zlib

Numbers are in Fortran order and may be stored in a smaller type than their class.  A real array
that is stored as its class, without compression, is read through a memory map; others as a whole,
within the memory budget.  Cells, structures, text and objects are left out; sparse matrices are not
arrays.  The bytes are parsed here, since scipy's reader can crash the process on damaged ones.
Source: MathWorks, "MAT-File Format", level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data import budget
from sciops.data.layout import Stored

NUMERIC = {
    "double": "f8", "single": "f4", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8", "logical": "b1",
}  # fmt: skip
CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64",
    15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
COMPLEX, LOGICAL = 0x0800, 0x0200
HEADER = 128  # bytes of text and version at the beginning of a level-5 file
HEAD = 1 << 12  # bytes of an element that are looked at for flags, dimensions and name
LONGEST = 32  # dimensions


@dataclass(frozen=True)
class _Matrix:
    """One element: what it says of itself, and where its content lies in the file."""

    name: str
    shape: tuple[int, ...]
    kind: str
    complex: bool
    order: str  # "<" or ">"
    compressed: bool
    position: int  # of the content in the file
    length: int  # of the content in the file
    numbers: int  # where the tag of the real part lies in the (decompressed) content


def is_container(path: Path) -> bool:
    """Whether it begins with the text and the version of a level-5 file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(HEADER)
    return len(head) == HEADER and head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def listing(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> (shape, class) of everything in the file, sparse matrices and text included."""
    return {m.name: (m.shape, m.kind) for m in matrices(path)}


def arrays(path: Path, names: Collection[str] | None = None) -> dict[str, Stored]:
    """The numeric arrays, or those of them that are named."""
    return {
        m.name: _stored(path, m)
        for m in matrices(path)
        if m.kind in NUMERIC and (names is None or m.name in names)
    }


def load(stored: Stored) -> Any:
    """One variable that cannot be mapped, as a whole."""
    path = Path(stored.path)
    for matrix in matrices(path):
        if matrix.name == stored.key and matrix.kind in NUMERIC:
            if matrix.shape != stored.shape or _dtype(matrix).str != stored.dtype:
                break
            return _values(path, matrix)
    raise DataError(path, f"no array {stored.key} of the shape {stored.shape} any more")


def _dtype(m: _Matrix) -> np.dtype[Any]:
    if m.complex:
        return np.dtype(m.order + ("c8" if m.kind == "single" else "c16"))
    return np.dtype(m.order + NUMERIC[m.kind])


def matrices(path: Path) -> Iterator[_Matrix]:
    """All named elements of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER)
        if len(head) < HEADER:
            raise DataError(path, "a damaged MATLAB file: shorter than its header")
        order = "<" if head[126:128] == b"IM" else ">"
        position = HEADER
        while position < size:
            file.seek(position)
            kind, length = tag(path, file.read(8), order)
            begin, end = position + 8, position + 8 + length
            if kind not in (MATRIX, COMPRESSED) or end > size:
                raise DataError(
                    path,
                    f"a damaged MATLAB file: at byte {position} an element of type {kind} with "
                    f"{length} bytes; {size - begin} bytes are left",
                )
            found = _matrix(path, file, order, kind == COMPRESSED, begin, length)
            if found is not None:
                yield found
            position = end if kind == COMPRESSED else begin + _padded(length)


def tag(path: Path, data: bytes, order: str) -> tuple[int, int]:
    if len(data) < 8:
        raise DataError(path, "a damaged MATLAB file: it ends within an element")
    kind, length = struct.unpack(order + "II", data)
    return kind, length


def _padded(length: int) -> int:
    return (length + 7) // 8 * 8


def _matrix(
    path: Path, file: IO[bytes], order: str, compressed: bool, begin: int, length: int
) -> _Matrix | None:
    """Flags, dimensions and name of an element; None where it is empty."""
    if compressed:
        head = decompressed(path, file.read(length), HEAD)
        kind, inside = tag(path, head[:8], order)
        if kind != MATRIX:
            raise DataError(path, f"a damaged MATLAB file: a compressed element of type {kind}")
        head = head[8:]
    else:
        head, inside = file.read(min(length, HEAD)), length
    if inside == 0:
        return None
    (_, flags, at), (_, dims, at_name), (_, name, numbers) = _first_three(path, head, order)
    del at, at_name
    if len(flags) < 8 or not 2 <= len(dims) // 4 <= LONGEST:
        raise DataError(path, "a damaged MATLAB file: an array without flags or dimensions")
    (bits,) = struct.unpack(order + "I", flags[:4])
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims[: len(dims) // 4 * 4])
    kind_name = CLASSES.get(bits & 0xFF, "unknown")
    if min(shape) < 0:
        raise DataError(path, f"a damaged MATLAB file: an array of the shape {shape}")
    if bits & LOGICAL and kind_name == "uint8":
        kind_name = "logical"
    return _Matrix(
        name.decode("utf-8", "replace"), shape, kind_name, bool(bits & COMPLEX), order,
        compressed, begin, length, numbers,
    )  # fmt: skip


def _first_three(path: Path, head: bytes, order: str) -> list[tuple[int, bytes, int]]:
    """(type, content, where the next begins) of flags, dimensions and name."""
    found, at = [], 0
    for _ in range(3):
        kind, start, length, after = subelement(path, head, at, order)
        if start + length > len(head):
            raise DataError(path, "a damaged MATLAB file: the head of an array is too long")
        found.append((kind, head[start : start + length], after))
        at = after
    return found


def subelement(path: Path, data: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """(type, where the content begins, its bytes, where the next begins); small ones have 4."""
    kind, length = tag(path, data[at : at + 8], order)
    if kind >> 16:
        return kind & 0xFFFF, at + 4, min(kind >> 16, 4), at + 8
    return kind, at + 8, length, at + 8 + _padded(length)


def decompressed(path: Path, data: bytes, most: int) -> bytes:
    """At most so many bytes of a compressed element."""
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error as error:
        raise DataError(path, f"a damaged MATLAB file ({error})") from None


def _stored(path: Path, m: _Matrix) -> Stored:
    dtype, axes = _dtype(m), ("?",) * len(m.shape)
    offset = strides = None
    if not m.compressed and not m.complex:
        with path.open("rb") as file:
            file.seek(m.position + m.numbers)
            kind, start, length, _ = subelement(path, file.read(8), 0, m.order)
        same = TYPES.get(kind) == NUMERIC[m.kind].replace("b1", "u1")
        exact = length == math.prod(m.shape) * dtype.itemsize
        if same and exact and m.numbers + start + length <= m.length:
            offset = m.position + m.numbers + start
            strides = tuple(dtype.itemsize * math.prod(m.shape[:k]) for k in range(len(m.shape)))
    return Stored(str(path), "matlab", m.name, axes, m.shape, dtype.str, offset, strides=strides)


def _values(path: Path, m: _Matrix) -> NDArray[Any]:
    """All numbers of an array in the type of its class."""
    dtype = _dtype(m)
    budget.require(m.shape, dtype.itemsize, path, f"the variable {m.name}")
    with path.open("rb") as file:
        file.seek(m.position)
        content = file.read(m.length)
    if m.compressed:
        _, inside = tag(path, decompressed(path, content, 8), m.order)
        budget.require((inside,), 1, path, f"the variable {m.name}")
        content = decompressed(path, content, 8 + inside)[8:]
    at, parts = m.numbers, []
    for _ in range(2 if m.complex else 1):
        kind, start, length, at = subelement(path, content, at, m.order)
        stored = np.dtype(m.order + TYPES[kind]) if kind in TYPES else None
        if (
            stored is None
            or start + length > len(content)
            or length != math.prod(m.shape) * stored.itemsize
        ):
            raise DataError(
                path,
                f"a damaged MATLAB file: {m.name} {m.shape} has {length} bytes of type {kind}",
            )
        parts.append(np.frombuffer(content, stored, length // stored.itemsize, start))
    values = parts[0].astype(dtype)
    if m.complex:
        values += 1j * parts[1]
    return values.reshape(m.shape, order="F")
