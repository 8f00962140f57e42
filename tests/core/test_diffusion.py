"""The diffusion map with closed faces: its matrix, its walls and obstacles, and its kernel."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sciops.core import finite_volume as fv
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ShapeError
from sciops.core.kernel import Kernel

SHAPES = [(9,), (7, 6), (5, 4, 6)]


def closed_at_random(shape, share=0.35, seed=0, batch=()) -> DiffusionMap:
    """Conductances of which a share is 0, walls included."""
    rng = np.random.default_rng(seed)
    t = []
    for axis in range(len(shape)):
        faces = [n + (i == axis) for i, n in enumerate(shape)]
        values = rng.uniform(0.5, 2.0, (*batch, *faces))
        t.append(torch.from_numpy(values * (rng.random(values.shape) > share)))
    return DiffusionMap(t)


def dense(A: DiffusionMap) -> torch.Tensor:
    unit = torch.eye(A.size, dtype=A.dtype).reshape(-1, *A.shape)
    return (A @ unit).reshape(A.size, -1).T


def null_vectors(kernel: Kernel | None, size: int) -> torch.Tensor:
    """(count, N)."""
    if kernel is None:
        return torch.zeros(0, size, dtype=torch.float64)
    k = kernel.labels.flatten()
    return torch.stack([(k == i).double() for i in range(kernel.count)])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_is_the_null_space(shape, seed):
    A = closed_at_random(shape, 0.6, seed)
    matrix = dense(A)
    np.testing.assert_allclose(A.sparse().toarray(), matrix.numpy(), atol=1e-14)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=0)
    values = torch.linalg.eigvalsh(matrix)
    assert values[0] > -1e-12
    zero = null_vectors(A.kernel, A.size)
    assert len(zero) == int((values < 1e-10).sum()) > 0
    assert float((matrix @ zero.T).abs().max()) < 1e-13
    assert bool((zero.sum(0) <= 1).all()) and bool(zero.any(1).all())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dot_test(shape):
    A = closed_at_random(shape, batch=(2,))
    x, y = torch.randn(2, 2, *shape, dtype=torch.float64)
    assert float(((A @ x) * y).sum()) == pytest.approx(float((x * (A @ y)).sum()), rel=1e-12)
    assert float((x * (A @ x)).sum()) >= 0


def test_two_rooms_and_the_inside_of_a_wall():
    """A full wall parts the box; only the right room opens to a Dirichlet wall."""
    solid = torch.zeros(6, 9, dtype=torch.bool)
    solid[:, 4] = True
    a = torch.full((6, 9), torch.nan, dtype=torch.float64)
    a[~solid] = 2.0
    walls = [("neumann", "neumann"), ("neumann", "dirichlet")]
    A = DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell", walls=walls, obstacle=solid)
    kernel = A.kernel
    assert kernel.count == 1 + 6
    assert set(kernel.labels[:, :4].flatten().tolist()) == {int(kernel.labels[0, 0])}
    assert kernel.lone.equal(solid) and bool((kernel.labels[:, 5:] == -1).all())
    assert kernel.project(torch.ones(6, 9))[:, :5].abs().max() == 0
    x = torch.randn(6, 9, dtype=torch.float64)
    y = x.clone()
    y[solid] = 1e6
    torch.testing.assert_close(A @ y, A @ x, rtol=0, atol=0)
    assert not (A @ x)[solid].any() and not A.diagonal()[solid].any()


def test_closed_faces_part_rooms_as_walls_do():
    """The wall between cells, without solid cells: components come from the graph of the faces."""
    a = torch.ones(5, 8, dtype=torch.float64)
    tx, ty = fv.conductances(a, (1.0, 1.0), "cell")
    tx[[0, -1]], ty[:, [0, -1]], ty[:, 3] = 0.0, 0.0, 0.0
    kernel = DiffusionMap([tx, ty]).kernel
    assert kernel.count == 2 and kernel.sizes.tolist() == [15, 25]
    ty[2, 3] = 1e-9  # a pin-hole
    assert DiffusionMap([tx, ty]).kernel.sizes.tolist() == [40]
    tx[0, 0] = 1e-9  # and a value somewhere on the wall
    assert DiffusionMap([tx, ty]).kernel is None


def test_components_in_three_dimensions():
    solid = torch.ones(6, 6, 6, dtype=torch.bool)
    solid[1:3, 1:3, 1:3] = solid[4, 4, 4] = solid[0, :, 5] = False
    a = torch.ones(6, 6, 6, dtype=torch.float64)
    A = DiffusionMap.from_coefficient(a, (1.0,) * 3, "cell", walls="neumann", obstacle=solid)
    sizes = sorted(A.kernel.sizes.tolist())
    assert sizes[-2:] == [6, 8] and set(sizes[:-2]) == {1} and sum(sizes) == 216


@pytest.mark.parametrize("mean", ["harmonic", "arithmetic"])
def test_obstacle_closes_the_faces_around_it_and_no_others(mean):
    a = torch.rand(6, 7, dtype=torch.float64) + 0.5
    solid = torch.rand(6, 7) < 0.3
    full = DiffusionMap.from_coefficient(a, (0.5, 0.25), "cell", mean).conductances
    some = DiffusionMap.from_coefficient(a, (0.5, 0.25), "cell", mean, obstacle=solid)
    padded = torch.nn.functional.pad(solid, (1, 1, 1, 1))
    besides = (
        (padded[:-1] | padded[1:])[:, 1:-1],
        (padded[:, :-1] | padded[:, 1:])[1:-1],
    )
    for t, whole, beside in zip(some.conductances, full, besides, strict=True):
        torch.testing.assert_close(t, torch.where(beside, 0.0, whole), rtol=0, atol=0)


def test_obstacle_among_nodes():
    a = torch.ones(5, 5, dtype=torch.float64)
    solid = torch.zeros(5, 5, dtype=torch.bool)
    solid[2, 2] = solid[0, 1] = True  # an inner node and one on the wall
    A = DiffusionMap.from_coefficient(a, (1.0, 1.0), "node", obstacle=solid)
    expected = torch.tensor([[3.0, 3.0, 4.0], [3.0, 0.0, 3.0], [4.0, 3.0, 4.0]])
    torch.testing.assert_close(A.diagonal(), expected.double())
    assert A.kernel.lone.nonzero().tolist() == [[1, 1]]


def test_neumann_walls_reflect():
    """Cells up to a Neumann wall are half of a symmetric row between two Dirichlet walls."""
    a = torch.rand(6, dtype=torch.float64) + 0.5
    half = DiffusionMap.from_coefficient(a, (0.1,), "cell", walls=[("dirichlet", "neumann")])
    whole = DiffusionMap.from_coefficient(torch.cat([a, a.flip(0)]), (0.1,), "cell")
    x = torch.randn(6, dtype=torch.float64)
    torch.testing.assert_close(half @ x, (whole @ torch.cat([x, x.flip(0)]))[:6])


def test_each_entry_of_a_stack_has_its_own_kernel():
    a = torch.ones(3, 5, 6, dtype=torch.float64)
    solid = torch.zeros(3, 5, 6, dtype=torch.bool)
    solid[1, :, 2] = True
    A = DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell", walls="neumann", obstacle=solid)
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    for i in range(3):
        one = DiffusionMap.from_coefficient(
            a[i], (1.0, 1.0), "cell", walls="neumann", obstacle=solid[i]
        )
        torch.testing.assert_close(A.kernel.project(x)[i], one.kernel.project(x[i]))
        torch.testing.assert_close((A @ x)[i], one @ x[i])
        assert torch.equal(A.kernel.labels[i], one.kernel.labels)


def test_survives_casts_and_copies():
    A = closed_at_random((5, 6), 0.6)
    for other in (A.to(dtype=torch.float32), pickle.loads(pickle.dumps(A))):
        assert torch.equal(other.kernel.labels, A.kernel.labels)
        assert other.symmetric and other.positive


def test_misuse_is_told():
    a = torch.ones(4, 5, dtype=torch.float64)
    with pytest.raises(ShapeError, match="pairs"):
        DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell", walls=[("neumann", "neumann")])
    with pytest.raises(ShapeError, match="pairs"):
        DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell", walls="periodic")
    with pytest.raises(ShapeError, match="centring='cell'"):
        DiffusionMap.from_coefficient(a, (1.0, 1.0), "node", walls="neumann")
    with pytest.raises(ShapeError, match="bool"):
        DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell", obstacle=a)
    with pytest.raises(ShapeError, match="negative"):
        DiffusionMap([-torch.ones(5)])
