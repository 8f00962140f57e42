r"""An equation with known answers that can also make data.

A problem is a frozen settings class.  It has two sides that share one discretisation:

* the **known case** at the settings' resolution: `operator() @ exact() ~ rhs()`.  The three live on
  the unknowns of the discretisation, whose shape is `operator().shape` (nodes on a Dirichlet wall
  are no unknowns);
* **samples** for learning, drawn by `sample(generator)` on the grids of `schema()`.

Only numpy is needed to make samples; torch is imported where a map or tensor is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sciops.core.config import PlugInSettings
from sciops.core.errors import SchemaError
from sciops.core.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.core.linear import LinearMap

Sample = dict[str, NDArray[np.float64]]


class Problem(PlugInSettings, ABC):
    """Base of the problems.

    Attributes
    ----------
    order
        Stated order of convergence q: the solution of `operator() u = rhs()` has the error
        max|u - exact()| = O(h^q), and operator() @ exact() - rhs() is O(h^q) at unknowns that do
        not touch a wall.
    """

    group: ClassVar[str] = "problems"
    order: ClassVar[float]

    @abstractmethod
    def describe(self) -> str:
        """The equation, its domain and its boundary conditions: short text for docs and cards."""

    @abstractmethod
    def refined(self, factor: int = 2) -> Self:
        """The same problem with the mesh width divided by `factor`."""

    @abstractmethod
    def operator(self) -> LinearMap:
        """The discretised operator of the known case, float64."""

    @abstractmethod
    def rhs(self) -> Tensor:
        """Right-hand side of the known case, (*operator().shape) float64."""

    @abstractmethod
    def exact(self) -> Tensor:
        """Exact solution of the known case at the unknowns, (*operator().shape) float64."""

    @abstractmethod
    def schema(self) -> Schema:  # type: ignore[override]  # over a deprecated name of pydantic
        """What a sample holds: variables, grids, boundary conditions."""

    @abstractmethod
    def sample(self, generator: np.random.Generator) -> Sample:
        """One sample: variable name -> array (*grid, *components); a param is an array ().

        The same generator state gives the same bytes.
        """

    def check_sample(self, sample: Sample) -> None:
        """Raise SchemaError unless `sample` holds finite values of the shapes of `schema`."""
        schema = self.schema()
        expected = {
            v.name: (v.domain.shape if v.domain is not None else ()) + v.components
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
