"""pyamg behind the interface of the solvers: a linear, symmetric cycle and few iterations."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import MissingPackage, SciopsError, ShapeError
from sciops.core.linear import CallableMap, SparseMap
from sciops.solvers.amg import AMG
from sciops.solvers.cg import CG

METHODS = ("smoothed_aggregation", "ruge_stuben")


def diffusion(n=24, **settings) -> DiffusionMap:
    a = torch.from_numpy(100 ** np.random.default_rng(0).uniform(0, 1, (n, n + 3)))
    return DiffusionMap.from_coefficient(a, (1 / n, 1 / n), "cell", **settings)


def noise(A, *batch, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((*batch, *A.shape)))


@pytest.fixture(autouse=True)
def needs_pyamg(request):
    if "without" not in request.node.name:
        pytest.importorskip("pyamg")


@pytest.mark.parametrize("method", METHODS)
def test_symmetric_positive_definite(method):
    A = diffusion(11)
    M = AMG(method=method).setup(A)
    assert M.symmetric and M.positive
    B = M.matvec(torch.eye(A.size, dtype=A.dtype).reshape(-1, *A.shape)).reshape(A.size, -1)
    assert float((B - B.T).abs().max() / B.abs().max()) < 1e-12
    assert float(torch.linalg.eigvalsh((B + B.T) / 2)[0]) > 0


@pytest.mark.parametrize("method", METHODS)
def test_few_iterations_with_and_without_krylov(method):
    A = diffusion(48)
    b = noise(A, 2)
    assert int(CG(rtol=1e-8).solve(A, b, M=AMG(method=method)).check().iterations.max()) < 30
    assert int(AMG(method=method, rtol=1e-8).solve(A, b).check().iterations.max()) < 100


@pytest.mark.parametrize("method", METHODS)
def test_obstacles_in_a_closed_box(method):
    solid = torch.zeros(24, 27, dtype=torch.bool)
    solid[5:9, 3:20] = solid[15] = True
    A = diffusion(walls="neumann", obstacle=solid)
    x = A.kernel.project(noise(A))
    solution = CG(rtol=1e-10).solve(A, A @ x, M=AMG(method=method)).check()
    torch.testing.assert_close(solution.x, x, rtol=0, atol=1e-7)
    assert int(solution.iterations) < 40


@pytest.mark.parametrize("method", METHODS)
def test_closed_boxes_in_float32(method):
    A = diffusion(64, walls="neumann").to(dtype=torch.float32)
    b = A.kernel.project(noise(A).float())
    solution = CG(rtol=1e-4).solve(A, b, M=AMG(method=method)).check()
    assert int(solution.iterations) < 20


def test_linear_and_free_of_scale():
    A = diffusion()
    M, u = AMG().setup(A), noise(A)
    torch.testing.assert_close(M @ (1e-30 * u), 1e-30 * (M @ u), rtol=1e-9, atol=0)
    torch.testing.assert_close(M @ (u + noise(A, seed=1)), M @ u + M @ noise(A, seed=1))


def test_repeatable_without_a_trace_in_numpys_generator():
    A = diffusion()
    np.random.seed(5)  # noqa: NPY002
    first = AMG().setup(A) @ noise(A)
    after = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    assert after == np.random.rand()  # noqa: NPY002
    assert torch.equal(AMG().setup(A) @ noise(A), first)


def test_a_matrix_without_a_grid_and_without_symmetry():
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    graph = sp.random_array((200, 200), density=0.03, rng=rng)
    laplace = sp.diags_array(np.asarray((graph + graph.T).sum(0)) + 0.1) - (graph + graph.T)
    A = SparseMap.from_scipy(laplace, symmetric=True, positive=True)
    x = torch.randn(200, dtype=torch.float64)
    torch.testing.assert_close(CG(rtol=1e-11).solve(A, A @ x, M=AMG()).check().x, x)
    M = AMG().setup(SparseMap.from_scipy(laplace + 0.01 * graph))
    assert not M.symmetric and not M.positive


def test_without_pyamg_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyamg", None)
    with pytest.raises(MissingPackage, match=r"pip install 'sciops\[amg\]'"):
        AMG().setup(diffusion(8))


def test_misuse_is_told():
    A = diffusion(6)
    with pytest.raises(SciopsError, match="not known"):
        AMG().setup(CallableMap(A.matvec, A.shape, A.dtype, "cpu", True, True))
    with pytest.raises(ShapeError, match="stack"):
        AMG().setup(DiffusionMap([t.expand(2, *t.shape) for t in A.conductances]))
    with pytest.raises(SciopsError, match="its own preconditioner"):
        AMG().solve(A, noise(A), M=AMG())
