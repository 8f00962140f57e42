r"""The block without a learned mixer: what its perceptrons do alone.

    mixer: identity   K v = v                     every point for itself
    mixer: random     K v = F^-1 (R . F v)        R drawn once and never trained

Controls for every comparison of mixers: what they reach is not owed to the mixer.

Source: Yu et al., MetaFormer baselines for vision, 2022, arXiv 2210.13452.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from sciops.layers.spectral import Frozen, SpectralMixer
from sciops.layers.spectral.mixer import Resolution
from sciops.operators._blocks import Along, SpectralConfig


class Config(SpectralConfig):
    """The block around the identity, or around a random spectral map."""

    mixer_kind: Literal["identity", "random"] = "identity"

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """Nothing learned."""
        if self.mixer_kind == "identity":
            return Identity()
        transform, c = self.transform(axes), self.hidden_channels
        return SpectralMixer(transform, Frozen(transform.modes, c, c))


class Identity(nn.Module):
    """K v = v."""

    linear: ClassVar[bool] = True
    equivariant: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = False
    resolution: ClassVar[Resolution] = "physical"

    def forward(self, v: Tensor) -> Tensor:
        """v."""
        return v
