r"""Functions on one axis, and the matrices that take a field to their coefficients and back.

    x(s) = sum_k z_k phi_k(s),   s in [0, 1] the place along the axis as a fraction of its length

    fourier     e^{2 pi i k s / e}    k = -(m // 2) .. (m - 1) // 2, period e >= 1 axis lengths
    cosine      cos(pi k s)           k = 0 .. m-1          zero slope at both ends (Neumann)
    sine        sin(pi (k + 1) s)     k = 0 .. m-1          zero at both ends (Dirichlet)
    chebyshev   T_k(2 s - 1)          k = 0 .. m-1          nothing is asked of the ends

The points lie at s_i = (i + o) / (n + q), by the rules of `sciops.core.schema.Axis`, or where
`nodes` says.  Where the functions are orthogonal on the points, analysis is their quadrature

    z_k = sum_i w_i conj(phi_k(s_i)) x_i / sum_i w_i |phi_k(s_i)|^2,

elsewhere (chebyshev, nodes, and the cosine on points that it does not fit) it is least squares.
Both give z back exactly from a field of kept functions (but for e > 1, where the functions are not
independent on the axis).  Matrices of a Fourier axis are real: rows
cos, then rows -sin, of the wavenumbers 0 .. m // 2; `products.py` makes complex modes of them.

A field on n points has no wavenumber above n / 2 (the highest, where n is even, is shared evenly
between +n/2 and -n/2): rows of higher ones are zero, so that a mode is dropped where the grid
cannot carry it, on the way in and on the way out, and never taken for another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.tables import table

Kind = Literal["fourier", "cosine", "sine", "chebyshev"]
Spacing = Literal["periodic", "cell", "node", "left", "interior"]
KINDS: tuple[Kind, ...] = ("fourier", "cosine", "sine", "chebyshev")

PLACES: dict[Spacing, tuple[float, int]] = {  # (o, q) of s_i = (i + o) / (n + q)
    "periodic": (0.0, 0),
    "cell": (0.5, 0),
    "node": (0.0, -1),
    "left": (0.0, 0),
    "interior": (1.0, 1),
}
_ORTHOGONAL = {  # least squares serves the other pairs
    "fourier": ("periodic", "cell", "node", "left", "interior"),
    "cosine": ("cell", "node"),
    "sine": ("cell", "node", "left", "interior"),
    "chebyshev": (),
}


@dataclass(frozen=True)
class Basis:
    """The functions that are kept along one axis.

    Parameters
    ----------
    kind
        Which functions, see the top of this file.
    n_modes
        How many, m; of Fourier modes both signs are counted.  An odd m is symmetric; an even m
        keeps -m/2 and not m/2, as neuraloperator does.
    spacing
        Where the points lie.
    extension
        fourier: the period over the length of the axis; 1.25 stands for a quarter of zeros
        behind the end, of which no point is ever made.
    nodes
        (n,) places in [0, 1] instead of `spacing`; such an axis has one size only.
    """

    kind: Kind = "fourier"
    n_modes: int = 15
    spacing: Spacing = "periodic"
    extension: float = 1.0
    nodes: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.spacing not in PLACES:
            raise ConfigError(
                f"expected a basis of {KINDS} on points of {tuple(PLACES)}, "
                f"got {self.kind!r} on {self.spacing!r}"
            )
        if self.n_modes < 1:
            raise ConfigError(f"n_modes must be at least 1, got {self.n_modes}")
        if not self.extension >= 1.0 or (self.extension > 1.0 and self.kind != "fourier"):
            raise ConfigError(
                f"extension is the period of a Fourier basis, at least 1; got {self.extension} "
                f"for {self.kind}"
            )

    @property
    def is_complex(self) -> bool:
        """Whether the coefficients are complex numbers."""
        return self.kind == "fourier"

    @property
    def rows(self) -> int:
        """Rows of the matrices: 2 (m // 2 + 1) for a Fourier axis, m for the others."""
        return 2 * (self.n_modes // 2 + 1) if self.is_complex else self.n_modes


def analysis(basis: Basis, n: int, like: Tensor) -> Tensor:
    """(rows, n) matrix from values on n points to coefficients."""
    return _kept(_analysis, basis, n, False, like)


def synthesis(basis: Basis, n: int, half: bool, like: Tensor) -> Tensor:
    """(rows, n) functions at n points, so that x = z @ synthesis.

    `half`: on this axis only k >= 0 is stored, and each k > 0 stands for -k too.
    """
    return _kept(_synthesis, basis, n, half, like)


def _kept(make, basis: Basis, n: int, half: bool, like: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    """A matrix from the cache; made anew while a graph is traced, where n is a symbol."""
    if not torch.compiler.is_compiling():
        _check_points(basis, n)
    return table(make, basis, n, half, like=like)


def _check_points(basis: Basis, n: int) -> None:
    if basis.nodes is not None and n != len(basis.nodes):
        raise ShapeError(f"the basis has {len(basis.nodes)} nodes, the field {n} points")
    if basis.nodes is None and n + PLACES[basis.spacing][1] < 1:
        raise ShapeError(f"points of {basis.spacing!r} must be at least two, the field has {n}")


def _places(basis: Basis, n: int, device: torch.device) -> Tensor:
    """(n,) float64 places s in [0, 1]."""
    if basis.nodes is not None:
        return torch.tensor(basis.nodes, dtype=torch.float64, device=device)
    offset, extra = PLACES[basis.spacing]
    i = torch.arange(n, dtype=torch.float64, device=device)
    return (i + offset) / (n + extra)


def functions(basis: Basis, s: Tensor) -> Tensor:
    """(rows, n) functions at places s (n,), rows as in the matrices."""
    k = torch.arange(basis.rows // (2 if basis.is_complex else 1), device=s.device).to(s.dtype)
    if basis.kind == "fourier":
        angle = (2 * math.pi / basis.extension) * k[:, None] * s
        return torch.cat([angle.cos(), -angle.sin()])
    if basis.kind == "cosine":
        return (math.pi * k[:, None] * s).cos()
    if basis.kind == "sine":
        return (math.pi * (k[:, None] + 1) * s).sin()
    return (k[:, None] * (2 * s - 1).clamp(-1, 1).acos()).cos()


def _synthesis(basis: Basis, n: int, half: bool, device: torch.device) -> Tensor:
    table = functions(basis, _places(basis, n, device))
    if half:
        table = table * _twice_above_zero(basis, device)
    return table * (_load(basis, n, device) > 0)[:, None]


def _twice_above_zero(basis: Basis, device: torch.device) -> Tensor:
    """(rows, 1): 1 for k = 0, 2 for k > 0, of cosines and of sines."""
    k = torch.arange(basis.rows // 2, device=device, dtype=torch.float64)
    return torch.cat([1 + (k > 0), 1 + (k > 0)])[:, None].to(torch.float64)


def _load(basis: Basis, n: int, device: torch.device) -> Tensor:
    """(rows,) what a row counts on n points: 1, 1/2 at the highest wavenumber, 0 above it."""
    k = torch.arange(basis.rows, device=device, dtype=torch.float64)
    extra = PLACES[basis.spacing][1] if basis.nodes is None else 0
    if basis.kind == "fourier":
        k = torch.arange(basis.rows // 2, device=device, dtype=torch.float64)
        load = _step(basis.extension * (n + extra) / 2 - k)
        return torch.cat([load, load])
    if not _is_orthogonal(basis):
        return (k < n).to(torch.float64)
    if basis.kind == "cosine":
        return _step(n - 1 - k) if basis.spacing == "node" else (k < n).to(torch.float64)
    return _step(n - 1 - k) if basis.spacing == "cell" else (k + 1 < n + extra).to(torch.float64)


def _is_orthogonal(basis: Basis) -> bool:
    """Whether quadrature serves; a whole period needs its first point, which interior ones lack."""
    if basis.kind == "fourier" and basis.spacing == "interior" and basis.extension == 1.0:
        return False
    return basis.nodes is None and basis.spacing in _ORTHOGONAL[basis.kind]


def _step(above: Tensor) -> Tensor:
    """1 where positive, 1/2 at zero, 0 below."""
    return (above > 0) + 0.5 * (above == 0).to(torch.float64)


def _analysis(basis: Basis, n: int, half: bool, device: torch.device) -> Tensor:
    values = functions(basis, _places(basis, n, device))
    load = _load(basis, n, device)[:, None]
    if not _is_orthogonal(basis):
        return _least_squares(basis, values * (load > 0))
    weight = _quadrature(basis, n, device)
    if basis.kind == "fourier":
        return values * load * (weight / basis.extension)
    norm = 1 + (torch.arange(basis.rows, device=device) > 0).to(torch.float64)[:, None]
    return values * load * weight * (norm if basis.kind == "cosine" else 2.0)


def _quadrature(basis: Basis, n: int, device: torch.device) -> Tensor:
    """(n,) weights of the mean over the axis: the points stand for equal shares of it.

    All but the outermost points of an axis that does not close: nodes on both ends stand for half
    an interval, and before zeros (extension > 1) the point next to an end for all that lies there.
    """
    i = torch.arange(n, device=device)
    first, last = {"node": (0.5, 0.5), "left": (0.5, 1.5), "interior": (1.5, 1.5)}.get(
        basis.spacing, (1.0, 1.0)
    )
    if basis.spacing != "node" and basis.extension == 1.0:
        first, last = 1.0, 1.0
    ends = (first - 1) * (i == 0) + (last - 1) * (i == n - 1)
    return (1 + ends.to(torch.float64)) / (n + PLACES[basis.spacing][1])


def _least_squares(basis: Basis, values: Tensor) -> Tensor:
    """(rows, n): the coefficients of the closest combination of the rows of `values`."""
    if torch.compiler.is_compiling():
        gram = values @ values.T
        zero = (gram.diagonal() == 0).to(values.dtype)  # the sine of k = 0, functions not kept
        matrix = torch.linalg.solve(gram + zero.diag(), values)
    else:
        matrix = torch.linalg.pinv(values.T, rtol=1e-12)
    return matrix / _twice_above_zero(basis, values.device) if basis.is_complex else matrix
