r"""What the entries of a matrix say of it: symmetric, positive definite, singular.

    symmetric       |a_ij - a_ji| <= rounding sqrt(|a_ii a_jj|)             rounding = eps^0.7
    not definite    a_ii < 0, or a_ij^2 > a_ii a_jj for some i != j         2 x 2 minors
    kernel          A 1_k = 0 for the 1_k of a component k of the graph of A, up to the rounding of
                    a sum, 2 n eps sum_j |a_ij| in a row of n entries
    definite        a_ii >= sum_{j != i} |a_ij| for all i, and > for one i of each component that is
                    not of the kernel                                       Gershgorin, Taussky

All of it costs a few passes over the entries.  Many definite matrices are not diagonally dominant
(elasticity, finite elements of higher order): of these nothing is known, `positive` is None.

A kernel of constants, as pure Neumann conditions leave it, needs no row to be dominant; `positive`
then means off the kernel, as everywhere in sciops.

Source: O. Taussky, A recurring theorem on determinants, Amer. Math. Monthly 56 (1949) 672-676.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciops.core.kernel import Kernel
from sciops.core.linear import SparseMap, field_shape


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is known of a matrix.

    Parameters
    ----------
    symmetric
        Whether it equals its transpose up to rounding.
    positive
        Whether it is positive definite (off the kernel); None where the entries do not tell.
    labels
        (N,) int64 components of the kernel as in `sciops.core.kernel`, None where there is none.
    reason
        Why, for people; it fits behind "symmetric:" where it is not, else behind "definite:".
    """

    symmetric: bool
    positive: bool | None
    labels: NDArray[np.int64] | None
    reason: str


def judge(matrix: Any, epsilon: float = float(np.finfo(np.float64).eps)) -> Verdict:
    """Look at the entries of a matrix.

    Parameters
    ----------
    matrix
        scipy CSR array (N, N) of finite numbers, without duplicates and explicit zeros.
    epsilon
        Rounding of the numbers from which it was made.
    """
    rounding, d = epsilon**0.7, matrix.diagonal()
    root = np.sqrt(np.abs(d))
    skew = (matrix - matrix.T).tocoo()
    wrong = np.abs(skew.data) > rounding * root[skew.row] * root[skew.col]
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, np.abs(skew.data), 0.0)))
        i, j = int(skew.row[worst]), int(skew.col[worst])
        return Verdict(False, None, None, f"{_entry(matrix, i, j)}, {_entry(matrix, j, i)}")
    labels = _kernel(matrix, epsilon)
    counter = _not_definite(matrix, d, root, rounding)
    if counter is not None:
        return Verdict(True, False, labels, counter)
    if _dominant(matrix, d, labels, rounding):
        return Verdict(True, True, labels, "diagonally dominant")
    return Verdict(True, None, labels, "not diagonally dominant, so the entries do not tell")


def _entry(matrix: Any, i: int, j: int) -> str:
    return f"a[{i}, {j}] = {matrix[i, j]:.6g}"


def _sizes(matrix: Any) -> NDArray[np.float64]:
    """sum_j |a_ij|, (N,)"""
    return np.asarray(abs(matrix).sum(axis=1)).ravel()


def _components(matrix: Any) -> NDArray[np.int64]:
    from scipy.sparse.csgraph import connected_components

    return connected_components(matrix, directed=False)[1].astype(np.int64)


def _kernel(matrix: Any, epsilon: float) -> NDArray[np.int64] | None:
    """Labels of the components on which all rows sum to zero; -1 on the others."""
    sums = np.abs(np.asarray(matrix.sum(axis=1)).ravel())
    zero = sums <= 2 * np.diff(matrix.indptr) * epsilon * _sizes(matrix)
    if not zero.any():
        return None
    component = _components(matrix)
    floating = np.ones(component.max() + 1, dtype=bool)
    floating[component[~zero]] = False
    if not floating.any():
        return None
    number = np.where(floating, np.cumsum(floating) - 1, -1)
    return number[component].astype(np.int64)


def _not_definite(
    matrix: Any, d: NDArray[np.float64], root: NDArray[np.float64], rounding: float
) -> str | None:
    """Entries that no positive semidefinite matrix has."""
    if (d < 0).any():
        i = int(np.argmin(d))
        return f"no, {_entry(matrix, i, i)}"
    entries = matrix.tocoo()
    bound = (1 + rounding) * root[entries.row] * root[entries.col]
    large = (entries.row != entries.col) & (np.abs(entries.data) > bound)
    if not large.any():
        return None
    k = int(np.argmax(large))
    i, j = int(entries.row[k]), int(entries.col[k])
    parts = (_entry(matrix, i, j), _entry(matrix, i, i), _entry(matrix, j, j))
    return f"no, {', '.join(parts)}: the square of the first exceeds the product of the others"


def _dominant(
    matrix: Any,
    d: NDArray[np.float64],
    labels: NDArray[np.int64] | None,
    rounding: float,
) -> bool:
    """The last rule at the top of this file."""
    sizes = _sizes(matrix)  # the diagonal included, so a_ii minus the rest is 2 a_ii - sizes
    excess = 2 * d - sizes
    if (excess < -rounding * sizes).any():
        return False
    component = _components(matrix)
    held = np.zeros(component.max() + 1, dtype=bool)
    held[component[excess > rounding * sizes]] = True
    if labels is not None:
        held[component[labels >= 0]] = True
    return bool(held.all())


def sparse_map(
    matrix: Any, shape: Sequence[int] | None, symmetric: bool, positive: bool, labels: Any = None
) -> SparseMap:
    """The matrix as a LinearMap with these promises, and with the kernel that `labels` (N,) say."""
    kernel = None
    if labels is not None:
        kernel = Kernel(torch.as_tensor(labels).reshape(field_shape(matrix.shape, shape)))
    return SparseMap.from_scipy(matrix, shape, symmetric, positive, kernel=kernel)
