r"""The best linear map from the leading principal components of the input, with a ridge.

    z = V^T (x - x_m),   h = (z, p - p_m),   v = v_m + W^T h,
    W = argmin sum_i |v_i - v_m - W^T h_i|^2 + lambda |W|^2 = (G + lambda I)^{-1} R,
    G = sum_i h_i h_i^T,   R = sum_i h_i (v_i - v_m)^T

x is the normalised input on the training grid, all points and channels in one vector of F
numbers; V (F, k) holds its leading principal directions; v is the target field.  With the
eigenvalues g of G the ridge is the minimiser of generalised cross validation on the training part,

    GCV(lambda) = n |v - v_m - W^T h|^2 / (n - 1 - sum_j g_j / (g_j + lambda))^2.

Everything is streamed: V comes from block subspace iteration, each step of which reads the
training part once and holds F x (k + 10) numbers; then G and R are summed.

Sources: Halko, Martinsson, Tropp, Finding structure with randomness, SIAM Review 53, 2011
(arXiv:0909.4061), algorithm 4.4; Golub, Heath, Wahba, Generalized cross-validation,
Technometrics 21, 1979.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from sciops.core.operator import At, Operator, OperatorConfig, TrainingData
from sciops.core.schema import Schema
from sciops.operators._domains import AskedPlaces, TargetField, at_sensors
from sciops.operators._fitting import blocks, mean_target

OVERSAMPLING = 10  # directions beyond k that the subspace iteration carries along
RIDGES = torch.logspace(-10, 2, 61, dtype=torch.float64)  # candidates, of the mean eigenvalue of G


class Config(OperatorConfig):
    """Ridge regression on principal components."""

    components: PositiveInt = 64  # principal components of the input; at most its F numbers
    ridge: Literal["gcv"] | Annotated[float, Field(ge=0)] = "gcv"  # of the mean eigenvalue of G
    passes: PositiveInt = 4  # steps of the subspace iteration, each reads the training part once

    def build(self, schema: Schema) -> LeastSquares:
        """The operator for data of `schema`."""
        return LeastSquares(self, schema)


class LeastSquares(Operator):
    """A linear map, computed by `fit`; its numbers are buffers, there are no parameters.

    An input of another resolution is interpolated to the training grid, and the output from the
    training points of the targets to those that are asked for.
    """

    centre: Tensor
    basis: Tensor
    params_centre: Tensor
    weights: Tensor
    offset: Tensor

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        self.places, self.target = AskedPlaces(schema), TargetField(schema)
        numbers = schema.input_channels * _product(schema.input_domain.shape)  # F
        outputs = (schema.target_channels, *schema.target_domain.shape)
        self.components = min(config.components, numbers)
        features = self.components + len(schema.params)
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("basis", torch.zeros(numbers, self.components))
        self.register_buffer("params_centre", torch.zeros(len(schema.params)))
        self.register_buffer("weights", torch.zeros(features, _product(outputs)))
        self.register_buffer("offset", torch.zeros(outputs))

    def prepare(self, train: TrainingData) -> None:
        """Principal directions, ridge and weights from the training part."""
        offset = mean_target(self, train)
        count, centre, params_centre = _means(self, train)
        basis = self._principal_directions(train, centre)

        def features() -> Iterator[tuple[Tensor, Tensor]]:
            for b in blocks(self, train):
                h = torch.cat([(b.x.flatten(1) - centre) @ basis, b.params - params_centre], 1)
                yield h, torch.where(b.known, b.v - offset, 0.0).flatten(1)

        weights = _ridge_weights(features(), count, self.config.ridge)
        for name, value in (
            ("centre", centre),
            ("basis", basis),
            ("params_centre", params_centre),
            ("weights", weights),
            ("offset", offset),
        ):
            getattr(self, name).copy_(value)

    def _principal_directions(self, train: TrainingData, centre: Tensor) -> Tensor:
        """(F, k) leading eigenvectors of the covariance of x, by block subspace iteration."""
        generator = torch.Generator().manual_seed(0)
        width = min(self.components + OVERSAMPLING, len(centre))
        block = torch.randn(len(centre), width, generator=generator, dtype=torch.float64)
        for _ in range(self.config.passes):
            block = torch.linalg.qr(block).Q
            image = torch.zeros_like(block)
            small = torch.zeros(width, width, dtype=torch.float64)
            for b in blocks(self, train):
                x = b.x.flatten(1) - centre  # (b, F)
                z = x @ block  # (b, width)
                image += x.T @ z
                small += z.T @ z
            directions = torch.linalg.eigh(small).eigenvectors.flip(1)  # largest first
            found, block = block @ directions[:, : self.components], image
        return found

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *shape of `at`)."""
        places = self.places(a, at, self.input_coordinates(a))
        x = at_sensors(self, a).flatten(1)  # (B, F)
        h = torch.cat([(x - self.centre) @ self.basis, params - self.params_centre], 1)
        v = (h @ self.weights).unflatten(1, self.offset.shape) + self.offset  # (B, C', *N')
        return self.target(v, places)


def _means(operator: Operator, train: TrainingData) -> tuple[int, Tensor, Tensor]:
    """Number of samples, mean of x (F,), mean of the normalised parameters (P,)."""
    count, x, params = 0, torch.zeros(()), torch.zeros(())
    for b in blocks(operator, train):
        count += len(b.x)
        x = x + b.x.flatten(1).sum(0)
        params = params + b.params.sum(0)
    return count, x / count, params / count


def _ridge_weights(
    features: Iterator[tuple[Tensor, Tensor]], count: int, ridge: float | str
) -> Tensor:
    """W (features, outputs) from streamed h (b, features) and v (b, outputs)."""
    gram = rhs = total = torch.zeros(())
    for h, v in features:
        gram = gram + h.T @ h
        rhs = rhs + h.T @ v
        total = total + v.square().sum()
    values, vectors = torch.linalg.eigh(gram)
    # Directions that rounding alone could have made carry nothing.
    sure = values > values.max() * len(values) * torch.finfo(torch.float64).eps
    values, rotated = torch.where(sure, values, 0.0), sure[:, None] * (vectors.T @ rhs)
    mean = values.mean().clamp(min=torch.finfo(torch.float64).tiny)
    if ridge == "gcv":
        energy = rotated.square().sum(1)  # |R_j|^2 of each eigenvector
        scores = torch.stack([_gcv(values, energy, total, count, r * mean) for r in RIDGES])
        ridge = float(RIDGES[scores.argmin()])
    filtered = torch.where(sure, values + ridge * mean, 1.0)
    return vectors @ (rotated / filtered[:, None])


def _gcv(values: Tensor, energy: Tensor, total: Tensor, count: int, ridge: Tensor) -> Tensor:
    """n |residual|^2 / (n - 1 - effective parameters)^2; infinite where none are left."""
    inverse = torch.where(values > 0, 1.0 / (values + ridge), 0.0)
    residual = total - (energy * inverse * (2.0 - values * inverse)).sum()
    free = count - 1 - (values * inverse).sum()
    return torch.where(free > 0.5, count * residual.clamp(min=0) / free**2, torch.inf)


def _product(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
