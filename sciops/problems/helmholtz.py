r"""Waves of one frequency in a medium of variable speed: from the speed c to the amplitude u.

    -Laplace u - k^2 u = f  in [0, 1]^2,    k = omega / c(x),

    boundary "neumann"     du/dn = g          on the wall, u real: a closed box
    boundary "impedance"   du/dn - i k u = g  on the wall, u complex: waves leave, to first order

A sample has f = 0, g = 1 on the middle 0.3 of the upper side of y and 0 on the rest, and

    c = mean_speed + deviation tanh(z),    z = sum_m (pi^2 |m|^2 + tau^2)^(-alpha/2) xi_m phi_m,

the Gaussian field of `_gaussian_field.py` with its `modes` waves of smallest |m|, so that c is one
function on all grids that carry them.  With the defaults z is about 0.05 and k about 50.  All
quantities have no unit; u exp(-i omega t) is the wave in time.

The unknowns are all nodes, those on the wall too (`_helmholtz_matrix.py`).  With the impedance the
system S u - i B u = r is written in real numbers,

    [ S   B ] [u_real]   [ r_real]
    [ B  -S ] [u_imag] = [-r_imag],    on fields (2, nx, ny).

**Pollution.**  The waves of the grid are too short, by (k h)^2 / 24 along an axis, and over
k / 2 pi wavelengths that adds up: the error grows like k^3 h^2.  Measured with the defaults,
relative L2 distance of one sample from the limit h -> 0 (extrapolated):

    nodes       101    201    401    801
    neumann     2.5    0.87   0.13   0.032
    impedance   0.30   0.073  0.018  0.0045

So at 101 nodes, 12.6 a wavelength, a sample solves its discrete equation to rounding, but in the
closed box, where the error moves the resonances past k, u has little to do with the differential
equation.  Bilinear elements on the same nodes, as in the published data, make the waves too long by
as much.  For u itself, generate on 401 nodes or more and keep every fourth (`sciops data subsample
--stride 4`).

**Resonance.**  A closed box answers without bound where omega^2 is an eigenvalue of -c^2 Laplace.
max |k u|, a slope (|u| where k < 1), is 1 for a wave of the wall's slope.  A medium where it passes
1000 is drawn anew, so that samples are those of the law given that bound.

The known case is c = 1 + cos(pi x) cos(pi y) / 4, omega = 5.5 and u = exp(i (3 x + 2 y)), its real
part under Neumann conditions.

Source: M. V. de Hoop, D. Z. Huang, E. Qian, A. M. Stuart, The cost-accuracy trade-off in operator
learning with neural networks, 2022, arXiv 2203.13181, and its generator Zhengyu-Huang/
Operator-Learning, Helmholtz/src (omega, tanh, 100 modes, the wall data); I. Babuska, S. Sauter, Is
the pollution effect of the FEM avoidable, SIAM J. Numer. Anal. 34, 1997; B. Engquist, A. Majda,
Absorbing boundary conditions, Math. Comp. 31, 1977.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.problem import Sample, Stationary
from sciops.core.schema import SIDES, Boundary, Schema, Variable
from sciops.problems import _finite_volume as fv
from sciops.problems import _gaussian_field as grf
from sciops.problems import _helmholtz_matrix as nodes
from sciops.problems import _manufactured as manufactured

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.core.linear import LinearMap

Points = Annotated[int, Field(ge=3)]
Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

TOP: nodes.Wall = (1, -1)
BUMP = (0.35, 0.65)  # where g = 1 on the upper side of y
LARGEST_SLOPE = 1e3  # of max |k u|; more is a resonance
DRAWS = 100  # of a medium before a sample is given up

KNOWN_AMPLITUDE, KNOWN_OMEGA = (
    0.25,
    5.5,
)  # k^2 keeps 2.6 from all eigenvalues -Laplace v = l v / c^2
KNOWN_WAVE = (3.0, 2.0)


@final
class Helmholtz(Stationary):
    """The Helmholtz equation, c -> u (formulas, accuracy and resonance: top of this file)."""

    order: ClassVar[float] = 2.0

    resolution: Points | tuple[Points, Points] = 101  # nodes along x and y, those on the wall too
    boundary: Literal["neumann", "impedance"] = "neumann"
    omega: PositiveFloat = 1000.0
    mean_speed: PositiveFloat = 20.0
    deviation: PositiveFloat = 1.0  # |c - mean_speed| stays below it
    alpha: Annotated[float, Field(gt=1.0)] = 2.0  # smoothness of z
    tau: PositiveFloat = 3.0  # inverse length scale of z
    modes: PositiveInt = 100

    @model_validator(mode="after")
    def _the_speed_is_positive(self) -> Self:
        if self.deviation >= self.mean_speed:
            raise ValueError(
                f"deviation must be below mean_speed = {self.mean_speed:g}, so that c > 0, got "
                f"{self.deviation:g}"
            )
        return self

    def describe(self) -> str:
        nx, ny = self._shape
        wave = 2.0 * math.pi * self.mean_speed / self.omega * (min(nx, ny) - 1)
        wall = "du/dn = g" if self.boundary == "neumann" else "du/dn - i (omega / c) u = g"
        return (
            f"-Laplace u - (omega / c)^2 u = 0 on [0, 1]^2 with omega = {self.omega:g}; {wall} on "
            f"the wall, g = 1 for {BUMP[0]:g} < x < {BUMP[1]:g} at y = 1 and 0 elsewhere; c = "
            f"{self.mean_speed:g} + {self.deviation:g} tanh(z), z the {self.modes} longest waves "
            f"of a Gaussian random field with covariance (-Laplace + {self.tau:g}^2)^"
            f"-{self.alpha:g} under Neumann conditions and without mean ({nx} x {ny} nodes, "
            f"{wave:.3g} a wavelength, second order)"
        )

    def refined(self, factor: int = 2) -> Self:
        return self.model_copy(update={"resolution": fv.refined(self._shape, "node", factor)})

    # --- the known case ---------------------------------------------------------------------------

    def operator(self) -> LinearMap:
        from scipy.sparse import block_array

        from sciops.core.linear import SparseMap

        A = nodes.matrix(self._known_wavenumber(), self.boundary)
        if self.boundary == "neumann":
            return SparseMap.from_scipy(A, self._shape, symmetric=True)
        S, B = A.real, -A.imag
        return SparseMap.from_scipy(
            block_array([[S, B], [B, -S]], format="csr"), (2, *self._shape), symmetric=True
        )

    def rhs(self) -> Tensor:
        import torch

        k, u = self._known_wavenumber(), self._known_solution()
        g: dict[nodes.Wall, Complex] = {}
        for axis, kappa in enumerate(KNOWN_WAVE):
            for end, outward in ((0, -1.0), (-1, 1.0)):
                on_wall, k_wall = (np.take(field, end, axis) for field in (u, k))
                g[axis, end] = 1j * (outward * kappa) * on_wall
                if self.boundary == "impedance":
                    g[axis, end] -= 1j * k_wall * on_wall
        f = (math.hypot(*KNOWN_WAVE) ** 2 - k**2) * u
        b = f * np.multiply.outer(*map(nodes.shares, self._shape)) + nodes.wall_load(self._shape, g)
        parts = b.real if self.boundary == "neumann" else np.stack([b.real, -b.imag])
        return torch.from_numpy(np.ascontiguousarray(parts))

    def exact(self) -> Tensor:
        import torch

        u = self._known_solution()
        parts = u.real if self.boundary == "neumann" else np.stack([u.real, u.imag])
        return torch.from_numpy(np.ascontiguousarray(parts))

    def _known_wavenumber(self) -> Real:
        return KNOWN_OMEGA / manufactured.coefficient(
            fv.points(self._shape, "node"), KNOWN_AMPLITUDE
        )

    def _known_solution(self) -> Complex:
        waves = zip(KNOWN_WAVE, fv.points(self._shape, "node"), strict=True)
        return np.multiply.outer(*(np.exp(1j * kappa * x) for kappa, x in waves))

    # --- samples ----------------------------------------------------------------------------------

    def schema(self) -> Schema:  # type: ignore[override]
        grid = fv.box(self._shape, "node")
        names: tuple[str, ...] = ("solution",)
        if self.boundary == "impedance":
            names = ("solution_real", "solution_imag")
        kind = "neumann" if self.boundary == "neumann" else "open"
        driven = (grid.names[TOP[0]], SIDES[TOP[1]])
        return Schema(
            (
                Variable("speed", grid, "input", location="node"),
                *(Variable(name, grid, "target", location="node") for name in names),
            ),
            tuple(
                Boundary(axis, side, kind, names, None if (axis, side) == driven else 0.0)
                for axis in grid.names
                for side in SIDES
            ),
            name="helmholtz",
        )

    def sample(self, generator: np.random.Generator) -> Sample:
        for _ in range(DRAWS):
            c = self.speed(generator)
            u, slope = self._solved(c)
            if slope <= LARGEST_SLOPE:
                break
        else:
            raise SciopsError(
                f"{DRAWS} media in a row answer with max |k u| above {LARGEST_SLOPE:g}: omega = "
                f"{self.omega:g} is a resonance of the box; change omega, mean_speed or the "
                "resolution a little, or choose boundary=impedance"
            )
        if self.boundary == "neumann":
            return {"speed": c, "solution": u.real}
        return {"speed": c, "solution_real": u.real.copy(), "solution_imag": u.imag.copy()}

    def speed(self, generator: np.random.Generator) -> Real:
        """One draw of c, (nx, ny)."""
        spread = np.sqrt(grf.eigenvalues(self._shape, self.alpha, self.tau))
        spread = spread * self.tau ** (1.0 - self.alpha)  # that factor is not in z
        xi = grf.normals(generator, self._shape)
        z = grf.series(spread * longest(self._shape, self.modes) * xi, "node")
        return self.mean_speed + self.deviation * np.tanh(z)

    def solution(self, c: Real) -> Real | Complex:
        """u of a medium c, both (nx, ny); complex with the impedance.

        Raises
        ------
        ShapeError
            If c has not the shape of the grid.
        SciopsError
            If max |k u| passes 1000: c is at a resonance.
        """
        if c.shape != self._shape:
            raise ShapeError(f"c must have the shape {self._shape} of the nodes, got {c.shape}")
        u, slope = self._solved(c)
        if not slope <= LARGEST_SLOPE:
            raise SciopsError(
                f"max |k u| = {slope:.3g} is above {LARGEST_SLOPE:g}: omega = {self.omega:g} is a "
                "resonance of this medium; change omega or c a little"
            )
        return u

    def _solved(self, c: Real) -> tuple[Real | Complex, float]:
        """u and max |k u|, infinite where the matrix is singular; |u| counts where k < 1."""
        from scipy.sparse.linalg import splu

        k = self.omega / c
        A = nodes.matrix(k, self.boundary)
        b = nodes.wall_load(self._shape, {TOP: bump(self._shape[0])})
        # Measured at 101^2: half the time of the unsymmetric ordering, the residual is rounding.
        mode = {"SymmetricMode": True}
        try:
            lu = splu(A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.1, options=mode)
        except RuntimeError as error:
            if "singular" not in str(error):
                raise
            return np.zeros_like(c), math.inf
        u = lu.solve(b.ravel().astype(A.dtype)).reshape(c.shape)
        return u, float((np.maximum(k, 1.0) * np.abs(u)).max())

    @property
    def _shape(self) -> tuple[int, int]:
        n = self.resolution
        return n if isinstance(n, tuple) else (n, n)


def bump(n: int) -> Real:
    """The part of the wall around each of n nodes on which g = 1, (n,)."""
    x, half = fv.points((n,), "node")[0], 0.5 / (n - 1)
    inside = np.minimum(x + half, BUMP[1]) - np.maximum(x - half, BUMP[0])
    return np.maximum(inside, 0.0) * (n - 1)


@lru_cache(maxsize=8)
def longest(shape: tuple[int, int], modes: int) -> NDArray[np.bool_]:
    """Which (m1, m2) are among the `modes` smallest |m| > 0, ties by m1 (nx, ny); read-only."""
    side = math.isqrt(2 * modes) + 2  # a quarter disc of that many modes fits in
    square = sum(m**2 for m in np.indices((side, side)))
    first = np.zeros((side, side), dtype=np.bool_)
    first.flat[np.argsort(square, axis=None, kind="stable")[1 : modes + 1]] = True
    kept = np.zeros(shape, dtype=np.bool_)
    kept[:side, :side] = first[: shape[0], : shape[1]]
    kept.flags.writeable = False
    return kept
