"""The piecewise constants: projection, mean by component, every kind of component."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from sciops.core.errors import ShapeError
from sciops.core.kernel import Kernel

SHAPE = (6, 8)


def labels(kind: str) -> torch.Tensor:
    """Labels with no component, one on everything, two, solid cells only, and many."""
    k = torch.full(SHAPE, -1)
    if kind == "whole":
        k[:] = 0
    elif kind == "two and a solid cell":
        k[:3, :4], k[4:, 2:], k[0, 7] = 0, 2, 1
    elif kind == "solid cells":
        k[2, 3], k[5, 5] = 1, 0
    elif kind == "many":
        k[:, :7] = torch.arange(6)[:, None] + 6 * (torch.arange(7) > 3)
    return k


KINDS = ("none", "whole", "two and a solid cell", "solid cells", "many")


def indicators(k: torch.Tensor) -> torch.Tensor:
    """(count, N) the null vectors one by one."""
    count = int(k.max()) + 1
    return torch.stack([(k == i).double().flatten() for i in range(count)] or [k.new_zeros(0)])


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_is_the_orthogonal_projection(kind, batch):
    kernel, v = Kernel(labels(kind)), torch.randn(*batch, *SHAPE, dtype=torch.float64)
    flat = v.reshape(-1, 48)
    expected = torch.zeros_like(flat)
    if kernel.count:
        e = indicators(kernel.labels)
        e = e / e.norm(dim=1, keepdim=True)
        expected = flat @ e.T @ e
    torch.testing.assert_close(kernel.part(v), expected.reshape(v.shape))
    torch.testing.assert_close(kernel.project(v), v - expected.reshape(v.shape))
    torch.testing.assert_close(kernel.project(kernel.project(v)), kernel.project(v))


@pytest.mark.parametrize("kind", KINDS)
def test_counts_components_and_their_unknowns(kind):
    kernel = Kernel(labels(kind))
    expected = {"none": [], "whole": [48], "two and a solid cell": [12, 1, 12]}
    expected |= {"solid cells": [1, 1], "many": [4] * 6 + [3] * 6}
    assert kernel.sizes.tolist() == expected[kind] and kernel.count == len(expected[kind])
    assert int(kernel.lone.sum()) == expected[kind].count(1)


@pytest.mark.parametrize("kind", KINDS)
def test_means_are_summed_in_float64(kind):
    v = torch.full(SHAPE, 1e7, dtype=torch.float32) + torch.arange(48.0).reshape(SHAPE)
    kernel = Kernel(labels(kind))
    part = kernel.part(v)
    assert part.dtype == torch.float32
    torch.testing.assert_close(part, kernel.part(v.double()).float(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_differentiable_and_vectorised(kind):
    kernel = Kernel(labels(kind))
    v = torch.randn(3, *SHAPE, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(kernel.project, v[:1].detach().requires_grad_())
    each = torch.func.vmap(kernel.project)(v)
    torch.testing.assert_close(each, kernel.project(v))
    tangent = torch.func.jvp(kernel.part, (v.detach(),), (v.detach() + 1,))[1]
    torch.testing.assert_close(tangent, kernel.part(v.detach() + 1))


def test_each_entry_of_a_stack_has_its_own():
    kinds = ("two and a solid cell", "whole", "many")
    stack = Kernel(torch.stack([labels(kind) for kind in kinds]), 2)
    assert stack.shape == SHAPE and stack.count == 12
    for v in (torch.randn(*SHAPE), torch.randn(4, 3, *SHAPE)):
        out = stack.project(v)
        assert out.shape == (*v.shape[:-3], 3, *SHAPE)
        for i, kind in enumerate(kinds):
            mine = v if v.ndim == 2 else v[:, i]
            torch.testing.assert_close(out[..., i, :, :], Kernel(labels(kind)).project(mine))


def test_survives_copies():
    kernel, v = Kernel(labels("many")), torch.randn(SHAPE)
    for other in (copy.deepcopy(kernel), pickle.loads(pickle.dumps(kernel)), kernel.to("cpu")):
        assert torch.equal(other.project(v), kernel.project(v))


def test_misuse_is_told():
    with pytest.raises(ShapeError, match="int64"):
        Kernel(torch.zeros(3))
    with pytest.raises(ShapeError, match="-2"):
        Kernel(torch.tensor([0, -2]))
    with pytest.raises(ShapeError, match="dimensions"):
        Kernel(torch.zeros(3, dtype=torch.int64), 2)
    with pytest.raises(ShapeError, match=r"\(6, 8\)"):
        Kernel(labels("whole")).part(torch.zeros(8, 6))
