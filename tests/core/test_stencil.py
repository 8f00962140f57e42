"""Constant stencils: their matrix, their ends, against the finite volumes and Fourier modes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ShapeError
from sciops.core.stencil import StencilMap

LAPLACE = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]).double()
ENDS = ("dirichlet", "neumann", "periodic")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("ends", [*ENDS, ("periodic", "neumann")], ids=str)
@pytest.mark.parametrize("sides", [(3, 3), (5, 1), (3, 5)], ids=str)
def test_acts_like_its_matrix(sides, ends, dtype):
    A = StencilMap(torch.randn(sides, dtype=dtype), (4, 5), ends)
    x = torch.randn(2, 3, 4, 5, dtype=dtype)
    expected = x.reshape(-1, 20).numpy() @ A.sparse().toarray().T
    np.testing.assert_allclose((A @ x).reshape(-1, 20).numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(A.diagonal().numpy().ravel(), A.sparse().diagonal())
    low = A.to(dtype=torch.float32)
    torch.testing.assert_close(low @ x.float(), (A @ x).float(), rtol=1e-4, atol=1e-4)


def test_neumann_is_the_finite_volume_operator():
    a = torch.ones(5, 6, dtype=torch.float64)
    A = StencilMap(LAPLACE, (5, 6), "neumann", True, True)
    same = DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell", walls="neumann")
    x = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(A @ x, same @ x)
    nodes = DiffusionMap.from_coefficient(torch.ones(7, 8).double(), (1.0, 1.0), "node")
    torch.testing.assert_close(StencilMap(LAPLACE, (5, 6)) @ x, nodes @ x)


def test_waves_are_eigenvectors_between_periodic_ends():
    n = torch.arange(8, dtype=torch.float64)
    wave = torch.cos(2 * math.pi * (n[:, None] + 2 * n[None, :]) / 8)
    value = 4 - 2 * math.cos(2 * math.pi / 8) - 2 * math.cos(4 * math.pi / 8)
    torch.testing.assert_close(StencilMap(LAPLACE, (8, 8), "periodic") @ wave, value * wave)


def test_one_and_three_dimensions():
    x = torch.randn(7, dtype=torch.float64)
    backward = StencilMap(torch.tensor([-1.0, 1.0, 0.0]).double(), (7,))
    torch.testing.assert_close(backward @ x, torch.diff(x, prepend=torch.zeros(1).double()))
    cube = torch.randn(3, 3, 3, dtype=torch.float64)
    A, y = StencilMap(cube, (4, 3, 5)), torch.randn(4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(
        A @ y, torch.nn.functional.conv3d(y[None], cube[None, None], padding=1)[0]
    )


def test_misuse_is_told():
    with pytest.raises(ShapeError, match="odd sides"):
        StencilMap(torch.ones(2, 3), (4, 4))
    with pytest.raises(ShapeError, match="odd sides"):
        StencilMap(torch.ones(3), (4, 4))
    with pytest.raises(ShapeError, match="ends must be"):
        StencilMap(torch.ones(3, 3), (4, 4), "open")
    with pytest.raises(ShapeError, match="finer grid"):
        StencilMap(torch.ones(7), (2,))
