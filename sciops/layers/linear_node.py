r"""A linear map and its transpose as one autograd node.

    y = L x,    dL/dx: g -> L^T g,    directional derivative: dx -> L dx

A linear node keeps no tensor for its backward pass, and since that is a linear node again, every
derivative of every order exists, forward and reverse, and `torch.func.vmap` folds its dimension
into the batch.  Inside, autocast is off and TF32 is off: a transform in low precision loses the
digits that the modes beyond the first few live in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor


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
    if torch.compiler.is_compiling():
        return _applied(pair, x)
    if (x.requires_grad and torch.is_grad_enabled()) or is_functorch_wrapped_tensor(x):
        return _Linear.apply(x, pair)
    return _applied(pair, x)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, pair: LinearPair) -> Tensor:
        return _applied(pair, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, LinearPair], output: Tensor) -> None:
        ctx.pair = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return linear(ctx.pair.transpose(), g), None

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, _: None) -> Tensor:  # type: ignore[override]
        return linear(ctx.pair, dx)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, None], x: Tensor, pair: LinearPair) -> Any:  # type: ignore[override]
        before, after = pair.batch
        x = x.movedim(in_dims[0], before)  # (.., V, B, ..)
        y = linear(pair, x.flatten(before, before + 1))
        return y.unflatten(after, (info.batch_size, -1)), after


def _applied(pair: LinearPair, x: Tensor) -> Tensor:
    """L x without autocast and, on CUDA, without TF32 in matrix products."""
    with full_precision(x):
        return pair.apply(x)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """A context in which products of tensors like x keep all their digits."""
    if torch.compiler.is_compiling():
        return torch.autocast(x.device.type, enabled=False)
    if x.is_cuda and _tf32_allowed():
        return _no_tf32(x)
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


# The switch of CUDA's matrix products and its position for all digits.  Where torch has a new one
# (2.9), that alone can be read whichever was used: the old one raises once the new one was.
_PRODUCTS: Any = torch.backends.cuda.matmul
_SWITCH, _EXACT = (
    ("fp32_precision", "ieee") if hasattr(_PRODUCTS, "fp32_precision") else ("allow_tf32", False)
)


def _tf32_allowed() -> bool:
    return getattr(_PRODUCTS, _SWITCH) not in (_EXACT, "none")


@contextmanager
def _no_tf32(x: Tensor) -> Iterator[None]:
    before = getattr(_PRODUCTS, _SWITCH)
    if _SWITCH == "fp32_precision" and before == torch.backends.fp32_precision:  # type: ignore[attr-defined]
        before = "none"  # what is set for all products stays in force
    setattr(_PRODUCTS, _SWITCH, _EXACT)
    try:
        with torch.autocast(x.device.type, enabled=False):
            yield
    finally:
        setattr(_PRODUCTS, _SWITCH, before)
