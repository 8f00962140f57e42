r"""Matrices to train a preconditioner on: random media on a grid, or one matrix from a file.

    A = -div(a grad .) on cells,    h = 1,    c <= contrast

    constant     a = 1
    lognormal    a = c^(g / 5 + 1 / 2), g a smooth Gaussian field cut at +-2.5
    two_phase    a = c where g > q, else 1; q uniform in -1 .. 1
    grains       a = c^v, v uniform in 0 .. 1 cell by cell

log c is uniform between those of `least_contrast` and `contrast`.  g is white noise, periodic,
smoothed by a Gaussian of 1 cell up to an eighth of the grid.  Solid cells are where another such
field is largest, on a share of the cells that is uniform between 0 and `solid`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from sciops.core.config import Settings
from sciops.core.diffusion import DiffusionMap, Wall
from sciops.core.errors import DataError, NotPositiveDefinite
from sciops.core.linear import LinearMap
from sciops.data.definite import judge, sparse_map
from sciops.data.files import file_sha256
from sciops.data.matrices import located, read_system

Draw = Callable[[torch.Generator], LinearMap]  # the next map, or stack of maps
Law = Literal["constant", "lognormal", "two_phase", "grains"]


class Media(Settings):
    """Random media (formulas: top of this file); a stack of maps each time, or a single one."""

    kind: Literal["media"] = "media"
    shape: tuple[Annotated[int, Field(ge=2)], ...] = Field((64, 64), min_length=1, max_length=3)
    laws: tuple[Law, ...] = Field(("lognormal", "two_phase", "grains"), min_length=1)
    contrast: float = Field(1e4, ge=1)
    least_contrast: float = Field(1.0, ge=1)
    walls: Wall = "dirichlet"
    solid: float = Field(0.0, ge=0, lt=1)
    stack: PositiveInt = 4  # maps at a time

    @model_validator(mode="after")
    def _ordered(self) -> Media:
        if self.least_contrast > self.contrast:
            raise ValueError(
                f"least_contrast must not exceed contrast, got {self.least_contrast:g} and "
                f"{self.contrast:g}"
            )
        return self

    @property
    def fixed(self) -> bool:
        """Whether all draws are the same."""
        return not self.solid and set(self.laws) == {"constant"}

    def source(self) -> Draw:
        """The function that gives the next maps."""
        return self.draw

    def draw(self, generator: torch.Generator) -> DiffusionMap:
        """The next maps, in float64; the same ones for the same state of `generator`."""
        media, obstacles = [], []
        for _ in range(self.stack):
            law = self.laws[int(torch.randint(len(self.laws), (), generator=generator))]
            media.append(self._coefficient(law, generator))
            if self.solid:
                g = self._smooth(generator)
                share = self.solid * float(torch.rand((), generator=generator))
                obstacles.append(g > g.quantile(1 - share))
        d = len(self.shape)
        a = torch.stack(media) if self.stack > 1 else media[0]
        solid = torch.stack(obstacles) if self.stack > 1 and obstacles else None
        solid = obstacles[0] if self.stack == 1 and obstacles else solid
        return DiffusionMap.from_coefficient(
            a, (1.0,) * d, "cell", walls=self.walls, obstacle=solid
        )

    def _coefficient(self, law: Law, generator: torch.Generator) -> Tensor:
        low, high = math.log(self.least_contrast), math.log(self.contrast)
        power = low + (high - low) * float(torch.rand((), generator=generator))
        if law == "constant":
            return torch.ones(self.shape, dtype=torch.float64)
        if law == "grains":
            v = torch.rand(self.shape, dtype=torch.float64, generator=generator)
            return (power * v).exp()
        g = self._smooth(generator)
        if law == "lognormal":
            return (power * (g.clamp(-2.5, 2.5) / 5 + 0.5)).exp()
        q = 2 * float(torch.rand((), generator=generator)) - 1
        return torch.where(g > q, math.exp(power), 1.0).to(g)

    def _smooth(self, generator: torch.Generator) -> Tensor:
        """g, of mean 0 and variance 1."""
        longest = max(self.shape) / 8
        sigma = max(longest, 1.0) ** float(torch.rand((), generator=generator))  # in cells
        noise = torch.randn(self.shape, dtype=torch.float64, generator=generator)
        spectrum = torch.fft.fftn(noise)
        for axis, n in enumerate(self.shape):
            k = 2 * math.pi * torch.fft.fftfreq(n, dtype=torch.float64)
            decay = (-((k * sigma) ** 2) / 2).exp()
            spectrum = spectrum * decay.reshape(-1, *[1] * (len(self.shape) - axis - 1))
        g = torch.fft.ifftn(spectrum).real
        g = g - g.mean()
        return g / g.std().clamp_min(torch.finfo(g.dtype).tiny)


class File(Settings):
    """One symmetric positive definite matrix."""

    kind: Literal["file"] = "file"
    path: str  # FILE or FILE:NAME, see `sciops.data.matrices`
    shape: tuple[PositiveInt, ...] | None = None  # of the grid, the last axis fastest

    @property
    def fixed(self) -> bool:
        """Whether all draws are the same."""
        return True

    def checksum(self) -> str:
        """SHA-256 of the file, and the name inside it."""
        path, name = located(self.path)
        return file_sha256(path) + (f":{name}" if name else "")

    def source(self) -> Draw:
        """The function that gives the matrix, which is read here once."""
        A, _ = self.system()
        return lambda generator: A

    def system(self) -> tuple[LinearMap, Tensor | None]:
        """The matrix, and the right-hand side (*shape) that is with it.

        Raises
        ------
        DataError
            If the file cannot be read, or holds several right-hand sides.
        NotPositiveDefinite
            If the entries say that the matrix is not symmetric positive definite.
        """
        found = read_system(self.path)
        verdict = judge(found.matrix, found.epsilon)
        if not verdict.symmetric or verdict.positive is False:
            raise NotPositiveDefinite(
                f"{self.path}: not symmetric positive definite: {verdict.reason}"
            )
        A = sparse_map(found.matrix, self.shape, True, True, verdict.labels)
        if found.b is None:
            return A, None
        if found.b.size != A.size:
            raise DataError(
                self.path, f"several right-hand sides, {found.b.shape}; expected one or none"
            )
        return A, torch.from_numpy(found.b).reshape(A.shape)
