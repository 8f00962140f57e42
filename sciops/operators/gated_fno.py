r"""Gated Fourier neural operator: an FNO whose modes open and close with the power spectrum.

    K v = F^-1 (R_k (1 + g(|Z|^2)) Z),    Z = F v,    g = 0 at the start

in the block of `sciops.layers.operator_block`.  It starts as `fno`, bit for bit, adapts to its
input as `aff` does, and stays equivariant to shifts on periodic axes, since g sees the power alone.
"""

from __future__ import annotations

from pydantic import PositiveInt
from torch import nn

from sciops.layers.spectral import Gated, SpectralMixer
from sciops.operators._blocks import Along, SpectralConfig


class Config(SpectralConfig):
    """Gated Fourier neural operator in one, two or three dimensions."""

    blocks: PositiveInt = 4  # of channels, in the two maps of the gate

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """Analysis, gated filter, synthesis."""
        transform, c = self.transform(axes), self.hidden_channels
        return SpectralMixer(transform, Gated(transform.modes, c, c, self.blocks))
