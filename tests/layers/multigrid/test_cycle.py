import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layers.multigrid.classical import cycle, equation, measure, residual_factor

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.multigrid import Line, Scheme, VCycle

WALLS = {
    "dirichlet": Line("dirichlet", "dirichlet", "cell"),
    "neumann": Line("neumann", "neumann", "cell"),
    "periodic": Line("periodic", "periodic", "node"),
}
ALIGNED = {
    ("dirichlet", "odd"): Line("dirichlet", "dirichlet", "interior"),
    ("dirichlet", "even"): Line("dirichlet", "dirichlet", "cell"),
    ("neumann", "odd"): Line("neumann", "neumann", "node"),
    ("neumann", "even"): Line("neumann", "neumann", "cell"),
    ("periodic", "odd"): Line("periodic", "periodic", "node"),
    ("periodic", "even"): Line("periodic", "periodic", "node"),
}
SCHEMES = {
    "multigrid": Scheme(),
    "sawtooth": Scheme(steps=((1, 0),)),
    "backslash": Scheme(steps=((0, 1),)),
    "more on coarse grids": Scheme(steps=((1, 0), (1, 1), (2, 2))),
    "published": Scheme(((1, 0),), "data", "sum", "strided"),
    "data, difference": Scheme(((1, 1),), "data", "difference", "full"),
    "full": Scheme(transfers="full"),
    "depthwise": Scheme(transfers="depthwise"),
}


def ladder(parity):
    return (31, 63, 127, 255) if parity == "odd" else (32, 64, 128, 256)


@pytest.mark.parametrize("parity", ["odd", "even"])
@pytest.mark.parametrize("wall", WALLS)
def test_it_is_multigrid(wall, parity):
    """In 2-D below 0.40 for V(1,1) and 0.20 for V(2,2), whatever the number of points."""
    line = ALIGNED[wall, parity]
    for smoothing, bound in ((1, 0.40), (2, 0.20)):
        factors = [residual_factor(line, 2, n, smoothing) for n in ladder(parity)[:3]]
        assert max(factors) < bound
        assert max(factors) - min(factors) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("parity", ["odd", "even"])
@pytest.mark.parametrize("wall", WALLS)
def test_it_is_multigrid_on_large_grids(wall, parity):
    line, n = ALIGNED[wall, parity], ladder(parity)[3]
    assert residual_factor(line, 2, n, 1) < 0.40
    assert residual_factor(line, 2, n, 2) < 0.20


@pytest.mark.parametrize("n", [21, 37, 50, 85])
@pytest.mark.parametrize("wall", WALLS)
def test_grids_that_are_not_nested_are_no_worse(wall, n):
    for centring in ("cell", "node"):
        line = Line(wall, wall, centring)
        assert residual_factor(line, 2, n, 1) < 0.40
        assert residual_factor(line, 2, n, 2) < 0.20


def test_a_neumann_wall_one_spacing_away_is_kept_to_first_order_only():
    """The exception of docs/guides/multigrid.md."""
    line = Line("neumann", "neumann", "interior")
    factors = [residual_factor(line, 2, n, 1) for n in (31, 32, 63, 64)]
    assert min(factors) > 0.45
    assert max(factors) < 0.85


@pytest.mark.parametrize("wall", WALLS)
def test_it_is_multigrid_in_one_dimension(wall):
    for n in (31, 32, 101, 256):
        line = ALIGNED[wall, "odd" if n % 2 else "even"]
        assert residual_factor(line, 1, n, 1) < 0.40
        assert residual_factor(line, 1, n, 2) < 0.20


@pytest.mark.parametrize("wall", WALLS)
def test_it_is_multigrid_in_three_dimensions(wall):
    for n in (15, 16):
        line = ALIGNED[wall, "odd" if n % 2 else "even"]
        assert residual_factor(line, 3, n, 1) < 0.55
        assert residual_factor(line, 3, n, 2) < 0.30


@pytest.mark.slow
@pytest.mark.parametrize("wall", WALLS)
def test_it_is_multigrid_in_three_dimensions_on_large_grids(wall):
    for n in (31, 32):
        line = ALIGNED[wall, "odd" if n % 2 else "even"]
        assert residual_factor(line, 3, n, 1) < 0.55
        assert residual_factor(line, 3, n, 2) < 0.30


def test_the_published_transfers_diverge():
    """3 x 3 of stride 2 down and 4 x 4 up, on even sizes: the coarse wall moves outwards."""
    line = Line("dirichlet", "dirichlet", "interior")
    factors = [residual_factor(line, 2, n, 1, transfers="strided") for n in (32, 64, 128)]
    assert factors[0] < 1 < factors[1] < factors[2]


def test_a_solution_is_left_alone():
    """Post-smoothing alone, u <- u + S (f - A u), changes nothing where A u = f."""
    line = WALLS["dirichlet"]
    W, A = cycle(line, 2, 16, 1), equation(line, 2, 16)
    u = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    step = W.levels[0].post[0]
    torch.testing.assert_close(step(u, A(u), 1.0), u)


def test_weights_in_physical_units_serve_every_grid():
    """The Laplacian's cycle of 32 x 32 is, on 64 x 64 and on 16 x 16, the cycle of that grid."""
    line = WALLS["dirichlet"]
    W = cycle(line, 2, 32, 1)
    for n in (64, 16):
        own = cycle(line, 2, n, 1)
        # the coarsest grid is solved by the same 30 steps, and nothing else depends on the level
        f = torch.randn(1, 1, n, n, dtype=torch.float64)
        torch.testing.assert_close(W(f, 32 / n), own(f))


def random_cycle(scheme, lines, c_f=3, c_u=4, levels=3, **options):
    torch.manual_seed(0)
    return VCycle(c_f, c_u, lines, levels, SCHEMES[scheme], **options).double()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wall", WALLS)
def test_linear(scheme, wall):
    W = random_cycle(scheme, [WALLS[wall]] * 2)
    x, y = torch.randn(2, 2, 3, 18, 16, dtype=torch.float64)
    torch.testing.assert_close(
        W(2.5 * x - 0.3 * y), 2.5 * W(x) - 0.3 * W(y), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s != "published"])
@pytest.mark.parametrize("centring", ["cell", "node"])
def test_periodic_cycles_commute_with_shifts_by_the_coarsest_spacing(scheme, centring):
    W = random_cycle(scheme, [Line("periodic", "periodic", centring)] * 2)
    x = torch.randn(1, 3, 24, 16, dtype=torch.float64)
    for shift in ((4, 0), (0, -8), (12, 4)):
        torch.testing.assert_close(
            W(x.roll(shift, (2, 3))), W(x).roll(shift, (2, 3)), rtol=1e-12, atol=1e-12
        )


def test_the_published_transfers_do_not_commute_with_shifts():
    W = random_cycle("published", [WALLS["periodic"]] * 2)
    x = torch.randn(1, 3, 24, 16, dtype=torch.float64)
    shifted = W(x.roll(8, 2)).roll(-8, 2)
    assert (shifted - W(x)).norm() / W(x).norm() > 1e-3


def mirrored(W):
    """The cycle with stencils symmetric along every axis."""
    W = copy.deepcopy(W)
    with torch.no_grad():
        for weight in W.parameters():
            for d in range(2, weight.ndim):
                weight.copy_((weight + weight.flip(d)) / 2)
    return W


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s != "published"])
@pytest.mark.parametrize("centring", ["cell", "node"])
@pytest.mark.parametrize("wall", ["dirichlet", "neumann"])
def test_walls_are_reflections(scheme, wall, centring):
    """Symmetric stencils: the cycle of the field reflected, odd or even, on the periodic axis of
    double length, is the reflection of the cycle between walls."""
    sign = -1 if wall == "dirichlet" else 1
    n = 16 if centring == "cell" else 17
    lines = [Line(wall, wall, centring)] * 2
    W = mirrored(random_cycle(scheme, lines))
    around = copy.deepcopy(W)
    for module in around.modules():
        if hasattr(module, "lines"):
            module.lines = (Line("periodic", "periodic", centring),) * 2

    def reflected(v):
        for d in (2, 3):
            if centring == "cell":
                v = torch.cat([v, sign * v.flip(d)], d)
            else:
                inner = v.narrow(d, 1, n - 2)
                ends = [v.narrow(d, k, 1) * (sign > 0) for k in (0, n - 1)]
                v = torch.cat([ends[0], inner, ends[1], sign * inner.flip(d)], d)
        return v

    x = torch.randn(1, 3, n, n, dtype=torch.float64)
    inside = (..., slice(0, n), slice(0, n))
    expected = around(reflected(x))[inside] * (measure(lines[0], 2, n) > 0)
    got = W(x) * (measure(lines[0], 2, n) > 0)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(5, 130),
    m=st.integers(5, 40),
    wall=st.sampled_from(["dirichlet", "neumann", "periodic"]),
    centring=st.sampled_from(["cell", "node", "interior", "left"]),
    scheme=st.sampled_from(sorted(SCHEMES)),
)
def test_any_size(n, m, wall, centring, scheme):
    lines = [Line(wall, wall, centring), Line("neumann", "dirichlet", "cell")]
    torch.manual_seed(0)
    W = VCycle(2, 3, lines, SCHEMES[scheme].depth(lines, (n, m)), SCHEMES[scheme])
    x = torch.randn(1, 2, n, m, requires_grad=True)
    y = W(x)
    assert y.shape == (1, 3, n, m)
    y.square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in W.parameters())


@pytest.mark.parametrize(
    ("scheme", "dimension"),
    [*((s, 2) for s in SCHEMES), ("multigrid", 1), ("multigrid", 3), ("published", 1)],
)
def test_derivatives(scheme, dimension):
    lines = [Line("dirichlet", "neumann", "cell"), WALLS["periodic"], WALLS["neumann"]]
    W = random_cycle(scheme, lines[:dimension], c_f=1, c_u=2, levels=2)
    x = torch.randn(1, 1, *(5, 4, 3)[:dimension], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(W, x, check_forward_ad=True)
    weight = next(iter(W.parameters()))
    name = next(iter(dict(W.named_parameters())))
    through = lambda w: torch.func.functional_call(W, {name: w}, (x.detach(),))  # noqa: E731
    assert torch.autograd.gradcheck(through, weight.detach().requires_grad_(True))


@pytest.mark.parametrize("size", [(12, 8), (64, 9), (70, 130)])
def test_batches_by_vmap(size):
    W = random_cycle("multigrid", [WALLS["dirichlet"], WALLS["periodic"]])
    x = torch.randn(3, 2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(torch.vmap(W)(x), torch.stack([W(v) for v in x]))
    t = torch.randn_like(x[0])
    _, change = torch.func.jvp(W, (x[0],), (t,))
    torch.testing.assert_close(change, W(t))


def test_levels_without_room_are_left_out():
    W = random_cycle("multigrid", [WALLS["dirichlet"]] * 2, levels=6)
    assert W(torch.randn(1, 3, 5, 7, dtype=torch.float64)).shape == (1, 4, 5, 7)


def test_bad_settings_are_named():
    lines = [WALLS["dirichlet"]] * 2
    with pytest.raises(ConfigError, match="keep the channels"):
        VCycle(3, 4, lines, growth=1)
    with pytest.raises(ConfigError, match="at least one level"):
        VCycle(3, 4, lines, levels=0)
    with pytest.raises(ShapeError, match="expected a field"):
        VCycle(3, 4, lines)(torch.randn(1, 3, 8))
