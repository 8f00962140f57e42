r"""Sparse matrices whose arrays lie beside each other in an .npz or an HDF5 file.

    csr    data (nnz,), indices (nnz,) the columns, indptr (rows + 1,)
    csc    the same with the rows
    bsr    data (blocks, r, c), indices and indptr of the blocks
    coo    data, row, col (nnz,)
    dia    data (diagonals, columns), offsets (diagonals,)
    MATLAB 7.3   data, ir (nnz,) the rows, jc (columns + 1,)

Names may have a prefix, which is then the name of the matrix: ``A_data`` in an .npz, ``A/data`` in
HDF5.  `shape` (2,) is an array beside them or an attribute of the group; without it the matrix is
square.  The word csr, csc, .. is the array or attribute `format`, as scipy writes it, or the
attribute `encoding-type` of anndata (csr_matrix); without it, data, indices and indptr are csr.

Indices are checked before scipy sees them, since it reads memory at any that is given.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data import budget, containers, hdf5
from sciops.data.damage import structure
from sciops.data.inflate import guarded_hdf5
from sciops.data.layout import Stored

FORMATS = ("csr", "csc", "bsr", "coo", "dia")
PARTS = ("data", "indices", "indptr", "row", "col", "offsets", "shape", "ir", "jc")
POINTERS = {"indptr", "row", "offsets", "jc"}  # one of them makes a sparse matrix of `data`
WORD = 1 << 12  # bytes of the array that holds the word `format`

Shape = tuple[int, int]


def matrices(path: Path, arrays: Mapping[str, Stored]) -> dict[str, Callable[[], Any]]:
    """Name -> function that reads the sparse matrix; `arrays` are all of the file."""
    found: dict[str, Callable[[], Any]] = {}
    for key in arrays:
        prefix = key.removesuffix("data")
        parts = {p: arrays[prefix + p] for p in PARTS if prefix + p in arrays}
        if prefix != key and POINTERS & set(parts):
            found[prefix.rstrip("/_.") or "A"] = partial(_read, path, prefix, parts)
    return found


def values(stored: Stored) -> NDArray[Any]:
    """All numbers of an array as the file has them now, within the memory budget."""
    path = stored.path
    budget.require(stored.shape, np.dtype(stored.dtype).itemsize, path, stored.key)
    with structure(path):
        if stored.container == "hdf5":
            with hdf5.opened(path) as file:
                return np.array(guarded_hdf5(path, file[stored.key])[...])
        if stored.offset is None:
            return np.array(containers.module(stored.container).load(stored)[...])
        file = np.memmap(path, dtype=np.uint8, mode="r")
        dtype = np.dtype(stored.dtype)
        return np.array(np.ndarray(stored.shape, dtype, file, stored.offset, stored.strides))


def compressed(
    path: Path,
    kind: str,
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    shape: Shape | None,
) -> Any:
    """A csr, csc or bsr array of scipy from arrays that are checked here."""
    from scipy import sparse

    block = data.shape[1:] if kind == "bsr" else (1, 1)
    if data.ndim != (3 if kind == "bsr" else 1) or min(block) < 1 or len(block) != 2:
        raise DataError(path, f"a {kind} matrix with data of the shape {data.shape}")
    if shape is None:
        shape = ((len(indptr) - 1) * block[0],) * 2
    rows, columns = (shape[0] // block[0], shape[1] // block[1])
    outer, inner = (columns, rows) if kind == "csc" else (rows, columns)
    indptr = _integers(path, "indptr", indptr, len(data) + 1)
    indices = _integers(path, "indices", indices, inner)
    fits = len(indptr) == outer + 1 and len(indices) == len(data) and outer >= 0
    if not fits or indptr[0] != 0 or indptr[-1] != len(data) or (np.diff(indptr) < 0).any():
        raise DataError(
            path,
            f"damaged, or not a {kind} matrix of {shape[0]} x {shape[1]}: data {data.shape}, "
            f"indices {indices.shape}, indptr {indptr.shape} contradict each other",
        )
    make = {"csr": sparse.csr_array, "csc": sparse.csc_array, "bsr": sparse.bsr_array}[kind]
    with structure(path):
        return make((data, indices, indptr), shape=shape)


def _read(path: Path, prefix: str, parts: Mapping[str, Stored]) -> Any:
    from scipy import sparse

    kind, shape = _labels(path, prefix)
    if "shape" in parts:
        shape = _shape(path, values(parts["shape"]))
    kind = kind or _kind(parts)
    matlab = "jc" in parts
    needed = {"coo": ("data", "row", "col"), "dia": ("data", "offsets")}.get(
        kind, ("data", "ir", "jc") if matlab else ("data", "indices", "indptr")
    )
    missing = [prefix + p for p in needed if p not in parts]
    if missing or kind not in FORMATS:
        what = f"without {', '.join(missing)}" if missing else "which is none that sciops reads"
        raise DataError(
            path, f"a sparse matrix of the format {kind!r} {what}; expected {', '.join(FORMATS)}"
        )
    arrays = [values(parts[p]) for p in needed]
    if kind not in ("coo", "dia"):
        return compressed(path, kind, arrays[0], arrays[1], arrays[2], shape)
    if shape is None:
        raise DataError(path, f"a {kind} matrix without its shape; add the array {prefix}shape")
    budget.require(shape[:1], 8, path, "a vector for the matrix")
    with structure(path):
        if kind == "dia":
            return sparse.dia_array((arrays[0], arrays[1]), shape=shape)
        row = _integers(path, "row", arrays[1], shape[0])
        col = _integers(path, "col", arrays[2], shape[1])
        return sparse.coo_array((arrays[0], (row, col)), shape=shape)


def _kind(parts: Mapping[str, Stored]) -> str:
    if "jc" in parts:
        return "csc"
    return "coo" if "row" in parts else "dia" if "offsets" in parts else "csr"


def _labels(path: Path, prefix: str) -> tuple[str | None, Shape | None]:
    """(format, shape) as text and attributes of the file say, None where they do not."""
    if not hdf5.is_hdf5(path):
        return _word(path, f"{prefix}format.npy"), None
    with hdf5.opened(path) as file:
        attributes = file[prefix or "/"].attrs if prefix[-1:] in ("", "/") else {}
        word = attributes.get("format", attributes.get("encoding-type"))
        beside = file.get(f"{prefix}format")
        if word is None and isinstance(beside, h5py.Dataset):
            word = hdf5.values(path, beside)
        shape = attributes.get("shape")
        if shape is None and "MATLAB_sparse" in attributes:
            rows = int(np.ravel(attributes["MATLAB_sparse"])[0])
            shape = np.array([rows, file[f"{prefix}jc"].shape[0] - 1])
        kind = None if word is None else hdf5.text(word)
        if kind is not None:
            kind = kind.removesuffix("_matrix").removesuffix("_array")
        return kind, None if shape is None else _shape(path, np.asarray(shape))


def _word(path: Path, member: str) -> str | None:
    """The text in a member of a zip archive, None where there is none."""
    if not zipfile.is_zipfile(path):
        return None
    with structure(path), zipfile.ZipFile(path) as archive:
        if member not in archive.namelist():
            return None
        with archive.open(member) as stream:
            word = np.load(io.BytesIO(stream.read(WORD)), allow_pickle=False)
        return hdf5.text(word if word.ndim else word[()])


def _shape(path: Path, shape: NDArray[Any]) -> Shape:
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or int(shape.min()) < 0:
        raise DataError(path, f"a shape of two integers was expected, got {shape[:4]}")
    return int(shape[0]), int(shape[1])


def _integers(path: Path, name: str, array: NDArray[Any], limit: int) -> NDArray[np.int64]:
    """A list of integers in 0 .. limit - 1."""
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            path, f"{name} should be a list of integers, got {array.dtype} {array.shape}"
        )
    if array.size and not (int(array.min()) >= 0 and int(array.max()) < limit):
        raise DataError(
            path, f"{name} holds {array.min()} .. {array.max()}, expected 0 .. {limit - 1}"
        )
    return array.astype(np.int64)
