r"""The same transform by pruned FFTs, for periodic axes.

    rfft along the last axis, keep the columns 0 .. m // 2, FFT only those along the others, keep
    both ends; and the reverse

A full FFT computes and stores all modes; this one never holds more than the kept columns.  It does
less arithmetic than matrix products where many modes are kept or the axes are long, and it needs
lengths of small factors, one node more for every axis, and complex numbers.  `project` and
`evaluate` are those of `products.py`, with the same scaling of rows, here a factor for each mode.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sciops.layers.spectral.basis import PLACES, Basis
from sciops.layers.spectral.products import Modes


def serves(bases: Sequence[Basis | None]) -> bool:
    """Whether there is a pruned FFT: every axis Fourier, of period n h, its first point at 0."""
    return all(
        b is not None
        and b.kind == "fourier"
        and b.extension == 1.0
        and b.nodes is None
        and PLACES[b.spacing] == (0.0, 0)
        for b in bases
    )


def has_room(modes: Modes, sizes: Sequence[int]) -> bool:
    """Whether every axis has more points than modes."""
    return all(b is None or n > b.n_modes for b, n in zip(modes.bases, sizes, strict=True))


def project(v: Tensor, modes: Modes, scale: float, twice: bool) -> Tensor:
    """v (B, C, *N) -> (*modes, 2, B, C): sum over points of v e^{-ikx}, times `scale`.

    `twice`: modes k > 0 of the half axis count twice (the transpose of the synthesis).
    """
    dims = range(2, v.ndim)
    z = torch.fft.rfft(v, dim=-1).narrow(-1, 0, modes.shape[-1])
    for d in dims[:-1]:
        z = torch.fft.fft(z, dim=d)
        z = _cut(z, d, modes.bases[d - 2].n_modes)  # type: ignore[union-attr]
    z = torch.view_as_real(z)  # (B, C, *modes, 2)
    z = z.permute(*dims, v.ndim, 0, 1) * scale
    if twice:
        z = z * _columns(z, modes, 2.0)
    return z


def evaluate(z: Tensor, modes: Modes, sizes: Sequence[int], scale: float, once: bool) -> Tensor:
    """z (*modes, 2, B, C) -> (B, C, *N): Re sum over modes of z e^{ikx}, times `scale`.

    `once`: modes k > 0 of the half axis count once (the transpose of the analysis).
    """
    z = z * scale
    if once:
        z = z * _columns(z, modes, 0.5)
    dims = len(sizes)
    v = torch.view_as_complex(z.permute(dims + 1, dims + 2, *range(dims), dims).contiguous())
    for d, n in list(enumerate(sizes))[:-1]:
        v = _spread(v, d + 2, modes.bases[d].n_modes, n)  # type: ignore[union-attr]
        v = torch.fft.ifft(v, dim=d + 2, norm="forward")
    # Re takes nothing of the imaginary part at k = 0; not every FFT library leaves it out by itself
    # (pytorch/pytorch issue 154496, on CUDA).
    torch.view_as_real(v)[..., 0, 1] = 0.0
    return torch.fft.irfft(v, n=sizes[-1], dim=-1, norm="forward")


def _columns(z: Tensor, modes: Modes, factor: float) -> Tensor:
    """(m, 1, 1, 1): 1 for k = 0 of the half axis, `factor` for the others."""
    k = torch.arange(modes.shape[-1], device=z.device)
    return torch.where(k > 0, factor, 1.0).to(z.dtype)[:, None, None, None]


def _cut(z: Tensor, dim: int, m: int) -> Tensor:
    """FFT order to 0, .., p-1, -1, .., -q."""
    p, q = (m + 1) // 2, m // 2
    return torch.cat([z.narrow(dim, 0, p), z.narrow(dim, z.shape[dim] - q, q).flip(dim)], dim)


def _spread(z: Tensor, dim: int, m: int, n: int) -> Tensor:
    """0, .., p-1, -1, .., -q to the FFT order of n points."""
    p, q = (m + 1) // 2, m // 2
    zeros = z.new_zeros(*z.shape[:dim], n - m, *z.shape[dim + 1 :])
    return torch.cat([z.narrow(dim, 0, p), zeros, z.narrow(dim, p, q).flip(dim)], dim)


def is_smooth(n: int) -> bool:
    """Whether n has no factors but 2, 3 and 5."""
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1
