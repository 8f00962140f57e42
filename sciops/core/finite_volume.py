r"""The finite-volume operator  -div(a grad u)  on a uniform grid, as conductances of its faces.

    (A u)_i = sum_d [ t_{i+e_d/2} (u_i - u_{i+e_d}) + t_{i-e_d/2} (u_i - u_{i-e_d}) ],
    t = mean(a) / h_d^2,   u = 0 outside

A uniform grid in one, two or three dimensions carries a in one of two ways.

cell    a and u at the n cell centres, h = L/n.  The wall is half a cell away: t = 2 a / h^2.
node    a at all n nodes, walls included, h = L/(n-1); the unknowns are the n-2 inner nodes.

A face between two values of a takes their harmonic mean 2 a b / (a + b), exact in one dimension for
a that jumps at the face, or their arithmetic mean.  Both give an error of O(h^2) where a is smooth.

`conductances` holds t: one array a dimension, with one entry more than unknowns along its own.  It
describes A completely, and everything else is made from it.  All functions take numpy arrays or
torch tensors, except the last two, which are numpy's.

Source: R. J. LeVeque, Finite Difference Methods for ODEs and PDEs, SIAM 2007, section 2.15;
S. V. Patankar, Numerical Heat Transfer and Fluid Flow, 1980, section 4.2-3 (harmonic mean).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Centring = Literal["cell", "node"]
Mean = Literal["harmonic", "arithmetic"]
Field = NDArray[np.float64]
T = TypeVar("T")


def conductances(
    a: Any, spacing: Sequence[float], centring: Centring, mean: Mean = "harmonic"
) -> tuple[Any, ...]:
    """t of the formula above, one array a dimension.

    Parameters
    ----------
    a
        (*batch, *shape) positive coefficient, a numpy array or torch tensor (then t is one too).
    spacing
        Mesh width h_d along each of the D axes.

    Returns
    -------
    Per axis d an array (*batch, m_1, .., m_d + 1, .., m_D), m_d being the unknowns along axis d.
    """
    d = len(spacing)
    return tuple(
        _on_faces(_across(a, axis, d, centring), axis - d, centring, mean) / spacing[axis] ** 2
        for axis in range(d)
    )


def _across(a: Any, axis: int, d: int, centring: Centring) -> Any:
    """a restricted to the unknowns in all directions but `axis`."""
    inner = slice(None) if centring == "cell" else slice(1, -1)
    return a[(..., *(slice(None) if e == axis else inner for e in range(d)))]


def _on_faces(a: Any, axis: int, centring: Centring, mean: Mean) -> Any:
    """Means of neighbours along the (negative) axis; for cells also the doubled wall values."""
    left, right = a[along(axis, slice(-1))], a[along(axis, slice(1, None))]
    faces = 2 * left * right / (left + right) if mean == "harmonic" else (left + right) / 2
    if centring == "node":
        return faces
    return _joined(2 * a[along(axis, slice(1))], faces, 2 * a[along(axis, slice(-1, None))], axis)


def beside(mask: Any, axis: int, d: int, centring: Centring) -> Any:
    """Whether a face of `axis` (0 .. d-1) has a point of `mask` (*batch, *shape) on either side."""
    here, axis = _across(mask, axis, d, centring), axis - d
    faces = here[along(axis, slice(-1))] | here[along(axis, slice(1, None))]
    if centring == "node":
        return faces
    return _joined(here[along(axis, slice(1))], faces, here[along(axis, slice(-1, None))], axis)


def _joined(first: Any, faces: Any, last: Any, axis: int) -> Any:
    if isinstance(faces, np.ndarray):
        return np.concatenate([first, faces, last], axis=axis)
    import torch

    return torch.cat([first, faces, last], dim=axis)


def along(axis: int, part: slice) -> tuple[Any, ...]:
    """An index that takes `part` of a negative axis and everything else."""
    return (..., part, *(slice(None) for _ in range(-1 - axis)))


def diagonal(t: Sequence[T]) -> T:
    """The diagonal of A, (*batch, *unknowns)."""
    d = len(t)
    total: Any = 0
    for axis, faces in enumerate(t):
        total = total + faces[along(axis - d, slice(1, None))] + faces[along(axis - d, slice(-1))]  # type: ignore[index]
    return total


def off_diagonals(t: Sequence[Field]) -> list[tuple[int, Field]]:
    """(s, v) for each axis: v_i = A[i, i+s] = A[i+s, i], i = 0 .. N-1, and zero past an edge."""
    shape = diagonal(t).shape
    bands = []
    for axis, faces in enumerate(t):
        values = np.zeros(shape)
        values[along(axis - len(t), slice(-1))] = -faces[along(axis - len(t), slice(1, -1))]
        bands.append((math.prod(shape[axis + 1 :]), values.ravel()))
    return bands


def assembled(t: Sequence[Field]) -> Any:
    """A as a scipy CSC array (N, N), unknowns numbered with the last axis fastest."""
    from scipy.sparse import diags_array

    middle = diagonal(t).ravel()
    values, offsets = [middle], [0]
    for stride, band in off_diagonals(t):
        if stride < len(middle):
            values += [band[: len(middle) - stride]] * 2
            offsets += [stride, -stride]
    matrix = diags_array(values, offsets=offsets, format="csc")
    matrix.eliminate_zeros()
    return matrix
