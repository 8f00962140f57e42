"""Constant matrices that depend on sizes: made once, in float64, and kept.

They are in no state dict; while a graph is traced, where a size may be a symbol, they are made anew
as a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch._subclasses import FakeTensor

Make = Callable[..., Tensor]


def table(make: Make, *key: Hashable, like: Tensor) -> Tensor:
    """`make(*key, device)`, computed in float64, in the type and on the device of `like`.

    In float64 where `like` is float64 and in float32 elsewhere.
    """
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    if torch.compiler.is_compiling() or isinstance(like, FakeTensor):
        return make(*key, like.device).to(dtype)
    kept = _kept(make, key, dtype, like.device)
    if type(kept) is not Tensor:  # made under a fake mode: of no use to anybody else
        _kept.cache_clear()
    return kept


@lru_cache(maxsize=512)
def _kept(
    make: Make, key: tuple[Hashable, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    with unobserved():
        return make(*key, torch.device("cpu")).to(dtype).contiguous().to(device)


@contextmanager
def unobserved() -> Iterator[None]:
    """Tensors made here outlive inference mode and the transforms of torch.func around it."""
    with temporarily_clear_interpreter_stack(), torch.inference_mode(False), torch.no_grad():
        yield
