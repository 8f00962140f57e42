r"""Adaptive frequency filters: every mode is multiplied by a network of all channels of that mode.

    K v = v + F^-1 (M(Z) * F v),    M = S_lambda(W2 relu(W1 Z + b1) + b2),    Z = sqrt(N_ref) F v

in the block of `sciops.layers.operator_block`.  W are block diagonal and the same for all modes, so
a block has few parameters.  The published layer keeps all modes and takes N_ref = N, the number of
points, which makes it another operator on every grid; here the lowest `n_modes` are filtered, and
N_ref is the number of points of the training grid wherever the operator is used.

Source: Huang, Zhang, Lan, Zha, Lu, Guo, Adaptive frequency filters as efficient global token
mixers, 2023, arXiv 2307.14008.
"""

from __future__ import annotations

from math import prod
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import nn

from sciops.layers.spectral import AFF, SpectralMixer
from sciops.operators._blocks import Along, SpectralConfig


class Config(SpectralConfig):
    """Adaptive frequency filters in one, two or three dimensions."""

    blocks: PositiveInt = 4  # of channels; the published layer has 8
    shrink: Annotated[float, Field(ge=0)] = 0.01  # threshold of the soft shrinkage

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """Analysis, adaptive filter, synthesis, plus the input."""
        transform, reference = self.transform(axes), prod(axis.n for axis in axes)
        return SpectralMixer(
            transform,
            AFF(transform.modes, self.hidden_channels, self.blocks, reference, self.shrink),
        )
