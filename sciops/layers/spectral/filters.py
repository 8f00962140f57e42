r"""Linear filters: what multiplies the coefficients of each mode.

    Y(k) = R(k) Z(k),    Z (M, parts, R, C_in) -> Y (M, parts, R, C_out)

M modes, parts 2 (complex) or 1, R rows (samples, and the points of axes that are carried along).

    Dense     R(k) any complex C_in x C_out matrix                  2 C_in C_out M parameters (FNO)
    Block     R(k) block diagonal; with as many blocks as channels a gain for each of them
    Tucker    R(k) = U_in (sum_r G_r prod_d U_d[k_d, r_d]) U_out      ranks from one fraction (TFNO)
    CP        R(k) = U_in diag(lambda_r prod_d U_d[k_d, r]) U_out     one rank
    Frozen    a Dense filter that is drawn once and never trained     a control

The parameters are real: real and imaginary part lie beside each other.  The factors of Tucker and
CP are real but for one, which loses nothing: at full rank both kinds are all of Dense.

They start with E|Y|^2 = E|Z|^2 for independent channels.

Sources: Li et al., Fourier neural operator, 2021, arXiv 2010.08895; Kossaifi et al., Multi-grid
tensorized Fourier neural operator, 2024, arXiv 2310.00120; Rao et al., Global filter networks,
2021, arXiv 2107.00645 (a gain for each channel and mode).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from sciops.core.errors import ConfigError
from sciops.layers.linear_node import full_precision
from sciops.layers.spectral.products import Modes

Precision = Literal["full", "bf16"]


def product(z: Tensor, w: Tensor, precision: Precision = "full") -> Tensor:
    """z (K, parts, R, C_in) times w (K, C_in, parts, C_out), real or complex."""
    with full_precision(z):
        k, parts, rows, c_in = z.shape
        z, w = z.reshape(k, parts * rows, c_in), w.flatten(2).to(z.dtype)  # w: [Re | Im]
        if precision == "bf16":
            low = torch.bmm(z.bfloat16(), w.bfloat16()).to(z.dtype)
            return low[:, None] if parts == 1 else _combined(low)
        if parts == 1:
            return exact_product(z, w)[:, None]
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return _ComplexProduct.apply(z, w)
        return _combined(torch.bmm(z, w))


def of_channels(z: Tensor, w: Tensor) -> Tensor:
    """z (.., C_in) times one matrix w (C_in, C_out), as exactly."""
    return exact_product(z.reshape(1, -1, z.shape[-1]), w[None].to(z.dtype)).reshape(
        *z.shape[:-1], w.shape[-1]
    )


def exact_product(z: Tensor, w: Tensor) -> Tensor:
    """z (K, R, C_in) times w (K, C_in, C_out) with all digits, forward and backward."""
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return _Product.apply(z, w)  # type: ignore[no-any-return]
    with full_precision(z):
        return torch.bmm(z, w)


class _Product(torch.autograd.Function):
    """`torch.bmm`, whose derivatives are computed as exactly as itself."""

    @staticmethod
    def forward(z: Tensor, w: Tensor) -> Tensor:
        with full_precision(z):
            return torch.bmm(z, w)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        z, w = ctx.saved_tensors
        dz = exact_product(g, w.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return dz, exact_product(z.transpose(1, 2), g) if ctx.needs_input_grad[1] else None

    @staticmethod
    def jvp(ctx: Any, dz: Tensor | None, dw: Tensor | None) -> Tensor:  # type: ignore[override]
        z, w = ctx.saved_tensors
        terms = [exact_product(dz, w)] if dz is not None else []
        terms += [exact_product(z, dw)] if dw is not None else []
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, int | None], z: Tensor, w: Tensor) -> Any:  # type: ignore[override]
        z, w = _batched(info.batch_size, in_dims, (z, w))
        y = exact_product(z.flatten(0, 1), w.flatten(0, 1))
        return y.unflatten(0, (info.batch_size, -1)), 0


def _batched(
    n: int, in_dims: tuple[int | None, int | None], tensors: tuple[Tensor, Tensor]
) -> tuple[Tensor, ...]:
    """The tensors of a vmap with its dimension in front."""
    return tuple(
        t.expand(n, *t.shape) if d is None else t.movedim(d, 0)
        for t, d in zip(tensors, in_dims, strict=True)
    )


def _combined(u: Tensor) -> Tensor:
    """[Zr; Zi] [Wr | Wi] (K, 2 R, 2 C) -> Z W (K, 2, R, C)."""
    k, rows, c = u.shape
    u = u.reshape(k, 2, rows // 2, 2, c // 2)
    return torch.stack([u[:, 0, :, 0] - u[:, 1, :, 1], u[:, 0, :, 1] + u[:, 1, :, 0]], 1)


class _ComplexProduct(_Product):
    """z (K, 2 R, C_in), w (K, C_in, 2 C_out) -> (K, 2, R, C_out), one node instead of eight."""

    @staticmethod
    def forward(z: Tensor, w: Tensor) -> Tensor:
        return _combined(torch.bmm(z, w))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        z, w = ctx.saved_tensors
        real, imaginary = g.unbind(1)
        top = torch.cat([real, imaginary], 2)
        du = torch.cat([top, torch.cat([imaginary, -real], 2)], 1)  # the transpose of _combined
        dz = exact_product(du, w.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return dz, exact_product(z.transpose(1, 2), du) if ctx.needs_input_grad[1] else None

    @staticmethod
    def jvp(ctx: Any, dz: Tensor | None, dw: Tensor | None) -> Tensor:  # type: ignore[override]
        z, w = ctx.saved_tensors
        terms = [_combined(exact_product(dz, w))] if dz is not None else []
        terms += [_combined(exact_product(z, dw))] if dw is not None else []
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, int | None], z: Tensor, w: Tensor) -> Any:  # type: ignore[override]
        z, w = _batched(info.batch_size, in_dims, (z, w))
        y = _ComplexProduct.apply(z.flatten(0, 1), w.flatten(0, 1))
        return y.unflatten(0, (info.batch_size, -1)), 0


def gain(z: Tensor, w: Tensor) -> Tensor:
    """z (M, parts, R, C) times w (M, parts, 1, C), real or complex, element by element."""
    if z.shape[1] == 1:
        return z * w
    (a, b), (c, d) = z.unbind(1), w.to(z.dtype).unbind(1)
    return torch.stack([a * c - b * d, a * d + b * c], 1)


class Filter(nn.Module):
    """A map of the coefficients of all modes, (M, parts, R, C_in) -> (M, parts, R, C_out).

    Its traits are those of the mixer that it makes (`sciops.layers.operator_block`); `residual`
    filters give a change, to which the mixer adds its input.
    """

    linear: ClassVar[bool] = True
    equivariant: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True
    residual: ClassVar[bool] = False


class Dense(Filter):
    """A matrix for each mode.

    Parameters
    ----------
    modes
        Kept modes.
    c_in, c_out
        Channels.
    precision
        ``bf16``: this product, and only this, in bfloat16.

    Notes
    -----
    Shapes: Z (M, parts, R, c_in) -> (M, parts, R, c_out); weight (*modes, c_in, parts, c_out).
    """

    def __init__(self, modes: Modes, c_in: int, c_out: int, precision: Precision = "full") -> None:
        super().__init__()
        self.precision = precision
        shape = (*modes.shape, c_in, modes.parts, c_out)
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(modes.parts * c_in))

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, c_in) -> (M, parts, R, c_out)."""
        return product(z, self.weight.flatten(0, -4), self.precision)


class Frozen(Filter):
    """A dense filter of random weights that are kept with the model and never trained."""

    weight: Tensor

    def __init__(self, modes: Modes, c_in: int, c_out: int) -> None:
        super().__init__()
        self.register_buffer("weight", Dense(modes, c_in, c_out).weight.detach())

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, c_in) -> (M, parts, R, c_out)."""
        return product(z, self.weight.flatten(0, -4))


class Block(Filter):
    """A block-diagonal matrix for each mode; with as many blocks as channels, a gain.

    Notes
    -----
    Shapes: Z (M, parts, R, C) -> (M, parts, R, C); weight (*modes, blocks, b, parts, b), where
    b = C / blocks.
    """

    mixes_channels = False

    def __init__(self, modes: Modes, channels: int, blocks: int) -> None:
        super().__init__()
        b = block_size(channels, blocks)
        self.blocks = blocks
        weight = torch.randn(*modes.shape, blocks, b, modes.parts, b)
        self.weight = nn.Parameter(weight / math.sqrt(modes.parts * b))

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, C) -> (M, parts, R, C)."""
        w = self.weight.flatten(0, -5)  # (M, blocks, b, parts, b)
        if w.shape[2] == 1:
            return gain(z, w[:, :, 0, :, 0].transpose(1, 2)[:, :, None])
        m, parts, rows, c = z.shape
        z = z.unflatten(3, (self.blocks, -1)).movedim(3, 1)  # (M, blocks, parts, R, b)
        y = product(z.flatten(0, 1), w.flatten(0, 1)).unflatten(0, (m, self.blocks))
        return y.movedim(1, 3).reshape(m, parts, rows, c)


class Tucker(Filter):
    """A matrix for each mode, all of them together a Tucker tensor.

    Parameters
    ----------
    modes, c_in, c_out
        Kept modes, channels.
    rank
        Parameters of the core over those of Dense, in (0, 1]; each dimension keeps the same share.
    """

    def __init__(self, modes: Modes, c_in: int, c_out: int, rank: float) -> None:
        super().__init__()
        dims = (*modes.shape, c_in, c_out)
        share = checked_rank(rank) ** (1 / len(dims))
        ranks = [max(1, math.ceil(share * n - 1e-9)) for n in dims]
        *kept, r_in, r_out = ranks
        core = torch.randn(*kept, r_in, modes.parts, r_out)
        self.core = nn.Parameter(core / math.sqrt(modes.parts * c_in))
        self.modes = nn.ParameterList(
            nn.Parameter(torch.randn(n, r) / math.sqrt(r))
            for n, r in zip(modes.shape, kept, strict=True)
        )
        self.enter = nn.Parameter(torch.randn(c_in, r_in) / math.sqrt(r_in))
        self.leave = nn.Parameter(torch.randn(r_out, c_out) / math.sqrt(r_out))

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, c_in) -> (M, parts, R, c_out)."""
        w = self.core
        for d, factor in enumerate(self.modes):
            w = of_channels(w.movedim(d, -1), factor.t()).movedim(-1, d)
        z = of_channels(z, self.enter)
        return of_channels(product(z, w.flatten(0, -4)), self.leave)


class CP(Filter):
    """A matrix for each mode, all of them together a sum of `rank` outer products.

    Parameters
    ----------
    modes, c_in, c_out
        Kept modes, channels.
    rank
        Number of products.
    """

    def __init__(self, modes: Modes, c_in: int, c_out: int, rank: int) -> None:
        super().__init__()
        if rank < 1:
            raise ConfigError(f"the rank of a CP filter must be at least 1, got {rank}")
        first, *others = modes.shape
        self.first = nn.Parameter(torch.randn(first, modes.parts, rank) / math.sqrt(modes.parts))
        self.others = nn.ParameterList(nn.Parameter(torch.randn(n, rank)) for n in others)
        self.enter = nn.Parameter(torch.randn(c_in, rank) / math.sqrt(c_in))
        self.leave = nn.Parameter(torch.randn(rank, c_out) / math.sqrt(rank))

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, c_in) -> (M, parts, R, c_out)."""
        with full_precision(z):
            w = self.first  # (m_1, parts, rank)
            for factor in self.others:
                w = (w[:, None] * factor[:, None]).flatten(0, 1)  # (m_1 .. m_d, parts, rank)
            return of_channels(gain(of_channels(z, self.enter), w[:, :, None]), self.leave)


def block_size(channels: int, blocks: int) -> int:
    """Channels of a block; ConfigError where they do not come out even."""
    if blocks < 1 or channels % blocks:
        raise ConfigError(f"{channels} channels do not fall into {blocks} equal blocks")
    return channels // blocks


def checked_rank(rank: float) -> float:
    """The rank, if it is a share of the whole."""
    if not 0 < rank <= 1:
        raise ConfigError(f"the rank of a Tucker filter is a share in (0, 1], got {rank}")
    return rank
