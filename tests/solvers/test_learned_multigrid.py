"""Learned multigrid: positive definite for every weight, one cycle in two forms, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import cg as scipy_cg

from sciops.core.config import validate
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ConfigError, NotPositiveDefinite, SciopsError, ShapeError
from sciops.core.linear import DenseMap, SparseMap
from sciops.solvers import load
from sciops.solvers._black_box import Entries, Parities
from sciops.solvers._differentiable_cycle import DifferentiableCycle
from sciops.solvers._hierarchy import Hierarchy
from sciops.solvers._v_cycle import MultigridCycle
from sciops.solvers.cg import CG
from sciops.solvers.learned_multigrid import LearnedMultigrid, Trained
from sciops.solvers.multigrid import Multigrid
from sciops.training.descent import Descent, minimise
from sciops.training.directions import krylov, krylov_loss
from sciops.training.matrices import Media

SHAPES = [(16, 16), (15, 33), (17, 6), (33,), (5, 6, 7)]
LAWS = ["lognormal", "two_phase", "grains"]


def medium(shape, law="grains", seed=0, stack=1, **settings) -> DiffusionMap:
    generator = torch.Generator().manual_seed(seed)
    return Media(shape=shape, laws=(law,), stack=stack, **settings).draw(generator)


def network(shape, size=0.5, seed=0):
    """With random weights: x, f and g then take values all over their ranges."""
    torch.manual_seed(seed)
    made = Trained(dimension=len(shape), channels=6, depth=1).build().double()
    with torch.no_grad():
        for p in made.parameters():
            p.add_(size * torch.randn_like(p))
    return made


def noise(A, *batch, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((*batch, *A.shape)))


def matrix(B) -> torch.Tensor:
    unit = torch.eye(B.size, dtype=B.dtype).reshape(-1, *B.shape)
    return B.matvec(unit).reshape(B.size, -1).T.detach()


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [0.0, 0.5, 5.0])
def test_symmetric_positive_definite_for_every_weight(shape, law, size):
    A = medium(shape, law)
    B = matrix(network(shape, size).setup(A))
    scale = B.abs().max()
    assert float((B - B.T).abs().max()) <= 1e-12 * float(scale)
    eigenvalues = torch.linalg.eigvalsh((B + B.T) / 2)
    assert float(eigenvalues[0]) > 1e-12 * float(scale)
    product = torch.linalg.eigvals(B @ matrix(A)).real
    assert float(product.min()) > 0


def test_trained_weights_are_positive_definite_too_and_shorten_the_iteration():
    torch.manual_seed(0)
    made = Trained(dimension=2, channels=8, depth=1).build()
    media = Media(shape=(32, 32), laws=("grains",), stack=4)
    generator = torch.Generator().manual_seed(0)
    minimise(made, krylov(media.draw, 1, 4), Descent(steps=40, lr=1e-2), generator)
    A = medium((15, 17), seed=5)
    B = matrix(made.train().setup(A))
    assert float((B - B.T).abs().max()) <= 1e-12 * float(B.abs().max())
    assert float(torch.linalg.eigvalsh((B + B.T) / 2)[0]) > 0
    unseen = medium((64, 64), seed=7, stack=4)
    e = noise(unseen, 4)

    def loss(M):
        return float(krylov_loss(unseen, M.matvec, e, steps=4))

    before = Trained(dimension=2, channels=8, depth=1).build()
    with torch.no_grad():
        assert loss(made.setup(unseen)) < loss(before.setup(unseen)) - 0.02


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_cycles_are_one(shape, law):
    """In training mode a differentiable cycle stands for the one that works in place."""
    A, made = medium(shape, law), network(shape)
    r = noise(A, 2)
    z = made.setup(A).matvec(r)
    grids = Hierarchy.of(A, 64, made.coarsen)
    other = MultigridCycle(A, grids, 1, torch.float64).matvec(r)
    torch.testing.assert_close(z.detach(), other, rtol=1e-11, atol=1e-11 * float(other.abs().max()))


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
@pytest.mark.parametrize("shape", [(45, 40), (21, 22, 19)], ids=str)
def test_the_cycle_that_solvers_use(shape, walls):
    """After `eval()`: float32 on two grids and more, among obstacles, of a stack of maps."""
    A = medium(shape, "lognormal", stack=2, walls=walls, solid=0.3, contrast=1e3)
    made, x, y = network(shape), noise(A, 2), noise(A, 2, seed=1)
    if A.kernel is not None:
        x, y = A.kernel.project(x), A.kernel.project(y)
    grids = Hierarchy.of(A, 400, made.coarsen)
    assert len(grids.levels) >= 2
    exact = DifferentiableCycle(A, grids).matvec(x).detach()
    B = made.eval().setup(A)
    z = B.matvec(x)
    assert z.dtype == torch.float64 and not z.requires_grad
    solid = A.diagonal() == 0
    z, exact = torch.where(solid, 0.0, z), torch.where(solid, 0.0, exact)
    torch.testing.assert_close(z, exact, rtol=1e-3, atol=2e-5 * float(exact.abs().max()))
    first, second = (x * B.matvec(y)).flatten(1).sum(1), (y * B.matvec(x)).flatten(1).sum(1)
    size = (x * B.matvec(x)).flatten(1).sum(1)
    assert bool((size > 0).all())
    assert bool(((first - second).abs() <= 1e-4 * size).all())


def test_without_training_it_is_multigrid_but_for_negative_couplings():
    """Constant coefficients have none, so that there the cycle is that of `multigrid`."""
    A = medium((40, 33), "constant")
    ours = Trained(dimension=2).build().eval().setup(A)
    r = noise(A)
    torch.testing.assert_close(ours.matvec(r), Multigrid().setup(A).matvec(r), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
def test_coarse_matrices_have_positive_couplings_and_the_same_kernel(walls):
    A = medium((21, 18), walls=walls, solid=0.4)
    made = network((21, 18))
    grids = Hierarchy.of(A, 20, made.coarsen)
    assert len(grids.levels) >= 3
    labels = None if A.kernel is None else A.kernel.labels
    entries = Entries.of(A)
    for _ in grids.levels:
        _, entries = made.coarsen(entries, labels)
        assert all(bool((t >= 0).all()) for t in entries.couplings.values())
        held = entries.diagonal - entries.rows()
        assert bool((held >= -1e-10 * entries.diagonal).all())
        if labels is not None:
            labels = labels[::2, ::2].contiguous()
            floating = (labels >= 0) & (entries.diagonal > 0)
            assert bool((held[floating].abs() <= 1e-10 * entries.diagonal[floating]).all())


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
def test_solves_among_obstacles(walls):
    A = medium((48, 40), "lognormal", walls=walls, solid=0.4, contrast=100.0)
    b = noise(A)
    solution = CG(rtol=1e-10).solve(A, b, M=network((48, 40), 0.3).float().eval())
    assert solution.check().residual <= 1e-10


def test_the_answer_does_not_depend_on_the_scale_of_the_matrix():
    A = medium((20, 20))
    made, r = network((20, 20)), noise(A)
    large = DiffusionMap([1e8 * t for t in A.conductances])
    z, small = made.setup(A).matvec(r), made.setup(large).matvec(r) * 1e8
    torch.testing.assert_close(z, small, rtol=1e-9, atol=1e-9 * float(z.detach().abs().max()))


def test_a_stack_is_its_maps_one_by_one():
    stack, made = medium((19, 20), stack=3, solid=0.3), network((19, 20))
    r = noise(stack, 3)
    z = made.setup(stack).matvec(r)
    for k in range(3):
        A = DiffusionMap([t[k] for t in stack.conductances])
        one = made.setup(A).matvec(r[k])
        torch.testing.assert_close(
            z[k], one, rtol=1e-9, atol=1e-9 * float(one.detach().abs().max())
        )


def test_gradients_of_the_training_loss():
    """Against differences: the loss as a function of all weights, through entries and cycle."""
    A, made = medium((8, 8), "lognormal", contrast=100.0), network((8, 8), 0.2)
    e = noise(A)

    module, names = _Loss(made, A, e), [f"made.{k}" for k, _ in made.named_parameters()]

    def loss(*weights):
        return torch.func.functional_call(module, dict(zip(names, weights, strict=True)), ())

    weights = tuple(p.detach().clone().requires_grad_() for p in made.parameters())
    assert torch.autograd.gradcheck(loss, weights, fast_mode=True, atol=1e-7)


class _Loss(torch.nn.Module):
    def __init__(self, made, A, e):
        super().__init__()
        self.made, self.A, self.e = made, A, e

    def forward(self):
        grids = Hierarchy.of(self.A, 8, self.made.coarsen)
        return krylov_loss(self.A, DifferentiableCycle(self.A, grids).matvec, self.e, steps=2)


def test_iterations_stay_from_64_to_512():
    """The weights act on each grid alike, so that the number of grids does not matter."""
    made = network((64, 64), 0.1).float().eval()
    counts = []
    for n in (64, 256, 512):
        x = torch.linspace(0, 1, n, dtype=torch.float64)
        g = torch.sin(7 * x)[:, None] * torch.cos(5 * x) + torch.sin(11 * x * x[:, None])
        A = DiffusionMap.from_coefficient(10 ** (2 * g), (1 / n, 1 / n), "cell")
        counts.append(int(CG(rtol=1e-6).solve(A, noise(A), M=made).check().iterations))
    assert max(counts) - min(counts) <= 2, counts


def test_a_folder_gives_the_same_iterations(tmp_path):
    A, made = medium((40, 40)), network((40, 40)).float()
    b = noise(A)
    folder = made.save(tmp_path / "trained", "# Trained on nothing\n")
    direct = CG().solve(A, b, M=made.eval()).check()
    again = LearnedMultigrid(trained=folder).solve(A, b).check()
    assert torch.equal(direct.x, again.x) and direct.iterations == again.iterations
    assert (folder / "README.md").read_text() == "# Trained on nothing\n"
    assert load(folder).settings == made.settings


def test_sparse_matrices_of_neighbours_will_do():
    A = medium((24, 20))
    sparse = SparseMap.from_scipy(A.sparse(), A.shape, symmetric=True, positive=True)
    made, r = network((24, 20)), noise(A)
    z = made.setup(A).matvec(r)
    torch.testing.assert_close(
        made.setup(sparse).matvec(r), z, rtol=1e-8, atol=1e-8 * float(z.detach().abs().max())
    )


def test_scipy_takes_it_as_a_preconditioner():
    """scipy's own conjugate gradients, in as many iterations as ours."""
    A, made, count = medium((40, 33)), network((40, 33), 0.1).float().eval(), []
    b, csr = noise(A), A.sparse().tocsr()
    M = made.aspreconditioner(csr, A.shape)
    x, info = scipy_cg(csr, b.numpy().ravel(), rtol=1e-6, atol=0, M=M, callback=count.append)
    ours = CG(rtol=1e-6).solve(A, b, M=made).check()
    assert info == 0 and abs(len(count) - int(ours.iterations)) <= 1
    np.testing.assert_allclose(x, ours.x.numpy().ravel(), rtol=0, atol=1e-4 * np.abs(x).max())


def test_scipy_is_told_of_a_kernel_and_of_rounding():
    """Pure Neumann conditions, in float64 and float32, with a zero stored among the entries."""
    A, made = medium((24, 20), walls="neumann"), network((24, 20), 0.1).float().eval()
    b = A.kernel.project(noise(A)).numpy().ravel()
    for kind, rtol in ((np.float64, 1e-8), (np.float32, 1e-4)):
        csr = A.sparse().tocsr().astype(kind)
        csr = csr + csr_array(([1.0, -1.0], ([0, 0], [400, 400])), csr.shape).astype(kind)
        M, count = made.aspreconditioner(csr, A.shape), []
        rhs = b.astype(kind)
        x, info = scipy_cg(csr, rhs, rtol=rtol, atol=0, M=M, callback=count.append, maxiter=60)
        assert info == 0 and len(count) < 30
        assert np.linalg.norm(rhs - csr @ x) < 10 * rtol * np.linalg.norm(b)


def test_a_shape_that_does_not_fit_is_told_of_a_singular_matrix_too():
    A, made = medium((24, 20), walls="neumann"), network((24, 20)).eval()
    with pytest.raises(ShapeError, match="480 unknowns cannot act"):
        made.aspreconditioner(A.sparse(), (24, 21))


def test_scipy_is_given_nothing_for_a_matrix_that_is_not_definite():
    A, made = medium((20, 18)), network((20, 18)).eval()
    csr = A.sparse().tocsr()
    lopsided = csr.copy()
    lopsided[0, 1] *= 2
    for wrong in (lopsided, -csr):
        with pytest.raises(NotPositiveDefinite, match="its entries say"):
            made.aspreconditioner(wrong, (20, 18))


def test_errors_name_what_does_not_fit(tmp_path):
    made = network((8, 8))
    with pytest.raises(ShapeError, match="fields of 2 dimensions"):
        made.setup(medium((8, 8, 8)))
    with pytest.raises(NotPositiveDefinite):
        made.setup(DenseMap(torch.eye(64, dtype=torch.float64), (8, 8)))
    far = torch.eye(64, dtype=torch.float64)
    far[0, 60] = far[60, 0] = -0.1
    with pytest.raises(SciopsError, match="neighbours"):
        made.setup(DenseMap(far, (8, 8), symmetric=True, positive=True))
    with pytest.raises(ConfigError, match="dimension"):
        validate(Trained, {"dimension": 4})


def test_tilt_keeps_the_sum_of_the_weights():
    """Where no wall acts, P still reproduces constants."""
    A = medium((12, 14), walls="neumann")
    fine, _ = network((12, 14)).coarsen(Entries.of(A), A.kernel.labels)
    assert isinstance(fine, Parities) and fine.tilt
    for corners in fine.weights.values():
        total = sum(corners.values()).detach()
        there = total > 0
        torch.testing.assert_close(total[there], torch.ones_like(total[there]), rtol=1e-10, atol=0)
