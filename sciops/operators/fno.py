r"""Fourier neural operator: a matrix of channels for each of the lowest modes.

    K v = F^-1 (R . F v),    R(k) a C x C matrix for |k_d| <= n_modes / 2, zero beyond

in the block of `sciops.layers.operator_block`.  Axes that wrap take the Fourier basis, others by
default a Fourier basis of a longer period, with zeros behind the wall (`padding`); cosine, sine and
Chebyshev, which need none, are a setting.  All are the same operator on every grid.  With filter:
tucker or cp it is the tensorised TFNO, with block or diag the weights of a mode connect few
channels or none.

Sources: Li et al., Fourier neural operator for parametric partial differential equations, 2021,
arXiv 2010.08895; Kossaifi et al., Multi-grid tensorized Fourier neural operator, 2024, arXiv
2310.00120.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from torch import nn

from sciops.core.config import Settings
from sciops.layers.spectral import CP, Block, Dense, Modes, SpectralMixer, Tucker
from sciops.layers.spectral.filters import Filter
from sciops.operators._blocks import Along, SpectralConfig


class DenseFilter(Settings):
    """A full matrix for each mode."""

    kind: Literal["dense"] = "dense"
    precision: Literal["full", "bf16"] = "full"  # bf16: the product over channels alone


class TuckerFilter(Settings):
    """The matrices of all modes as a Tucker tensor."""

    kind: Literal["tucker"] = "tucker"
    rank: Annotated[float, Field(gt=0, le=1)] = 0.1  # entries of the core over those of dense


class CPFilter(Settings):
    """The matrices of all modes as a sum of outer products."""

    kind: Literal["cp"] = "cp"
    rank: PositiveInt = 64  # number of products


class BlockFilter(Settings):
    """A block-diagonal matrix for each mode."""

    kind: Literal["block"] = "block"
    blocks: PositiveInt = 4


class DiagFilter(Settings):
    """A gain for each mode and channel."""

    kind: Literal["diag"] = "diag"


AnyFilter = Annotated[
    DenseFilter | TuckerFilter | CPFilter | BlockFilter | DiagFilter, Field(discriminator="kind")
]


class Config(SpectralConfig):
    """Fourier neural operator in one, two or three dimensions."""

    filter: AnyFilter = DenseFilter()

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """Analysis, filter, synthesis."""
        transform = self.transform(axes)
        return SpectralMixer(transform, self._filter(transform.modes))

    def _filter(self, modes: Modes) -> Filter:
        c, filter = self.hidden_channels, self.filter
        if isinstance(filter, TuckerFilter):
            return Tucker(modes, c, c, filter.rank)
        if isinstance(filter, CPFilter):
            return CP(modes, c, c, filter.rank)
        if isinstance(filter, BlockFilter):
            return Block(modes, c, filter.blocks)
        if isinstance(filter, DiagFilter):
            return Block(modes, c, c)
        return Dense(modes, c, c, filter.precision)
