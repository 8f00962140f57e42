r"""Finite volumes around nodes for  -Laplace u - k^2 u = f  on [0, 1]^2 with data on its walls.

    sum_d [t_{i+e_d/2} (u_i - u_{i+e_d}) + t_{i-e_d/2} (u_i - u_{i-e_d})] - s_i k_i^2 u_i
        - i b_i k_i u_i = s_i f_i + b_i g_i

The unknowns are the nodes x_i = i h, those on the walls included.  Each stands for its share of the
box, s_i = 1 cell inside, 1/2 at a wall and 1/4 in a corner, and the formula is the balance of that
share over h_x h_y.  t is 1/h_d^2 between two nodes, half of it along a wall; b_i is the length of
wall of the share over h_x h_y.  The term in i is there under du/dn - i k u = g and not under
du/dn = g.

The matrix S - i B equals its transpose, S and B are real, and B lives on the walls.  The error of u
is O(h^2) where k is smooth; that of a row is O(h^2) inside and O(h) at a wall.

Source: P. Wesseling, An Introduction to Multigrid Methods, 1992, chapter 3 (vertex-centred finite
volumes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Wall = tuple[int, int]  # axis, and 0 for its lower or -1 for its upper end


def matrix(k: Real, boundary: str) -> Any:
    """S, or S - i B with the impedance, as a scipy CSC array; k (nx, ny)."""
    from scipy.sparse import diags_array, kron

    sx, sy = (diags_array(shares(n)) for n in k.shape)
    stiffness = kron(_stiffness(k.shape[0]), sy) + kron(sx, _stiffness(k.shape[1]))
    S = stiffness - diags_array((k**2).ravel() * kron(sx, sy).diagonal())
    if boundary == "neumann":
        return S.tocsc()
    walls: dict[Wall, Real] = {
        (axis, end): np.ones(k.shape[1 - axis]) for axis in (0, 1) for end in (0, -1)
    }
    return (S - 1j * diags_array((k * wall_load(k.shape, walls)).ravel())).tocsc()


def _stiffness(n: int) -> Any:
    """-d^2/dx^2 on n nodes of [0, 1] with half cells at the ends, (n, n)."""
    from scipy.sparse import diags_array

    diagonal, beside = np.full(n, 2.0), np.full(n - 1, -1.0)
    diagonal[[0, -1]] = 1.0
    return diags_array([beside, diagonal, beside], offsets=[-1, 0, 1]) * (n - 1.0) ** 2


def shares(n: int) -> Real:
    """The part of a cell that each of n nodes stands for, (n,)."""
    return np.pad(np.ones(n - 2), 1, constant_values=0.5)


def wall_load(shape: tuple[int, int], g: Mapping[Wall, Real] | Mapping[Wall, Complex]) -> Any:
    """b_i g_i of the formula above, (nx, ny), from g along each wall that has data."""
    load = np.zeros(shape, dtype=np.result_type(*g.values()))
    for (axis, end), values in g.items():
        on_wall = np.moveaxis(load, axis, 0)[end]  # a view
        on_wall += values * shares(shape[1 - axis]) * (shape[axis] - 1)
    return load
