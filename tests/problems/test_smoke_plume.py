"""The smoke plume: staggered grid, projection around a moving disc, known flows, symmetries."""

from __future__ import annotations

import importlib.util
import json
import math

import h5py
import numpy as np
import pytest
import torch

from sciops.core.config import validate
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ConfigError, SciopsError, ShapeError
from sciops.core.solver import Status
from sciops.data.open import open_layout
from sciops.data.validate import validate as check_file
from sciops.data.windows import Window, Windows
from sciops.problems._generate import generate
from sciops.problems._mac_grid import MacGrid, continued
from sciops.problems._plume_flow import Disc, PlumeFlow, State
from sciops.problems.smoke_plume import SmokePlume
from sciops.solvers.amg import AMG
from sciops.solvers.cg import CG
from sciops.solvers.direct import Direct
from sciops.solvers.jacobi import Jacobi
from sciops.solvers.multigrid import Multigrid

GRID = MacGrid((18, 25), (1.0, 1.5))
MOVING = Disc(0.15, (0.45, 0.8), (0.12, 0.2), 1.0, 0.7)
RESTING = Disc(0.15, (0.45, 0.8))


def exactly(A, b):
    return Direct().solve(A, b)


def flow(disc=MOVING, grid=GRID, buoyancy=0.0, rate=0.0, pressure=exactly):
    return PlumeFlow(grid, disc, buoyancy, torch.full(grid.shape, rate).double(), pressure)


def noise(grid=GRID, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (grid.shape_of("u"), grid.shape_of("v"), grid.shape)
    return [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]


def inner(w, z):
    return float((w[0] * z[0]).sum() + (w[1] * z[1]).sum())


# --- the grid ---------------------------------------------------------------------------------


def test_gradient_is_minus_the_transpose_of_the_divergence():
    u, v, s = noise()
    u[[0, -1]] = 0.0
    v[:, [0, -1]] = 0.0
    found, expected = inner((u, v), GRID.gradient(s)), -float((GRID.divergence(u, v) * s).sum())
    assert found == pytest.approx(expected, rel=1e-12)


def test_divergence_of_the_gradient_is_the_matrix_of_the_pressure():
    ones = torch.ones(GRID.shape, dtype=torch.float64)
    A = DiffusionMap.from_coefficient(ones, GRID.spacing, "cell", walls="neumann")
    s = noise()[2]
    torch.testing.assert_close(A @ s, -GRID.divergence(*GRID.gradient(s)))


@pytest.mark.parametrize("location", ["u", "v", "cell"])
def test_interpolation_is_exact_for_its_polynomials(location):
    x, y = GRID.points(location)
    generator = torch.Generator().manual_seed(0)
    at = torch.rand(2, 50, generator=generator, dtype=torch.float64)
    at = 0.15 + at[0] * 0.7, 0.15 + at[1] * 1.2  # two points lie between these and the walls

    def line(x, y):
        return 1 + 2 * x - 3 * y + x * y

    def cubic(x, y):
        return line(x, y) + x**3 - 2 * x**2 * y**3

    torch.testing.assert_close(GRID.linear(line(x, y), location, at), line(*at))
    torch.testing.assert_close(GRID.cubic(cubic(x, y), location, at), cubic(*at))
    edge = (x > 0.5).double()
    assert float(GRID.cubic(edge, location, at).max()) > 1.01
    limited = GRID.cubic(edge, location, at, limited=True)
    assert limited.min() == 0 and limited.max() == 1


def test_fields_go_on_beyond_the_walls_as_constants():
    s = noise()[2]
    far = torch.tensor([-3.0, 0.0]).double(), torch.tensor([-3.0, 9.0]).double()
    expected = torch.stack([s[0, 0], s[0, -1]])
    for found in (GRID.linear(s, "cell", far), GRID.cubic(s, "cell", far)):
        torch.testing.assert_close(found, expected)


def test_departure_points():
    """Exact in a uniform flow; w = (y, -x), a rotation, is left by O(dt^3) a step."""
    hx, hy = GRID.spacing
    u, v = GRID.zeros("u") + 2 * hx, GRID.zeros("v") - hy
    s = noise()[2]
    moved = GRID.cubic(s, "cell", GRID.departures(u, v, "cell", 1.0))
    torch.testing.assert_close(moved[2:, :-1], s[:-2, 1:])
    grid, errors = MacGrid((40, 40), (1.0, 1.0)), []
    u, v = grid.points("u")[1] - 0.5, 0.5 - grid.points("v")[0]
    x, y = grid.points("cell")
    middle = (x - 0.5).square() + (y - 0.5).square() < 0.16
    for dt in (0.4, 0.2):
        a, b = grid.departures(u, v, "cell", dt)
        c, s = math.cos(dt), math.sin(dt)
        off = (a - 0.5) - c * (x - 0.5) + s * (y - 0.5), (b - 0.5) - s * (x - 0.5) - c * (y - 0.5)
        errors.append(float(torch.hypot(*off)[middle].max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.1)


def test_continuation_into_the_solid():
    known = torch.ones(9, 9, dtype=torch.bool)
    known[2:7, 2:7] = False
    field = torch.where(known, 3.0, torch.nan).double()
    one, all_of_it = continued(field, known, 1), continued(field, known, 3)
    assert (one[3:6, 3:6] == 0).all() and (one[2, 2:7] == 3).all() and (all_of_it == 3).all()


# --- the projection ---------------------------------------------------------------------------


@pytest.mark.parametrize("pressure", [exactly, None], ids=["direct", "default"])
def test_projected_velocity_has_no_divergence_and_moves_with_the_disc(pressure):
    f = flow() if pressure else PlumeFlow(GRID, MOVING, 0.0, GRID.zeros("cell"))
    u, v = f.held(0.3, *noise()[:2])
    before = GRID.divergence(u, v)
    u, v, solution = f.project(0.3, u, v)
    after, solid = GRID.divergence(u, v), f.solid(0.3)
    assert float(after.norm() / before.norm()) < (1e-12 if pressure else 1e-6)
    U, V = MOVING.velocity(0.3)
    assert solid.sum() > 10 and (after[solid] == 0).all() and (solution.x[solid] == 0).all()
    assert (u[:-1][solid] == U).all() and (u[1:][solid] == U).all()
    assert (v[:, :-1][solid] == V).all() and (v[:, 1:][solid] == V).all()
    assert (u[[0, -1]] == 0).all() and (v[:, [0, -1]] == 0).all()


def test_what_the_disc_displaces_finds_room_elsewhere():
    """No part of b lies in the kernel, wherever the disc is and however it moves."""
    f, found = flow(), []
    for t in np.linspace(0.0, 1.0, 23):
        solution = f.project(t, *f.held(t, *noise(seed=1)[:2]))[2]
        found.append(float(solution.incompatible))
    assert max(found) < 1e-14


def test_projection_is_orthogonal_and_idempotent():
    f = flow(RESTING)
    w = f.held(0.0, *noise()[:2])
    u, v, solution = f.project(0.0, *w)
    again = f.project(0.0, u, v)
    torch.testing.assert_close(again[0], u, atol=1e-12, rtol=0)
    torch.testing.assert_close(again[1], v, atol=1e-12, rtol=0)
    removed = w[0] - u, w[1] - v
    assert abs(inner((u, v), removed)) < 1e-12 * inner(w, w)
    assert inner(w, w) == pytest.approx(inner((u, v), (u, v)) + inner(removed, removed))
    assert float(GRID.energy(u, v)) < float(GRID.energy(*w))
    still = u != 0, v != 0  # faces of the fluid: the disc and the walls rest
    for seed in (1, 2):
        g = GRID.gradient(noise(seed=seed)[2])
        assert abs(inner((u, v), (g[0] * still[0], g[1] * still[1]))) < 1e-11
    assert solution.status is Status.CONVERGED


def test_a_pressure_that_was_not_found_is_told():
    f = flow(pressure=lambda A, b: CG(maxiter=2).solve(A, b))
    with pytest.raises(SciopsError, match="MAX_ITERATIONS"):
        f.step(State(0.0, *noise()), 0.1)


# --- steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("disc", [None, RESTING, MOVING], ids=["empty", "resting", "moving"])
def test_a_constant_density_stays(disc):
    """Also in cells that the disc has just left, ten steps of one to two cells long."""
    f = flow(disc, buoyancy=3.0)
    density = 0.7 * (~f.solid(0.0)).double()
    state = State(0.0, *f.held(0.0, *noise()[:2]), density)
    state = State(0.0, *f.project(0.0, state.u / 2, state.v / 2)[:2], density)
    for _ in range(10):
        state, _ = f.step(state, 0.05)
    solid = f.solid(state.time)
    assert float((state.density[~solid] - 0.7).abs().max()) < 1e-14
    assert (state.density[solid] == 0).all()


def test_layers_of_smoke_stay_at_rest():
    """Hydrostatic: the pressure carries what varies with the height only."""
    f = flow(RESTING, buoyancy=2.0)
    layers = torch.where(f.solid(0.0), 0.0, 1 / (1 + GRID.points("cell")[1]))
    state = State(0.0, GRID.zeros("u"), GRID.zeros("v"), layers)
    for _ in range(5):
        state, _ = f.step(state, 0.2)
    assert float(GRID.energy(state.u, state.v)) < 1e-26
    torch.testing.assert_close(state.density, layers, atol=1e-12, rtol=0)


def test_two_states_at_rest_are_told_apart():
    """The same layers turned round do not stay when they vary along x."""
    f = flow(RESTING, buoyancy=2.0)
    state = State(0.0, GRID.zeros("u"), GRID.zeros("v"), GRID.points("cell")[0])
    state, _ = f.step(state, 0.2)
    assert float(state.v[10:].mean()) > 0 > float(state.v[:8].mean())  # the heavier side sinks


def test_inlet_fills_its_cells():
    f = flow(None, rate=4.0)
    state = f.rest()
    for _ in range(5):
        state, _ = f.step(state, 0.1)
    torch.testing.assert_close(state.density, 1 - 1.4 ** torch.full(GRID.shape, -5.0).double())


def test_steady_vortex_in_a_box_is_first_order():
    """psi = sin(pi x / L_x) sin(pi y / L_y) / 5 solves Euler's equations; p balances it."""

    def errors(n):
        grid = MacGrid((n, 3 * n // 2), (1.0, 1.5))

        def psi(x, y):
            return 0.2 * torch.sin(math.pi * x) * torch.sin(math.pi * y / 1.5)

        def corners(location, dx, dy):
            x, y = grid.points(location)
            h = grid.spacing[1] if dy else grid.spacing[0]
            k = grid.spacing
            return (psi(x + dx * k[0] / 2, y + dy * k[1] / 2)
                    - psi(x - dx * k[0] / 2, y - dy * k[1] / 2)) / h  # fmt: skip

        u, v = corners("u", 0, 1), -corners("v", 1, 0)
        assert float(grid.divergence(u, v).abs().max()) < 1e-13
        state, f = State(0.0, u, v, grid.zeros("cell")), flow(None, grid)
        for _ in range(n // 4):
            state, _ = f.step(state, 4 / n)
        assert state.time == pytest.approx(1.0)
        off = grid.energy(state.u - u, state.v - v) / grid.energy(u, v)
        return float(off.sqrt()), float(f.step(state, 1e-3)[1].x.std())

    coarse, fine = errors(16), errors(32)
    assert fine[0] < 0.1 and fine[1] > 0
    assert math.log2(coarse[0] / fine[0]) == pytest.approx(1.0, abs=0.2)


def test_mirrored_disc_gives_the_mirrored_flow():
    disc = Disc(0.15, (0.45, 0.8), (0.12, 0.1), 1.0, 0.7)
    image = Disc(0.15, (0.55, 0.8), (-0.12, 0.1), 1.0, 0.7)
    x, y = GRID.points("cell")
    rate = torch.exp(-40 * ((x - 0.3).square() + (y - 0.3).square()))
    flows = [
        PlumeFlow(GRID, disc, 2.0, rate, exactly),
        PlumeFlow(GRID, image, 2.0, rate.flip(0), exactly),
    ]
    states = [f.rest() for f in flows]
    for _ in range(12):
        states = [f.step(s, 0.1)[0] for f, s in zip(flows, states, strict=True)]
    one, other = states
    assert float(one.u.abs().max()) > 0.3
    torch.testing.assert_close(other.u, -one.u.flip(0), atol=1e-10, rtol=0)
    torch.testing.assert_close(other.v, one.v.flip(0), atol=1e-10, rtol=0)
    torch.testing.assert_close(other.density, one.density.flip(0), atol=1e-10, rtol=0)


def test_every_solver_gives_the_same_simulation():
    ways = {
        "direct": exactly,
        "cg": lambda A, b: CG(rtol=1e-11).solve(A, b),
        "jacobi": lambda A, b: CG(rtol=1e-11).solve(A, b, M=Jacobi()),
        "multigrid": lambda A, b: CG(rtol=1e-11).solve(A, b, M=Multigrid()),
    }
    if importlib.util.find_spec("pyamg"):
        ways["amg"] = lambda A, b: CG(rtol=1e-11).solve(A, b, M=AMG())
    problem, ends = SmokePlume(resolution=16), {}
    for name, pressure in ways.items():
        f = problem.flow(pressure=pressure)
        state = f.rest()
        for _ in range(10):
            state, _ = f.step(state, 0.1)
        ends[name] = state
    one = ends.pop("direct")
    assert float(one.density.max()) > 0.5 and float(one.v.abs().max()) > 0.3
    for other in ends.values():
        for name in ("u", "v", "density"):
            torch.testing.assert_close(getattr(other, name), getattr(one, name), atol=1e-8, rtol=0)


# --- the problem ------------------------------------------------------------------------------


def test_known_case_solves_the_equations():
    """Its divergence, and its forces by differences of order four in time and space."""
    problem = SmokePlume(resolution=128, amplitude=(0.15, 0.1), rate=0.0, buoyancy=0.0)
    t, d, (hx, hy) = 0.4, 1e-3, problem.flow().grid.spacing
    slope = np.array([1, -8, 0, 8, -1]) / 12

    def derivative(f, h, axis):
        return sum(c * np.roll(f, 2 - k, axis) for k, c in enumerate(slope)) / h

    states = [problem.exact(t + k * d) for k in range(-2, 3)]
    u_t, v_t, r_t = sum(c * s for c, s in zip(slope, states, strict=True)) / d
    u, v, rho = states[2]
    at_v = problem.flow().grid
    U = torch.from_numpy(u[:, :-1]), torch.from_numpy(v[:-1])
    v_on_u = at_v.cubic(U[1], "v", at_v.points("u")).numpy()
    u_on_v = at_v.cubic(U[0], "u", at_v.points("v")).numpy()
    centre = at_v.at_cells(*U).numpy()
    found = problem.source(t)
    inside = (slice(4, -5), slice(4, -5))
    for known, difference in (
        (found[0][:, :-1],
         u_t[:, :-1] + u[:, :-1] * derivative(u[:, :-1], hx, 0)
         + v_on_u * derivative(u[:, :-1], hy, 1)),
        (found[1][:-1],
         v_t[:-1] + u_on_v * derivative(v[:-1], hx, 0) + v[:-1] * derivative(v[:-1], hy, 1)),
        (found[2][:-1, :-1],
         r_t[:-1, :-1] + centre[..., 0] * derivative(rho[:-1, :-1], hx, 0)
         + centre[..., 1] * derivative(rho[:-1, :-1], hy, 1)),
    ):  # fmt: skip
        assert np.abs(known).max() > 1
        assert np.abs(known - difference)[inside].max() < 0.01 * np.abs(known).max()


def test_known_case_moves_with_the_disc_and_along_the_walls():
    problem = SmokePlume(resolution=48, amplitude=(0.15, 0.1))
    f, t = problem.flow(), 0.7
    u, v, rho = (torch.from_numpy(field) for field in problem.exact(t))
    held = f.held(t, u[:, :-1], v[:-1])
    torch.testing.assert_close(held[0], u[:, :-1], atol=1e-14, rtol=0)
    torch.testing.assert_close(held[1], v[:-1], atol=1e-14, rtol=0)
    assert (rho[:-1, :-1][f.solid(t)] == 0).all() and f.solid(t).sum() > 50


def test_buoyancy_and_inlet_enter_the_forces_of_the_known_case():
    quiet, full = (
        SmokePlume(resolution=16, buoyancy=b, rate=r) for b, r in ((0.0, 0.0), (3.0, 2.0))
    )
    (_, v, r), (_, w, s) = quiet.source(0.3), full.source(0.3)
    rho, e = full.exact(0.3)[2][:-1, :-1], full.flow().emission.numpy()
    np.testing.assert_allclose((r - s)[:-1, :-1], e * (1 - rho), atol=1e-12)
    lift = (v - w)[:-1, 1:-1] / 3.0  # rho on the faces
    np.testing.assert_allclose(lift, (rho[:, 1:] + rho[:, :-1]) / 2, atol=0.05)
    assert np.abs(lift).max() > 0.5


def test_smoke_rises_and_stays_between_air_and_smoke():
    problem = SmokePlume(resolution=24, frames=6, interval=0.3)
    sample = problem.sample(np.random.default_rng(1))
    rho, solid = sample["density"], sample["obstacle"]
    assert rho.min() >= 0 and rho.max() <= 1
    assert (rho[solid == 1] == 0).all() and set(np.unique(solid)) == {0.0, 1.0}
    y = problem.schema()["density"].domain.axes[1].coordinates
    height = (rho * y).sum(axis=(1, 2)) / rho.sum(axis=(1, 2))
    assert (np.diff(height) > 0).all() and (np.diff(rho.sum(axis=(1, 2))) > 0).all()
    where = (solid.sum(axis=2) * np.arange(24)[:, None].T).sum(axis=1) / solid.sum(axis=(1, 2))
    phase = sample["phase"] + 2 * np.pi / problem.period * (problem.burn_in + problem.times())
    np.testing.assert_allclose((where + 0.5) / 24, 0.5 + 0.15 * np.cos(phase), atol=1 / 24)
    inside = sample["velocity"][solid == 1]
    assert np.abs(inside[:, 1]).max() == 0 and np.abs(inside[:, 0]).max() > 0.1


def test_file_says_what_the_problem_said(tmp_path):
    problem = SmokePlume(resolution=16, frames=4, burn_in=0.2)
    path = generate(problem, 2, 3, tmp_path / "plume.hdf5", workers=1, dtype="float64")
    layout = open_layout(path)
    assert layout.schema == problem.schema()
    assert not [f for f in check_file(path).findings if f.severity == "error"]
    windows = Windows(layout, window=Window(horizon=2))
    assert len(windows) == 4 and windows[0]["inputs"].shape == (4, 16, 32)
    assert windows[0]["targets"].shape == (2, 3, 16, 32) and windows[0]["params"].shape == (2,)
    assert not torch.equal(windows[0]["inputs"][3], windows[1]["inputs"][3])  # the disc moves
    with h5py.File(path) as file:
        assert json.loads(file.attrs["recipe"])["problem"]["kind"] == "smoke_plume"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"radius": 0.4}, "away from the walls"),
        ({"amplitude": [0.4, 0.0]}, "away from the walls"),
        ({"centre": [0.5, 1.95]}, "away from the walls"),
        ({"resolution": 8}, "resolution"),
        ({"buoyancy": -1.0}, "buoyancy"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        validate(SmokePlume, settings)


def test_wrong_shapes_are_told():
    with pytest.raises(ShapeError, match=r"\(3, 17, 33\).* got \(3, 16, 32\)"):
        SmokePlume(resolution=16).advance(np.zeros((3, 16, 32)), 0.0, 0.1)
    with pytest.raises(ShapeError, match="emission"):
        PlumeFlow(GRID, None, 1.0, GRID.zeros("u"))
    with pytest.raises(ShapeError, match="touches a wall"):
        flow(Disc(0.15, (0.1, 0.5))).rest()
    with pytest.raises(ShapeError, match="at least 2 x 2"):
        MacGrid((1, 9), (1.0, 1.0))
