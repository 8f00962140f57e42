r"""Streaming statistics that merge exactly: count, mean, std, rms, min, max.

Two sets with counts n_a, n_b, means m_a, m_b and sums of squared deviations S_a, S_b join to

    n = n_a + n_b,   d = m_b - m_a,   m = m_a + d n_b / n,   S = S_a + S_b + d^2 n_a n_b / n

in float64, so the result does not suffer from cancellation where the mean is large, and blocks
may come in any number.  std is the population value sqrt(S / n).
Source: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample
variances, 1979.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.core.errors import SchemaError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of one variable, per component; every array is (c,)."""

    count: int
    mean: Floats
    std: Floats
    rms: Floats
    min: Floats
    max: Floats

    def to_json(self) -> dict[str, Any]:
        """Lists of numbers; floats survive the way through JSON exactly."""
        arrays = {k: getattr(self, k).tolist() for k in ("mean", "std", "rms", "min", "max")}
        return {"count": self.count, **arrays}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Statistics:
        """The inverse of `to_json`."""
        try:
            arrays = {
                k: np.asarray(tree[k], dtype=np.float64)
                for k in ("mean", "std", "rms", "min", "max")
            }
            return cls(int(tree["count"]), **arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"not statistics: {type(error).__name__}: {error}") from None

    @property
    def scale(self) -> Floats:
        """(c,) what to divide by: std, or 1 for a component that does not vary.

        A component counts as constant where std is below 1e-12 of its largest magnitude.
        """
        floor = 1e-12 * np.maximum(np.abs(self.min), np.abs(self.max))
        return np.where(self.std > floor, self.std, 1.0)


class Moments:
    """Accumulates `Statistics` over blocks of values."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = np.zeros(width)
        self.squares = np.zeros(width)
        self.raw = np.zeros(width)
        self.min = np.full(width, np.inf)
        self.max = np.full(width, -np.inf)

    def update(self, values: ArrayLike) -> None:
        """Take in a block (n, c)."""
        block = np.asarray(values, dtype=np.float64)
        if block.ndim != 2 or block.shape[1] != len(self.mean):
            raise SchemaError(f"expected values (n, {len(self.mean)}), got {block.shape}")
        if len(block) == 0:
            return
        mean = block.mean(axis=0)
        n, total = len(block), self.count + len(block)
        delta = mean - self.mean
        self.squares += ((block - mean) ** 2).sum(axis=0) + delta**2 * (self.count * n / total)
        self.raw += (block**2).sum(axis=0)
        self.mean = self.mean + delta * (n / total)
        self.min = np.minimum(self.min, block.min(axis=0))
        self.max = np.maximum(self.max, block.max(axis=0))
        self.count = total

    def result(self) -> Statistics:
        """The statistics of everything taken in so far."""
        if self.count == 0:
            raise SchemaError("statistics of nothing: the training part is empty")
        return Statistics(
            self.count,
            self.mean.copy(),
            np.sqrt(self.squares / self.count),
            np.sqrt(self.raw / self.count),
            self.min.copy(),
            self.max.copy(),
        )
