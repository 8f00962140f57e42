r"""Adaptive Fourier neural operator, in the form of The Well.

    K v = v + F^-1 M(Z) / sqrt(N_ref),    M = S_lambda(W2 gelu(W1 Z)),    Z = sqrt(N_ref) F v

in the block of `sciops.layers.operator_block`; W are block diagonal and the same for all modes.  Of
patches and of layer norms, which The Well's network has around it, there are none here.

Sources: Guibas et al., Adaptive Fourier neural operators: efficient token mixers for transformers,
2022, arXiv 2111.13587; Ohana et al., The Well, 2024, arXiv 2412.00568 (gelu, no biases).
"""

from __future__ import annotations

from math import prod
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import nn

from sciops.layers.spectral import AFNO, SpectralMixer
from sciops.operators._blocks import Along, SpectralConfig


class Config(SpectralConfig):
    """Adaptive Fourier neural operator in one, two or three dimensions."""

    blocks: PositiveInt = 4  # of channels; The Well's layer has 8
    shrink: Annotated[float, Field(ge=0)] = 0.01  # threshold of the soft shrinkage

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """Analysis, network on the modes, synthesis, plus the input."""
        transform, reference = self.transform(axes), prod(axis.n for axis in axes)
        return SpectralMixer(
            transform,
            AFNO(transform.modes, self.hidden_channels, self.blocks, reference, self.shrink),
        )
