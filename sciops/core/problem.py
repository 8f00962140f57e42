r"""An equation with known answers that can also make data.

A problem is a frozen settings class.  It has two sides that share one discretisation: a **known
case**, against which the discretisation is measured, and **samples** for learning, drawn by
`sample(generator)` on the grids of `schema()`.  The known case is of one of two kinds:

    Stationary   A u = f          `operator() @ exact() ~ rhs()`
    Evolution    u_t = F(u) + s   `advance(exact(0), 0, t, source) ~ exact(t)`

Most need only numpy to make samples; torch is imported where a map or tensor is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sciops.core.config import PlugInSettings
from sciops.core.errors import SchemaError
from sciops.core.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.core.linear import LinearMap

Field = NDArray[np.float64]
Sample = dict[str, Field]
Source = Callable[[float], Field]  # time -> a term of the right-hand side, on the grid of the state


class Problem(PlugInSettings, ABC):
    """What the two kinds of problems have in common.

    Attributes
    ----------
    order
        Stated order of convergence q: what it measures stands with each kind.
    """

    group: ClassVar[str] = "problems"
    order: ClassVar[float]

    @abstractmethod
    def describe(self) -> str:
        """The equation, its domain and its boundary conditions: short text for docs and cards."""

    @abstractmethod
    def refined(self, factor: int = 2) -> Self:
        """The same problem with the mesh width, and the time step, divided by `factor`."""

    @abstractmethod
    def schema(self) -> Schema:  # type: ignore[override]  # over a deprecated name of pydantic
        """What a sample holds: variables, grids, boundary conditions, time between frames."""

    @abstractmethod
    def sample(self, generator: np.random.Generator) -> Sample:
        """One sample: variable name -> array ([T,] *grid, *components); a param is an array ().

        T stands for the frames of `times()`, where the variable varies in time.  The same generator
        state gives the same bytes.
        """

    def times(self) -> Field | None:
        """Times (T,) of the frames of a sample; None where nothing varies in time."""
        return None

    def check_sample(self, sample: Sample) -> None:
        """Raise SchemaError unless `sample` holds finite values of the shapes of `schema`."""
        schema, times = self.schema(), self.times()
        frames = () if times is None else times.shape
        expected = {
            v.name: (frames if v.time_varying else ())
            + (v.domain.shape if v.domain is not None else ())
            + v.components
            for v in schema.variables
        }
        got = {name: np.shape(values) for name, values in sample.items()}
        if got != expected:
            raise SchemaError(f"a sample of {self.kind} must hold {expected}, got {got}")
        bad = [name for name, values in sample.items() if not np.isfinite(values).all()]
        if bad:
            raise SchemaError(
                f"a sample of {self.kind} must be finite, got NaN or infinity in {bad}"
            )


class Stationary(Problem):
    """A linear equation A u = f.

    The known case lives on the unknowns of the discretisation, whose shape is `operator().shape`
    (nodes on a Dirichlet wall are no unknowns).

    Attributes
    ----------
    order
        The solution of `operator() u = rhs()` has the error max|u - exact()| = O(h^q), and
        operator() @ exact() - rhs() is O(h^q) at unknowns that do not touch a wall.
    """

    @abstractmethod
    def operator(self) -> LinearMap:
        """The discretised operator of the known case, float64."""

    @abstractmethod
    def rhs(self) -> Tensor:
        """Right-hand side of the known case, (*operator().shape) float64."""

    @abstractmethod
    def exact(self) -> Tensor:
        """Exact solution of the known case at the unknowns, (*operator().shape) float64."""


class Evolution(Problem):
    """An equation u_t = F(u), linear or not, with a solver of its own.

    The known case is a solution of u_t = F(u) + s(t), on the grid of the samples.

    Attributes
    ----------
    order
        In the time step: max|advance(exact(0), 0, t, source) - exact(t)| = O(step^q), the error in
        space being smaller.
    """

    @abstractmethod
    def times(self) -> Field:
        """Times (T,) of the frames of a sample."""

    @abstractmethod
    def advance(
        self, state: Field, start: float, stop: float, source: Source | None = None
    ) -> Field:
        """The state at time `stop` from that at time `start`, both on one grid.

        Raises
        ------
        SciopsError
            If the solution is lost because the time step is too large.
        """

    @abstractmethod
    def exact(self, t: float) -> Field:
        """The known case at time t."""

    def source(self, t: float) -> Field:
        """s(t), the term that the known case has besides F(u); zero if not overridden."""
        return np.zeros_like(self.exact(0.0))
