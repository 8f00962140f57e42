"""Fields of known functions, filters, and slow references for the tests of the spectral layers.

Nothing here is taken from the library but its classes: places of points, functions and the sum over
modes are written once more, from their definitions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sciops.layers.spectral import (
    AFF,
    AFNO,
    CP,
    Basis,
    Block,
    Dense,
    Frozen,
    Gated,
    Modes,
    SpectralMixer,
    Transform,
    Tucker,
)
from sciops.layers.spectral.filters import Filter

FILTERS: dict[str, Callable[[Modes, int], Filter]] = {
    "dense": lambda modes, c: Dense(modes, c, c),
    "tucker": lambda modes, c: Tucker(modes, c, c, 0.5),
    "cp": lambda modes, c: CP(modes, c, c, 6),
    "block": lambda modes, c: Block(modes, c, 2),
    "diag": lambda modes, c: Block(modes, c, c),
    "frozen": lambda modes, c: Frozen(modes, c, c),
    "aff": lambda modes, c: AFF(modes, c, 2, 256),
    "afno": lambda modes, c: AFNO(modes, c, 2, 256),
    "gated": lambda modes, c: Gated(modes, c, c, 2),
}
LINEAR = ("dense", "tucker", "cp", "block", "diag", "frozen")
NODES = tuple(0.5 - 0.5 * math.cos(math.pi * i / 11) for i in range(12))  # graded, 12 of them
BASES: dict[str, Basis] = {
    "fourier": Basis("fourier", 5),
    "even": Basis("fourier", 4),
    "cell": Basis("fourier", 5, "cell"),
    "extended": Basis("fourier", 5, "cell", extension=1.25),
    "cosine": Basis("cosine", 5, "cell"),
    "cosine_node": Basis("cosine", 5, "node"),
    "sine": Basis("sine", 5, "node"),
    "chebyshev": Basis("chebyshev", 5, "cell"),
    "nodes": Basis("chebyshev", 5, nodes=NODES),
}


def mixer(filter: str, bases: Sequence[Basis | None], channels: int = 4, backend: str = "auto"):
    """A new mixer of that filter, seeded."""
    torch.manual_seed(0)
    transform = Transform(bases, backend)
    return SpectralMixer(transform, FILTERS[filter](transform.modes, channels))


def places(spacing: str, n: int) -> Tensor:
    """(n,) where the points of an axis of length one lie."""
    ends = {
        "periodic": np.linspace(0, 1, n + 1)[:-1],
        "left": np.linspace(0, 1, n + 1)[:-1],
        "cell": (np.linspace(0, 1, n + 1)[1:] + np.linspace(0, 1, n + 1)[:-1]) / 2,
        "node": np.linspace(0, 1, n),
        "interior": np.linspace(0, 1, n + 2)[1:-1],
    }
    return torch.from_numpy(ends[spacing])


def functions(basis: Basis, s: Tensor, highest: int | None = None) -> Tensor:
    """(F, n) real functions that span what the basis keeps, or those up to a lower wavenumber.

    Of the modes of a Fourier basis only those with both signs: k = -(m-1)//2 .. (m-1)//2.
    """
    m = basis.n_modes
    if basis.kind == "fourier":
        top = (m - 1) // 2 if highest is None else highest
        turn = 2 * math.pi * s / basis.extension
        rows = [(k * turn).cos() for k in range(top + 1)]
        rows += [(k * turn).sin() for k in range(1, top + 1)]
    elif basis.kind == "cosine":
        rows = [(math.pi * k * s).cos() for k in range(m)]
    elif basis.kind == "sine":
        rows = [(math.pi * (k + 1) * s).sin() for k in range(m)]
    else:
        rows = [torch.ones_like(s), 2 * s - 1]
        while len(rows) < m:
            rows.append(2 * (2 * s - 1) * rows[-1] - rows[-2])
    return torch.stack(rows[:m] if basis.kind != "fourier" else rows)


class Field:
    """One random field of kept functions, (B, C, *sizes) on whatever points."""

    def __init__(
        self,
        bases: Sequence[Basis],
        highest: int | None = None,
        channels: int = 4,
        batch: int = 2,
        seed: int = 0,
    ) -> None:
        self.bases, self.highest = bases, highest
        zero = torch.zeros(1, dtype=torch.float64)
        counts = [len(functions(b, zero, highest)) for b in bases]
        generator = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(
            batch, channels, *counts, generator=generator, dtype=torch.float64
        )

    def on(self, *sizes: int) -> Tensor:
        """(B, C, *sizes), float64."""
        axes = [
            torch.tensor(b.nodes, dtype=torch.float64) if b.nodes else places(b.spacing, n)
            for b, n in zip(self.bases, sizes, strict=True)
        ]
        v = self.weights
        for basis, s in zip(self.bases, axes, strict=True):  # the axis in front goes to the back
            v = torch.tensordot(v, functions(basis, s, self.highest), ([2], [0]))
        return v

    def at(self, points: Tensor) -> Tensor:
        """(B, C, M) at points (M, D)."""
        v = self.weights
        rows = [functions(b, s, self.highest) for b, s in zip(self.bases, points.T, strict=True)]
        names = "pqr"[: len(rows)]
        terms = ",".join(f"{name}m" for name in names)
        return torch.einsum(f"bc{names},{terms}->bcm", v, *rows)


def signed(m: int) -> list[int]:
    """Wavenumbers of a signed axis, in the order in which weights are stored."""
    return [*range((m + 1) // 2), *(-k for k in range(1, m // 2 + 1))]


def waves(n_modes: Sequence[int]) -> list[tuple[int, ...]]:
    """Wavenumbers of the weights of periodic axes, in order; of the last axis k >= 0 alone."""
    return list(itertools.product(*map(signed, n_modes[:-1]), range(n_modes[-1] // 2 + 1)))


def complex_weight(dense: Tensor) -> Tensor:
    """(*modes, C_in, 2, C_out) -> complex (K, C_in, C_out)."""
    w = dense.detach().flatten(0, -4)
    return torch.complex(w[:, :, 0], w[:, :, 1])


def summed(x: Tensor, weight: Tensor, n_modes: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """Dense filter as the sum over modes, k and -k, one after the other; weight (K, C, C')."""

    def phase(k: tuple[int, ...], sizes: Sequence[int]) -> Tensor:
        axes = [
            torch.arange(n, dtype=torch.float64) * (2 * math.pi * kd / n)
            for kd, n in zip(k, sizes, strict=True)
        ]
        angle = sum(torch.meshgrid(*axes, indexing="ij"))
        return torch.complex(angle.cos(), angle.sin())  # type: ignore[union-attr]

    x = x.to(torch.complex128)
    y = torch.zeros(x.shape[0], weight.shape[2], *sizes, dtype=torch.float64)
    for k, r in zip(waves(n_modes), weight, strict=True):
        z = (x * phase(k, x.shape[2:]).conj()).flatten(2).mean(2)  # (B, C)
        term = torch.einsum("bd,...->bd...", z @ r, phase(k, sizes))
        y += (1 if k[-1] == 0 else 2) * term.real
    return y


def by_full_fft(x: Tensor, weight: Tensor, n_modes: Sequence[int]) -> Tensor:
    """Dense filter by rfftn and irfftn of the whole grid; no mode may be at Nyquist."""
    dims = tuple(range(2, x.ndim))
    spectrum = torch.fft.rfftn(x, dim=dims, norm="forward")
    out = torch.zeros_like(spectrum)
    for k, r in zip(waves(n_modes), weight, strict=True):
        out[(..., *k)] = spectrum[(..., *k)] @ r
    return torch.fft.irfftn(out, s=x.shape[2:], dim=dims, norm="forward")


def off(got: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest value."""
    assert got.shape == expected.shape, (tuple(got.shape), tuple(expected.shape))
    assert torch.isfinite(got).all()
    size = max(expected.abs().max().item(), 1e-300)
    return (got - expected).abs().max().item() / size
