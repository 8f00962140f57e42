r"""A mixer in the space of modes: analysis, filter, synthesis.

    y = F^-1 R(F x)        (+ x, where the filter is a change of its input: AFF, AFNO)

`SpectralMixer` is one such term, `AxialMixer` the sum over axes of one-dimensional ones (F-FNO):

    y = sum_d F_d^-1 R_d F_d x

Sources: Li et al., Fourier neural operator, 2021, arXiv 2010.08895; Tran et al., Factorized Fourier
neural operators, 2023, arXiv 2111.13802.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Literal

from torch import Tensor, nn

from sciops.core.errors import ShapeError
from sciops.layers.spectral.basis import Basis
from sciops.layers.spectral.filters import Dense, Filter
from sciops.layers.spectral.points import PointsTransform
from sciops.layers.spectral.transform import Backend, Transform

Resolution = Literal["modes", "physical", "fixed"]


class SpectralMixer(nn.Module):
    """A filter between analysis and synthesis.

    Parameters
    ----------
    transform
        Of a grid (`Transform`) or of scattered points (`PointsTransform`).
    filter
        Any of `filters` and `adaptive`: `Dense(transform.modes, 32, 32)`, ...

    Notes
    -----
    Shapes: x (B, C_in, *N) -> (B, C_out, *N); N may change from call to call.
    """

    resolution: ClassVar[Resolution] = "modes"

    def __init__(self, transform: Transform | PointsTransform, filter: Filter) -> None:
        super().__init__()
        self.transform = transform
        self.filter = filter
        self.linear = filter.linear
        self.equivariant = filter.equivariant
        self.mixes_channels = filter.mixes_channels

    def forward(self, x: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """x (B, C_in, *N) -> (B, C_out, *sizes), the same field on a grid of other sizes.

        `sizes`: None for those of x; a filter that adds x to its result cannot change them.
        """
        if self.filter.residual and sizes is not None and tuple(sizes) != tuple(x.shape[2:]):
            raise ShapeError(
                f"{type(self.filter).__name__} adds its input {tuple(x.shape[2:])} to the result, "
                f"so that sizes={tuple(sizes)} cannot be asked for; resample its output"
            )
        z = self.transform.analyse(x)  # (*modes, parts, B, *carried, C_in)
        n = len(self.transform.modes.shape)
        flat = z.reshape(
            self.transform.modes.count, z.shape[n], prod(z.shape[n + 1 : -1]), z.shape[-1]
        )
        flat = self.filter(flat)
        z = flat.reshape(*z.shape[:-1], flat.shape[-1])
        y = self.transform.synthesise(z, x.shape[2:] if sizes is None else sizes)
        return y + x if self.filter.residual else y


class AxialMixer(nn.Module):
    """The sum over axes of one-dimensional dense filters.

    Notes
    -----
    Shapes: x (B, c_in, *N) -> (B, c_out, *N).
    """

    linear: ClassVar[bool] = True
    equivariant: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True
    resolution: ClassVar[Resolution] = "modes"

    def __init__(
        self, bases: Sequence[Basis], c_in: int, c_out: int, backend: Backend = "auto"
    ) -> None:
        super().__init__()
        alone = [
            tuple(b if d == e else None for e, b in enumerate(bases)) for d in range(len(bases))
        ]
        transforms = [Transform(along, backend) for along in alone]
        self.terms = nn.ModuleList(
            SpectralMixer(t, Dense(t.modes, c_in, c_out)) for t in transforms
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, *N) -> (B, c_out, *N)."""
        return sum(term(x) for term in self.terms)  # type: ignore[return-value]
