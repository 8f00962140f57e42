"""DCDM: what the network is told of a matrix, the predictor as a map, folders, the solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciops.core.config import to_yaml
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ConfigError, DataError, SciopsError, ShapeError
from sciops.core.linear import CallableMap, DenseMap, SparseMap
from sciops.solvers import load
from sciops.solvers._neighbours import Neighbours
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.dcdm import DCDM, Geometry, Predictor, Published
from sciops.solvers.fcg import FCG
from sciops.solvers.jacobi import Jacobi

GEOMETRY = Geometry(channels=4, levels=3)
NETWORKS = (GEOMETRY, GEOMETRY.model_copy(update={"linear": False}), Published(dimension=2))
EVERY = pytest.mark.parametrize("settings", NETWORKS, ids=["linear", "nonlinear", "published"])


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def medium(*shape, contrast=100.0, seed=0, **settings):
    a = torch.from_numpy(contrast ** np.random.default_rng(seed).random(shape))
    spacing = [1 / n for n in shape[-2:]]
    return DiffusionMap.from_coefficient(a, spacing, "cell", **settings)


def obstacle(n=12):
    solid = torch.zeros(n, n, dtype=torch.bool)
    solid[3:7, 4:9] = True
    return solid


def made(settings, seed=0, size=0.05):
    """A predictor at a seeded random point near its start."""
    torch.manual_seed(seed)
    predictor = Predictor(settings)
    with torch.no_grad():
        for p in predictor.parameters():
            p.add_(size * torch.randn_like(p))
    return predictor.eval()


@pytest.mark.parametrize("shape", [(7,), (5, 6), (1, 4), (3, 4, 5)])
def test_entries_are_read_off_any_map(shape):
    a = torch.from_numpy(np.random.default_rng(0).random(shape) + 0.1)
    A = DiffusionMap.from_coefficient(a, (0.1,) * len(shape), "cell")
    sparse = SparseMap.from_scipy(A.sparse(), A.shape)
    for source in (A, sparse, CallableMap(A.matvec, shape, A.dtype)):
        found = Neighbours.of(source)
        torch.testing.assert_close(found.diagonal, A.diagonal())
        for axis, t in enumerate(A.conductances):
            lower = t.narrow(axis, 1, t.shape[axis] - 2)  # of inner faces
            torch.testing.assert_close(
                found.couplings[2 * axis].narrow(axis, 1, shape[axis] - 1), -lower
            )
            torch.testing.assert_close(
                found.couplings[2 * axis + 1].narrow(axis, 0, shape[axis] - 1), -lower
            )
        x = noise(*shape)
        torch.testing.assert_close(found.matvec(x), A @ x)


def test_wider_matrices_are_refused():
    A = medium(5, 5)
    square = torch.from_numpy((A.sparse() @ A.sparse()).toarray())
    with pytest.raises(SciopsError, match="couple nearest neighbours on the grid"):
        Neighbours.of(DenseMap(square, A.shape, True, True))
    flat = SparseMap.from_scipy(A.sparse(), None, True, True)
    with pytest.raises(SciopsError, match="give its fields the shape of their grid"):
        Predictor(Geometry(dimension=1)).setup(flat)


def test_features_of_a_stack_are_those_of_each_and_scale_does_not_matter():
    A = medium(3, 6, 7)
    features, inverse = Neighbours.of(A).features(torch.float64)
    assert features.shape == (3, 7, 6, 7) and inverse.shape == (3, 1, 6, 7)
    for i in range(3):
        one = DiffusionMap([1e6 * t[i] for t in A.conductances])
        alone, scale = Neighbours.of(one).features(torch.float64)
        torch.testing.assert_close(alone[0], features[i])
        torch.testing.assert_close(scale[0], inverse[i])


def test_features_by_hand():
    """Constant coefficient: inside d = 4 t, at a wall d = 5 t of which 2 t are the wall's."""
    A = medium(6, 6, contrast=1.0)
    features, inverse = Neighbours.of(A).features(torch.float64)
    inside, wall = features[0, :, 3, 3], features[0, :, 0, 3]
    mean = A.diagonal().log().mean().exp()
    assert inside[0] * 4 == pytest.approx(float((A.diagonal()[3, 3] / mean).log()))
    assert inside[1:5].tolist() == pytest.approx([np.log1p(1e-4) / 4] * 4) and inside[5] == 0
    assert wall[1] == pytest.approx(np.log(1e-4) / 4)
    assert wall[2] == pytest.approx(np.log(4 / 5 + 1e-4) / 4) and wall[5] == pytest.approx(0.4)
    assert not features[0, 6].any()
    torch.testing.assert_close(inverse[0, 0], mean / A.diagonal())


def test_solid_cells_are_marked():
    solid = obstacle()
    A = medium(12, 12, walls="neumann", obstacle=solid)
    features, inverse = Neighbours.of(A).features(torch.float32)
    assert torch.equal(features[0, -1] == 1, solid) and not features[0, :-1, solid].any()
    assert torch.equal(inverse[0, 0] == 0, solid)
    z = made(GEOMETRY).setup(A).matvec(noise(12, 12))
    assert not z[solid].any() and z[~solid].all()


@EVERY
def test_the_map(settings):
    """It has A's type, takes batches, is of degree one, and NaN stays where it is."""
    A, r = medium(9, 8), noise(2, 3, 9, 8)
    M = made(settings).setup(A)
    assert (M.shape, M.dtype, M.symmetric, M.positive) == (A.shape, A.dtype, False, False)
    z = M.matvec(r)
    assert z.shape == r.shape and z.dtype == torch.float64
    z = z.detach()
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(M.matvec(scale * r).detach() / scale, z, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(M.matvec(r[1, 2]).detach(), z[1, 2], rtol=1e-5, atol=1e-7)
    r[0, 1, 2, 3], r[1, 1] = float("nan"), 0
    z_bad = M.matvec(r).detach()
    assert z_bad[0, 1].isnan().any() and not z_bad[1, 1].any()
    torch.testing.assert_close(z_bad[1, 2], z[1, 2], rtol=1e-5, atol=1e-7)


def test_published_network_sees_unit_residuals():
    A, r, predictor = medium(9, 8), noise(9, 8), made(Published(dimension=2))
    direct = predictor.network((r / r.norm()).float()[None, None])[0, 0].double()
    torch.testing.assert_close(predictor.setup(A).matvec(r), r.norm() * direct)


def test_linear_and_of_any_precision():
    A, u, v = medium(9, 8), noise(9, 8), noise(9, 8, seed=1)
    M = made(GEOMETRY).double().setup(A)
    y, expected = M.matvec(2 * u - 3 * v), 2 * M.matvec(u) - 3 * M.matvec(v)
    assert ((y - expected).abs().max() / expected.abs().max()).item() < 1e-12


def test_stack_of_matrices():
    A, r, predictor = medium(3, 9, 8), noise(4, 3, 9, 8), made(GEOMETRY)
    for b in (r, r[0], r[0, 0]):
        z = predictor.setup(A).matvec(b).detach()
        assert z.shape == torch.broadcast_shapes(b.shape, (3, 9, 8))
        for i in range(3):
            one = predictor.setup(DiffusionMap([t[i] for t in A.conductances]))
            alone = one.matvec(b[..., i, :, :] if b.ndim > 2 else b).detach()
            torch.testing.assert_close(z[..., i, :, :], alone, rtol=1e-4, atol=1e-6)
    assert len(DCDM().solve(A, r, M=predictor).check().statuses) == 12


def test_right_hand_sides_beside_a_stack_of_matrices():
    """The stack (2, 1) broadcasts against 3 right-hand sides for each matrix."""
    stack, r, predictor = medium(2, 9, 8), noise(2, 3, 9, 8), made(GEOMETRY)
    z = predictor.setup(DiffusionMap([t[:, None] for t in stack.conductances])).matvec(r).detach()
    for i in range(2):
        one = predictor.setup(DiffusionMap([t[i] for t in stack.conductances]))
        torch.testing.assert_close(z[i], one.matvec(r[i]).detach(), rtol=1e-4, atol=1e-6)


@EVERY
def test_gradients_reach_the_weights_through_setup(settings):
    predictor = made(settings)
    predictor.setup(medium(9, 8)).matvec(noise(9, 8)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in predictor.parameters())


def test_before_training_a_geometry_network_is_jacobi():
    A, b = medium(20, 23), noise(4, 20, 23)
    ours = DCDM().solve(A, b, M=Predictor(Geometry())).check()
    jacobi = ConjugateDirections().solve(A, b, M=Jacobi()).check()
    assert (ours.iterations - jacobi.iterations).abs().max() <= 1


@EVERY
def test_float32_directions_give_float64_solutions(settings):
    A, x = medium(12, 12), noise(12, 12)
    solution = DCDM(rtol=1e-10, window=None).solve(A, A @ x, M=made(settings)).check()
    torch.testing.assert_close(solution.x, x, rtol=1e-7, atol=1e-7)
    assert int(solution.iterations) <= 144


@pytest.mark.parametrize("solver", [DCDM(), FCG()], ids=lambda s: s.kind)
def test_floating_fluid_with_an_obstacle(solver):
    A = medium(12, 12, walls="neumann", obstacle=obstacle())
    solution = solver.solve(A, noise(2, 12, 12), M=made(GEOMETRY, size=0.01)).check()
    assert not solution.x[:, obstacle()].any() and solution.x.mean().abs() < 1e-10


@EVERY
def test_a_folder_gives_the_same_iterations(settings, tmp_path):
    A, b, predictor = medium(12, 12), noise(2, 12, 12), made(settings, size=0.01)
    folder = predictor.save(tmp_path / "trained", "# Trained on nothing\n")
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "config.yaml",
        "model.safetensors",
    ]
    again = load(folder)
    assert again.settings == settings and not again.training
    for name, t in again.state_dict().items():
        assert torch.equal(t, predictor.state_dict()[name])
    solver = DCDM(trained=folder, maxiter=20)
    assert str(folder) in to_yaml(solver)
    ours, theirs = solver.solve(A, b), DCDM(maxiter=20).solve(A, b, M=predictor)
    assert torch.equal(ours.iterations, theirs.iterations) and torch.equal(ours.x, theirs.x)


def test_a_folder_serves_a_singular_system(tmp_path):
    A, b = medium(12, 12, walls="neumann", obstacle=obstacle()), noise(12, 12)
    predictor = made(Published(dimension=2), size=0.01)  # not zero in solid cells by itself
    folder = predictor.save(tmp_path)
    ours = DCDM(trained=folder, maxiter=20).solve(A, b)
    theirs = DCDM(maxiter=20).solve(A, b, M=predictor)
    assert torch.equal(ours.x, theirs.x) and ours.incompatible > 0
    assert not ours.x[obstacle()].any() and ours.x.mean().abs() < 1e-10


def test_without_a_predictor_it_is_cg():
    line = DiffusionMap([torch.ones(701, dtype=torch.float64)])  # its residual halves late
    for A, b in ((medium(12, 12), noise(3, 12, 12)), (line, noise(700))):
        ours, cg = DCDM().solve(A, b).check(), CG().solve(A, b)
        assert (ours.iterations - cg.iterations).abs().max() <= 1


def test_damaged_and_foreign_folders(tmp_path):
    with pytest.raises(DataError, match="model.safetensors, config.yaml missing"):
        load(tmp_path)
    folder = made(GEOMETRY).save(tmp_path)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("channels: 4", "channels: 5"))
    with pytest.raises(DataError, match="do not fit the settings"):
        load(folder)
    (folder / "config.yaml").write_text(config.replace("channels:", "chanels:"))
    with pytest.raises(ConfigError, match="chanels"):
        load(folder)
    (folder / "config.yaml").write_text(config.replace("dcdm", "unet"))
    with pytest.raises(ConfigError, match="no preconditioner 'unet' can be trained; known: dcdm"):
        load(folder)
    (folder / "config.yaml").write_text("preconditioner: {kind: learned_multigrid}\n")
    with pytest.raises(ConfigError, match="expected a preconditioner 'dcdm', got 'learned_multi"):
        DCDM(trained=folder).solve(medium(5, 5), noise(5, 5))
    (folder / "config.yaml").write_text(config)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(DataError, match="damaged"):
        load(folder)


def test_wrong_dimension_is_told():
    with pytest.raises(ShapeError, match="3 dimensions"):
        Predictor(Published(channels=2)).setup(medium(5, 5))
