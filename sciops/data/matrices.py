r"""Linear systems A x = b in files: A as a scipy CSR array of float64, b as an array.

    .npz    what `scipy.sparse.save_npz` writes, or its arrays with a common prefix: A_data,
            A_indices, A_indptr, A_shape; `sparse_arrays.py` has the details, also of HDF5
    .h5     a group with the data sets data, indices, indptr and shape (or a root with them)
    .mtx    Matrix Market, also gzipped; symmetric storage is filled up
    .mat    a sparse matrix of MATLAB, all versions from 5 on
    .npy    a dense matrix; the others may hold a dense one as well

A file of several matrices means the one with the name A, of several vectors that with the name b;
``FILE:NAME`` takes any other.  Without a file for b, a `b` beside the matrix is used.  What a file
is, is seen by its first bytes; pickled objects are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import ConfigError, DataError
from sciops.data import budget, containers, matlab_sparse, matrix_market, sparse_arrays
from sciops.data.files import replacing

ENDINGS = (".npz", ".npy", ".h5", ".hdf5")  # of solutions


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """A x = b as it stands in files.

    Parameters
    ----------
    matrix
        scipy CSR array (N, N) of float64, finite, without explicit zeros.
    b
        (N,), (N, k) for k right-hand sides, or (*shape), float64; None where there is none.
    source
        Where b comes from, for people.
    epsilon
        Distance from 1 to the next number of the type in which the matrix was stored.
    """

    matrix: Any
    b: NDArray[np.float64] | None
    source: str
    epsilon: float


def read_system(
    matrix: str | Path, rhs: str | Path | None = None, shape: Sequence[int] | None = None
) -> LinearSystem:
    """A and b from one file or two.

    Parameters
    ----------
    matrix, rhs
        Files, or ``FILE:NAME``.
    shape
        The grid, where b may be stored as a field on it.

    Raises
    ------
    DataError
        If a file is missing, damaged, or of a kind that is not read; if the matrix is empty, not
        square or complex; if b has another length; if one of them holds NaN or infinity.
    """
    path, name = located(matrix)
    A, epsilon = _checked_matrix(path, _matrix(path, name))
    if rhs is not None:
        at, name = located(rhs)
        name, b = _vector(at, name)
    elif (beside := _beside(path, name)) is not None:
        at, name = path, beside
        _, b = _vector(path, name)
    else:
        return LinearSystem(A, None, "", epsilon)
    source = f"{at}:{name}" if name else str(at)
    return LinearSystem(A, _checked_vector(at, b, A.shape[0], shape), source, epsilon)


def _beside(path: Path, matrix: str | None) -> str | None:
    """The name of a `b` in the file of the matrix: in the same group, or at the top."""
    if matrix_market.is_matrix_market(path):
        return None
    arrays = containers.arrays(path)
    if matrix is None and containers.container(path) != "matlab":
        found = list(sparse_arrays.matrices(path, _arrays(path)))
        matrix = found[0] if len(found) == 1 else None
    group = (matrix or "").rpartition("/")[0]
    near = [f"{group}/b"] if group else []
    return next((name for name in [*near, "b"] if name in arrays), None)


def located(text: str | Path) -> tuple[Path, str | None]:
    """(file, name inside it) of ``FILE`` or ``FILE:NAME``."""
    path, name = Path(text), None
    before, colon, after = str(text).rpartition(":")
    if colon and not path.exists() and Path(before).is_file():
        path, name = Path(before), after.strip("/")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise DataError(path, f"{what}; expected a file with a matrix or a vector")
    return path, name


def _matrix(path: Path, name: str | None) -> Any:
    """The matrix as it is stored: sparse, or a dense array."""
    found: dict[str, Callable[[], Any]]
    if matrix_market.is_matrix_market(path):
        found = {"A": lambda: matrix_market.read(path)}
    elif containers.container(path) == "matlab" and (names := matlab_sparse.names(path)):
        found = {n: lambda n=n: matlab_sparse.read(path, n) for n in names}  # type: ignore[misc]
    else:
        arrays = _arrays(path)
        found = sparse_arrays.matrices(path, arrays) or {
            k: lambda s=s: sparse_arrays.values(s)  # type: ignore[misc]
            for k, s in arrays.items()
            if len(s.shape) == 2
        }
    return found[_chosen(path, found, name, "A", "matrix")]()


def _vector(path: Path, name: str | None) -> tuple[str, NDArray[Any]]:
    """(its name where the file holds several arrays, b as it is stored)."""
    if matrix_market.is_matrix_market(path):
        b = matrix_market.read(path)
        budget.require(b.shape, 8, path, "the right-hand side")
        return "", b.toarray() if hasattr(b, "toarray") else b
    arrays = _arrays(path)
    key = _chosen(path, arrays, name, "b", "array")
    return key if len(arrays) > 1 else "", sparse_arrays.values(arrays[key])


def _arrays(path: Path) -> dict[str, Any]:
    if containers.container(path) is None:
        raise DataError(
            path,
            "not a file of matrices or vectors that sciops reads (.npz, .npy, HDF5, Matrix Market, "
            "MATLAB); scipy.sparse.save_npz writes one",
        )
    return containers.arrays(path)


def _chosen(path: Path, found: Mapping[str, Any], name: str | None, usual: str, what: str) -> str:
    """The name that is asked for, or the only one, or the usual one."""
    listed = ", ".join(list(found)[:8]) or "none"
    if name is not None:
        if name not in found:
            raise DataError(path, f"no {what} {name!r} in it; there is: {listed}")
        return name
    if len(found) == 1:
        return next(iter(found))
    if usual in found:
        return usual
    if not found:
        raise DataError(
            path,
            f"no {what} in it; expected the arrays of scipy.sparse.save_npz (data, indices, "
            f"indptr, shape) or a dense matrix; pickled objects are not read",
        )
    raise DataError(path, f"holds several, and none is called {usual}: {listed}; say {path}:NAME")


def _checked_matrix(path: Path, A: Any) -> tuple[Any, float]:
    """A as a canonical CSR array of float64, and the rounding of its stored type."""
    from scipy.sparse import csr_array

    if len(A.shape) != 2 or A.shape[0] != A.shape[1]:
        size = " x ".join(map(str, A.shape))
        raise DataError(path, f"a matrix of {size}; a linear system needs a square one")
    if A.shape[0] == 0:
        raise DataError(path, "an empty matrix (0 x 0); there is nothing to solve")
    _require_real(path, A, "a matrix")
    stored = np.dtype(A.dtype)
    A = csr_array(A.astype(np.float64))
    A.sum_duplicates()
    bad = np.flatnonzero(~np.isfinite(A.data))
    if len(bad):
        row = int(np.searchsorted(A.indptr, bad[0], side="right")) - 1
        raise DataError(
            path,
            f"{len(bad)} entries of the matrix are NaN or infinite, the first in row {row}, column "
            f"{A.indices[bad[0]]} (from 0); such a system has no solution",
        )
    A.eliminate_zeros()
    kind = stored if stored.kind == "f" and stored.itemsize <= 8 else np.dtype(np.float64)
    return A, float(np.finfo(kind).eps)


def _checked_vector(
    path: Path, b: NDArray[Any], n: int, shape: Sequence[int] | None
) -> NDArray[np.float64]:
    """B, real, finite and of a length that fits n unknowns."""
    _require_real(path, b, "a right-hand side")
    if b.shape == (1, n):  # MATLAB and scipy.io.savemat keep a vector as a row
        b = b[0]
    columns = b.ndim == 2 and len(b) == n and b.shape[1] > 0
    if not (b.shape == (n,) or columns or (shape is not None and b.shape == tuple(shape))):
        grid = f", ({n}, k) or {tuple(shape)}" if shape is not None else f" or ({n}, k)"
        raise DataError(
            path,
            f"a right-hand side of the shape {b.shape} for a matrix of {n} unknowns; expected "
            f"({n},){grid}",
        )
    bad = np.argwhere(~np.isfinite(b))
    if len(bad):
        at = ", ".join(map(str, bad[0]))
        raise DataError(
            path,
            f"{len(bad)} values of the right-hand side are NaN or infinite, the first at [{at}]",
        )
    return b.astype(np.float64)


def _require_real(path: Path, values: Any, what: str) -> None:
    if np.dtype(values.dtype).kind == "c":
        raise DataError(
            path,
            f"{what} of complex numbers; sciops solves real systems: write [[Re A, -Im A], "
            f"[Im A, Re A]] for A and [Re b, Im b] for b",
        )


def check_solution_name(path: Path) -> None:
    """ConfigError unless `write_solution` knows the ending."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: a solution ends in {', '.join(ENDINGS)}, got {path.suffix!r}")


def write_solution(
    path: Path, x: NDArray[np.float64], residual: NDArray[Any], iterations: NDArray[Any]
) -> None:
    """Write x, and except in .npy residual and iterations of each right-hand side; replaces."""
    check_solution_name(path)
    arrays = {"x": x, "residual": residual, "iterations": iterations}
    with replacing(path) as temporary:
        if path.suffix.lower() in (".h5", ".hdf5"):
            with h5py.File(temporary, "w") as file:
                for name, values in arrays.items():
                    file[name] = values
            return
        with temporary.open("wb") as stream:
            if path.suffix.lower() == ".npy":
                np.save(stream, x, allow_pickle=False)
            else:
                np.savez(stream, allow_pickle=False, **arrays)
