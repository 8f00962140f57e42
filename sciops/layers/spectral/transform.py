r"""Analysis and synthesis of a field on the kept modes, by whichever way is the faster.

    z = analyse(x)        (B, C, *N) -> (*modes, parts, B, *carried, C)
    y = synthesise(z, M)  -> (B, C, *M),   on the same grid or on any other

`auto` takes matrix products, but on periodic axes whose lengths have no factors but 2, 3, 5 and
which all keep 48 modes or more, the pruned FFT.  Measured on one thread
(benchmarks/results/README.md): with 16 modes products are 1.2 to 2.1 times as fast, with 32 0.9 to
1.5 times, with 48 about as fast, and from 64 on the FFT is 0.7 to 3.2 times as fast; other lengths
favour products by far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.linear_node import linear
from sciops.layers.spectral import basis as tables
from sciops.layers.spectral import fft, products
from sciops.layers.spectral.basis import Basis
from sciops.layers.spectral.products import Modes

Backend = Literal["auto", "products", "fft"]

MANY = 48  # modes from which the FFT is the faster


class Transform:
    """The kept modes of a field, and how they are computed.

    Parameters
    ----------
    bases
        One for each axis of the field; None for an axis that is not transformed.
    backend
        ``products``, ``fft`` (periodic axes; products where an axis has no more points than modes)
        or ``auto``.

    Notes
    -----
    It has neither parameters nor buffers: matrices are cached by what they depend on.
    """

    def __init__(self, bases: Sequence[Basis | None], backend: Backend = "auto") -> None:
        self.modes = Modes(tuple(bases))
        self.backend = backend
        self._fft_serves = fft.serves(self.modes.bases)
        if backend == "fft" and not self._fft_serves:
            raise ConfigError(
                f"backend: fft serves periodic axes alone, all of them transformed together, which "
                f"an operator with walls or one axis at a time (ffno) has not; use auto, got "
                f"{self.modes.bases}"
            )

    def analyse(self, x: Tensor) -> Tensor:
        """x (B, C, *N) -> (*modes, parts, B, *carried, C)."""
        if x.ndim != len(self.modes.bases) + 2:
            raise ShapeError(
                f"expected a field (B, C, and {len(self.modes.bases)} sizes), got {tuple(x.shape)}"
            )
        sizes = x.shape[2:]
        if self._by_fft(x, sizes):
            return linear(_ByFFT(self.modes, tuple(sizes), 1 / prod(sizes), False, True), x)
        matrices = tuple(
            None if b is None else tables.analysis(b, n, x)
            for b, n in zip(self.modes.bases, sizes, strict=True)
        )
        return linear(_Products(self.modes, matrices, True), x)

    def synthesise(self, z: Tensor, sizes: Sequence[int]) -> Tensor:
        """z (*modes, parts, B, *carried, C) -> (B, C, *sizes)."""
        if len(sizes) != len(self.modes.bases):
            raise ShapeError(f"expected {len(self.modes.bases)} sizes, got {tuple(sizes)}")
        if self._by_fft(z, sizes):
            return linear(_ByFFT(self.modes, tuple(sizes), 1.0, True, False), z)
        matrices = tuple(
            None if b is None else tables.synthesis(b, n, d == self.modes.half, z)
            for d, (b, n) in enumerate(zip(self.modes.bases, sizes, strict=True))
        )
        return linear(_Products(self.modes, matrices, False), z)

    def _by_fft(self, x: Tensor, sizes: Sequence[int]) -> bool:
        if self.backend == "products" or torch.compiler.is_compiling():
            return False
        if not self._fft_serves or not fft.has_room(self.modes, sizes) or x.numel() == 0:
            return False
        return self.backend == "fft" or _fft_is_faster(self.modes, sizes)


def _fft_is_faster(modes: Modes, sizes: Sequence[int]) -> bool:
    """The measured rule."""
    many = all(b is not None and b.n_modes >= MANY for b in modes.bases)
    return many and all(fft.is_smooth(n) for n in sizes)


@dataclass(frozen=True, eq=False)
class _Products:
    """`products.project` with these matrices, or `products.evaluate`, its transpose."""

    modes: Modes
    matrices: tuple[Tensor | None, ...]
    forward: bool

    def apply(self, x: Tensor) -> Tensor:
        way = products.project if self.forward else products.evaluate
        return way(x, self.matrices, self.modes)

    def transpose(self) -> _Products:
        return _Products(self.modes, self.matrices, not self.forward)

    @property
    def batch(self) -> tuple[int, int]:
        inside = len(self.modes.shape) + 1
        return (0, inside) if self.forward else (inside, 0)


@dataclass(frozen=True, eq=False)
class _ByFFT:
    """`fft.project` or `fft.evaluate`; `twice` and its transpose `once` as there."""

    modes: Modes
    sizes: tuple[int, ...]
    scale: float
    synthesis: bool  # modes k > 0 of the half axis stand for -k too
    forward: bool

    def apply(self, x: Tensor) -> Tensor:
        if self.forward:
            return fft.project(x, self.modes, self.scale, self.synthesis)
        return fft.evaluate(x, self.modes, self.sizes, self.scale, not self.synthesis)

    def transpose(self) -> _ByFFT:
        return _ByFFT(self.modes, self.sizes, self.scale, self.synthesis, not self.forward)

    @property
    def batch(self) -> tuple[int, int]:
        inside = len(self.modes.shape) + 1
        return (0, inside) if self.forward else (inside, 0)
