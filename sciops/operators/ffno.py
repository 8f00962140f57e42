r"""Factorised Fourier neural operator: one-dimensional spectral maps, summed over the axes.

    K v = sum_d F_d^-1 (R_d . F_d v),    R_d(k) a C x C matrix for each mode k of axis d

in the block of `sciops.layers.operator_block`.  For m_d Fourier modes of both signs these are
2 C^2 sum_d (m_d // 2 + 1) parameters a block, where `fno` has 2 C^2 m_1 .. m_{D-1} (m_D // 2 + 1);
and all modes of an axis see all points of the others.

Source: Tran, Mathews, Xie, Ong, Factorized Fourier neural operators, 2023, arXiv 2111.13802.
"""

from __future__ import annotations

from torch import nn

from sciops.layers.spectral import AxialMixer
from sciops.operators._blocks import Along, SpectralConfig


class Config(SpectralConfig):
    """Factorised Fourier neural operator in one, two or three dimensions."""

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """The sum over axes of one-dimensional spectral maps."""
        c = self.hidden_channels
        return AxialMixer(self.bases(axes), c, c, self.backend)
