r"""A linear map and its transpose as one autograd node.

    y = L x,    dL/dx: g -> L^T g,    directional derivative: dx -> L dx

A linear node keeps no tensor for its backward pass, and since that is a linear node again, every
derivative of every order exists, forward and reverse, and `torch.func.vmap` folds its dimension
into the batch.  Inside, autocast is off and TF32 is off: a transform in low precision loses the
digits that the modes beyond the first few live in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor


class LinearPair(Protocol):
    """A linear map, its transpose, and where the batch dimension of either side is."""

    def apply(self, x: Tensor) -> Tensor:
        """L x."""
        ...

    def transpose(self) -> LinearPair:
        """L^T."""
        ...

    @property
    def batch(self) -> tuple[int, int]:
        """Batch dimension of x and of L x."""
        ...


def linear(pair: LinearPair, x: Tensor) -> Tensor:
    """L x, differentiable; in at least float32."""
    if x.dtype in (torch.bfloat16, torch.float16):
        x = x.float()
    if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return _Linear.apply(x, pair)
    with _full_precision(x):
        return pair.apply(x)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, pair: LinearPair) -> Tensor:
        with _full_precision(x):
            return pair.apply(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, LinearPair], output: Tensor) -> None:
        ctx.pair = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _Linear.apply(g, ctx.pair.transpose()), None

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, _: None) -> Tensor:  # type: ignore[override]
        return _Linear.apply(dx, ctx.pair)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, None], x: Tensor, pair: LinearPair) -> Any:  # type: ignore[override]
        before, after = pair.batch
        x = x.movedim(in_dims[0], before)  # (.., V, B, ..)
        y = _Linear.apply(x.flatten(before, before + 1), pair)
        return y.unflatten(after, (info.batch_size, -1)), after


@contextmanager
def _full_precision(x: Tensor) -> Iterator[None]:
    """No autocast; and on CUDA no TF32 in matrix products, whatever the process has set."""
    if x.is_cuda and torch.backends.cuda.matmul.allow_tf32 and not torch.compiler.is_compiling():
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            with _no_autocast(x):
                yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = True
        return
    with _no_autocast(x):
        yield


def _no_autocast(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)
