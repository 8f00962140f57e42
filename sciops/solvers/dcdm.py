r"""Deep conjugate directions: conjugate directions whose predictor M is a trained network f.

    M r = ||r|| f(r / ||r||)

f is one of the two networks of `sciops.layers.direction_network`, and the loop, with its window of
2 earlier directions and its exact line search, that of `conjugate_directions`.  (The published loop
leaves out the factor ||r||, which the line search cannot see; with it M is linear where f is.)

    predictor = Predictor(Geometry(dimension=2))     # an nn.Module; `sciops.training.directions`
    DCDM().solve(A, b, M=predictor)                  # or any other solver that takes any M: FCG()
    predictor.save(folder); DCDM(trained=folder).solve(A, b)

f computes in the type of its weights, float32 if nothing else is asked for, the loop in that of A.

Source: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, A deep conjugate direction method
for iteratively solving linear systems, ICML 2023, arXiv 2205.10763.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from sciops.core.config import Settings
from sciops.core.errors import ShapeError
from sciops.core.linear import LinearMap
from sciops.core.system import System, field_norm
from sciops.layers.direction_network import DirectionNetwork, GeometryNetwork
from sciops.solvers import _trained
from sciops.solvers._krylov import Iterative, Recurrence, demand_positive
from sciops.solvers._neighbours import Neighbours
from sciops.solvers.conjugate_directions import ConjugateDirections

Dimension = Literal[1, 2, 3]
Channels = Annotated[int, Field(ge=1, le=1024)]
Count = Annotated[int, Field(ge=0, le=64)]  # of pairs of convolutions


class Published(Settings):
    """The published network, for the matrix that it was trained on."""

    kind: Literal["published"] = "published"
    dimension: Dimension = 3
    channels: Channels = 16
    pairs: tuple[Count, Count, Count] = (1, 3, 2)  # 64^3; 128^3: 2, 5, 3

    def build(self) -> DirectionNetwork:
        """The network at its random start."""
        return DirectionNetwork(self.dimension, self.channels, self.pairs)


class Geometry(Settings):
    """The network that reads the stencil of each matrix."""

    kind: Literal["geometry"] = "geometry"
    dimension: Dimension = 2
    channels: Channels = 16
    levels: Annotated[int, Field(ge=1, le=32)] = 4  # grids, each half as fine as the one before
    linear: bool = True  # whether the direction is linear in the residual

    def build(self) -> GeometryNetwork:
        """The network at its start, where it is Jacobi."""
        features = 2 * self.dimension + 3
        return GeometryNetwork(self.dimension, features, self.channels, self.levels, self.linear)


class Trained(_trained.TrainedSettings):
    """What a saved predictor is built from."""

    network: Annotated[Published | Geometry, Field(discriminator="kind")]

    def build(self) -> Predictor:
        return Predictor(self.network)


@final
class Predictor(_trained.TrainedModule):
    """A network as a preconditioner; after training, or before it at random.

    Parameters
    ----------
    settings
        Which network.
    """

    def __init__(self, settings: Published | Geometry) -> None:
        super().__init__()
        self.settings = settings
        self.network = settings.build()

    @property
    def origin(self) -> Trained:
        """What it was built from."""
        return Trained(network=self.settings)

    def setup(self, A: LinearMap) -> LinearMap:
        """M of the formula above for this matrix, of A's type; it carries no tags.

        Differentiable by the weights.

        Raises
        ------
        ShapeError
            If A has fields of another dimension, or is on another device.
        SciopsError
            If a geometry network is given a matrix that couples more than nearest neighbours.
        """
        weight = next(self.parameters())
        if len(A.shape) != self.settings.dimension:
            raise ShapeError(
                f"this predictor is for fields of {self.settings.dimension} dimensions, got {A}"
            )
        if weight.device != A.device:
            raise ShapeError(
                f"the predictor is on {weight.device}, {A} on {A.device}; move it by .to(A.device)"
            )
        if isinstance(self.network, DirectionNetwork):
            return _Prediction(A, weight.dtype, lambda r, _: self.network(r), 1.0)
        network = self.network
        with torch.no_grad():
            features, inverse = Neighbours.of(A).features(weight.dtype)
        gates = network.gates(features)  # (S, c, *N_l), once a matrix

        def predict(r: Tensor, which: Tensor) -> Tensor:
            known = [t if len(t) == 1 else t[which] for t in (inverse, *gates)]
            return network.direction(r, known[0], known[1:])

        return _Prediction(A, weight.dtype, predict, math.sqrt(A.size))


@final
class _Prediction(LinearMap):
    """r -> ||r|| / gain f(gain r / ||r||, s); gain = sqrt(N) gives a mean square of 1.

    s (B,) int64 says to which map of A's stack a row belongs.
    """

    def __init__(
        self,
        A: LinearMap,
        inside: torch.dtype,
        f: Callable[[Tensor, Tensor], Tensor],
        gain: float,
    ) -> None:
        super().__init__(A.shape, A.dtype, A.device, batch=A.batch)
        self._inside, self._f, self._gain = inside, f, gain

    def matvec(self, x: Tensor) -> Tensor:
        d = len(self.shape)
        batch = np.broadcast_shapes(x.shape[:-d], self.batch)
        x = x.expand(*batch, *self.shape)
        size = field_norm(x, d) / self._gain
        size = size.reshape(*size.shape, *[1] * d)
        unit = x / torch.where(size == 0, 1.0, size)
        maps = torch.arange(math.prod(self.batch), device=self.device).reshape(self.batch)
        which = maps.expand(batch).reshape(-1)
        z = self._f(unit.to(self._inside).reshape(-1, 1, *self.shape), which)
        return size * z.to(self.dtype).reshape(x.shape)


@final
class DCDM(Iterative):
    """Conjugate directions with a trained predictor (formulas: top of this file).

    An M given to `solve` goes before `trained`; without either the directions are the residuals,
    and the iterates those of plain conjugate gradients.

    Raises
    ------
    NotPositiveDefinite
        By `solve`, if A does not carry the tags `symmetric` and `positive`.
    DataError, ConfigError
        By `solve`, if there is no predictor in the folder.
    """

    window: NonNegativeInt | None = 2  # earlier directions to be conjugate to; null keeps all
    patience: PositiveInt | None = 100  # iterations in which the residual must halve, see there
    trained: Path | None = None  # folder of a saved one

    def recurrence(self, system: System) -> Recurrence:
        demand_positive("A", system.A)
        system = _trained.preconditioned(system, self.trained, "dcdm")
        settings = ConjugateDirections(window=self.window, patience=self.patience)
        return settings.recurrence(system)
