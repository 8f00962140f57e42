"""Bases of one axis: exact on what they keep, silent on what the grid cannot carry."""

import copy
import pickle

import pytest
import torch
from layers.spectral.cases import BASES, LINEAR, NODES, Field, mixer, off, places
from torch._subclasses.fake_tensor import FakeTensorMode

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers import tables as kept_tables
from sciops.layers.spectral import Basis, Transform
from sciops.layers.spectral import basis as tables

SPACINGS = tuple(tables.PLACES)


def through(basis: Basis, x: torch.Tensor, n: int) -> torch.Tensor:
    """Analysis and synthesis on n points."""
    transform = Transform([basis])
    return transform.synthesise(transform.analyse(x), (n,))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("kind", tables.KINDS)
def test_kept_functions_come_back_on_every_number_of_points(kind, spacing):
    for n in (9, 12, 20, 33):
        for m in (1, 2, 5, 7):
            field = Field([Basis(kind, m, spacing)])
            x = field.on(n)
            assert off(through(field.bases[0], x, n), x) < 1e-13, (n, m)


@pytest.mark.parametrize("kind", tables.KINDS)
def test_kept_functions_come_back_on_nodes_of_any_places(kind):
    for nodes in (NODES, tuple(torch.linspace(0, 1, 14, dtype=torch.float64).pow(1.5).tolist())):
        field = Field([Basis(kind, 5, nodes=nodes)])
        x = field.on(len(nodes))
        assert off(through(field.bases[0], x, len(nodes)), x) < 1e-13


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("kind", tables.KINDS)
def test_another_number_of_points_gives_the_same_function(kind, spacing):
    """Up and down, odd and even; every function that is kept has its own coefficient."""
    basis = Basis(kind, 7, spacing)
    field = Field([basis])
    for n, other in ((12, 24), (12, 33), (33, 13), (16, 11)):
        assert off(through(basis, field.on(n), other), field.on(other)) < 1e-12, (n, other)


def test_the_coefficients_are_those_of_the_definition():
    """One function at a time has one coefficient, 1, or 1/2 for k and -k of a real wave."""
    for name, basis in BASES.items():
        if name == "extended":
            continue
        n = 12 if basis.nodes else 16
        s = torch.tensor(NODES, dtype=torch.float64) if basis.nodes else places(basis.spacing, n)
        z = Transform([basis]).analyse(tables.functions(basis, s)[:, None])  # (m, parts, rows, 1)
        z = z[..., 0]
        if basis.kind != "fourier":
            expected = torch.eye(5)[:, None]
        else:
            count = basis.n_modes // 2 + 1
            half = torch.full((count,), 0.5).index_fill(0, torch.tensor(0), 1.0).diag()
            expected = torch.zeros(count, 2, 2 * count)
            expected[:, 0, :count] = half
            expected[:, 1, count:] = half.index_fill(0, torch.tensor(0), 0.0)  # no sine of k = 0
        assert off(z, expected.double()) < 1e-13, name


@pytest.mark.parametrize(
    ("kind", "spacing"),
    [(k, s) for k in ("fourier", "cosine", "sine") for s in ("cell", "node")]
    + [("fourier", "periodic"), ("sine", "interior")],
)
def test_what_is_not_kept_is_gone(kind, spacing):
    """Functions of higher index that the grid carries leave nothing behind on orthogonal points."""
    all_of_them = Field([Basis(kind, 13, spacing)])
    n = 20
    few = Basis(kind, 5, spacing)
    keep = copy.deepcopy(all_of_them)
    if kind == "fourier":
        keep.weights[..., 3:7] = 0.0  # cosines 0 .. 6, then sines 1 .. 6
        keep.weights[..., 9:] = 0.0
    else:
        keep.weights[..., 5:] = 0.0
    assert off(through(few, all_of_them.on(n), n), keep.on(n)) < 1e-13


@pytest.mark.parametrize("kind", ("fourier", "cosine", "sine"))
@pytest.mark.parametrize("n", (4, 5, 8, 9))
def test_a_coarse_grid_drops_modes_and_takes_none_for_another(kind, n):
    """15 modes on few points: what the grid carries comes back, also on a fine grid."""
    basis = Basis(
        kind, 15, "node" if kind == "cosine" else "periodic" if kind == "fourier" else "cell"
    )
    field = Field(
        [Basis(kind, n - 1 if kind != "fourier" else 2 * ((n - 1) // 2) + 1, basis.spacing)]
    )
    assert off(through(basis, field.on(n), n), field.on(n)) < 1e-13
    assert off(through(basis, field.on(n), 40), field.on(40)) < 1e-12
    fine = Field([Basis(kind, 15, basis.spacing)])  # more than the coarse grid can show
    low = copy.deepcopy(fine)
    if kind == "fourier":
        top = (n - 1) // 2
        low.weights[..., top + 1 : 8] = 0.0
        low.weights[..., 8 + top :] = 0.0
        if n % 2 == 0:
            fine.weights[..., n // 2] = 0.0  # the highest of an even grid is shared, see below
            fine.weights[..., 7 + n // 2] = 0.0
    else:
        last = n - 1  # the highest function of the coarse grid counts half in both directions
        fine.weights[..., last] = 0.0
        low.weights[..., last:] = 0.0
    assert off(through(basis, fine.on(40), n), low.on(n)) < 1e-12


def test_the_highest_wavenumber_of_an_even_grid_is_shared_between_both_signs():
    """cos(n/2) has 1/2 at +n/2 and 1/2 at -n/2; only both together give it back."""
    n = 8
    wave = torch.cos(torch.pi * torch.arange(n, dtype=torch.float64))[None, None]
    assert off(through(Basis("fourier", 9), wave, n), wave) < 1e-14
    two = Transform([Basis("fourier", 8), Basis("fourier", 5)])  # the first keeps -4 and not +4
    x = wave[..., None].expand(1, 1, n, 7)
    assert off(two.synthesise(two.analyse(x), (n, 7)), x / 2) < 1e-14


def test_a_sine_vanishes_on_the_walls_and_a_cosine_arrives_with_zero_slope():
    """Whatever the coefficients; the derivative by symmetric differences about the wall."""
    z = torch.randn(7, 1, 1, 2, dtype=torch.float64)
    sine = Transform([Basis("sine", 7, "node")]).synthesise(z, (19,))
    assert sine[..., [0, -1]].abs().max() < 1e-14 and sine.abs().max() > 0.1
    h = 1e-5
    ends = torch.tensor([-h, h, 1 - h, 1 + h], dtype=torch.float64)
    cosines = torch.einsum("kn,kpbc->bcn", tables.functions(Basis("cosine", 7), ends), z)
    slope = (cosines[..., 1::2] - cosines[..., ::2]) / (2 * h)
    assert slope.abs().max() < 1e-10 and cosines.abs().max() > 0.1
    fine = Transform([Basis("cosine", 7, "node")]).synthesise(z, (20001,))
    assert (fine[..., 1] - fine[..., 0]).abs().max() < 1e-5  # h^2 / 2 times the curvature
    middle = (fine[..., 10000] - fine[..., 9999]).abs().max()
    assert middle > 1e-4


def test_mixed_boundaries():
    """Periodic along one axis, walls of either kind along the others."""
    bases = [BASES["fourier"], BASES["sine"], BASES["cosine_node"]]
    field = Field(bases, channels=1)
    transform = Transform(bases)
    x = field.on(10, 9, 11)
    y = transform.synthesise(transform.analyse(x), (16, 17, 21))
    assert off(y, field.on(16, 17, 21)) < 1e-13
    assert y[:, :, :, [0, -1]].abs().max() < 1e-13


def test_an_extended_period_is_zeros_behind_the_end():
    """Equal to padding with a quarter of zeros and cutting the result, on cells and on nodes."""
    n = 16
    x = torch.randn(2, 3, n, dtype=torch.float64)
    extended = through(Basis("fourier", 7, "cell", extension=1.25), x, n)
    padded = through(
        Basis("fourier", 7, "cell"), torch.nn.functional.pad(x, (0, n // 4)), 5 * n // 4
    )
    assert off(extended, padded[..., :n]) < 1e-13
    x = torch.nn.functional.pad(torch.randn(2, 3, n - 1, dtype=torch.float64), (1, 1))  # 0 on walls
    extended = through(Basis("fourier", 7, "node", extension=1.25), x, n + 1)
    periodic = torch.nn.functional.pad(x[..., :-1], (0, n // 4))
    padded = through(Basis("fourier", 7), periodic, 5 * n // 4)
    assert off(extended, padded[..., : n + 1]) < 1e-13


@pytest.mark.parametrize("spacing", SPACINGS)
def test_an_extended_axis_has_a_quadrature_of_first_order_at_least(spacing):
    """The mean of a field that is 1 on the axis is 1 / extension on any number of points."""
    for n in (7, 16, 33):
        z = Transform([Basis("fourier", 3, spacing, 1.25)]).analyse(torch.ones(1, 1, n))
        assert z.flatten()[0].item() == pytest.approx(0.8, abs=0.8 / n)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "wavelet"}, "expected a basis of"),
        ({"spacing": "random"}, "expected a basis of"),
        ({"n_modes": 0}, "n_modes must be at least 1, got 0"),
        ({"extension": 0.5}, "at least 1; got 0.5"),
        ({"extension": float("nan")}, "at least 1; got nan"),
        ({"kind": "cosine", "extension": 1.25}, "got 1.25 for cosine"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Basis(**settings)


def test_a_basis_is_needed_somewhere():
    with pytest.raises(ConfigError, match="at least one axis needs a basis"):
        Transform([None, None])


def test_fields_that_do_not_fit_are_refused():
    nodes = Transform([Basis("chebyshev", 4, nodes=NODES)])
    with pytest.raises(ShapeError, match="12 nodes, the field 13 points"):
        nodes.analyse(torch.zeros(1, 1, 13))
    with pytest.raises(ShapeError, match="12 nodes, the field 6 points"):
        nodes.synthesise(torch.zeros(4, 1, 1, 1), (6,))
    for kind in tables.KINDS:
        with pytest.raises(ShapeError, match="'node' must be at least two, the field has 1"):
            Transform([Basis(kind, 3, "node")]).analyse(torch.zeros(1, 1, 1))
    both = Transform([Basis(), Basis()])
    with pytest.raises(ShapeError, match=r"\(B, C, and 2 sizes\), got \(1, 1, 8\)"):
        both.analyse(torch.zeros(1, 1, 8))
    with pytest.raises(ShapeError, match=r"expected 2 sizes, got \(8,\)"):
        both.synthesise(both.analyse(torch.zeros(1, 1, 8, 8)), (8,))


def test_one_point_is_enough_but_for_nodes_on_both_ends():
    x = torch.ones(1, 1, 1)
    for kind in tables.KINDS:
        for spacing in set(SPACINGS) - {"node"}:
            assert torch.isfinite(through(Basis(kind, 3, spacing), x, 1)).all()
        for spacing in ("cell", "interior"):
            torch.testing.assert_close(through(Basis(kind, 3, spacing), x, 1), x)


# --------------------------------------------------------------------------- kept matrices


@pytest.fixture
def empty_cache():
    kept_tables._kept.cache_clear()
    yield
    kept_tables._kept.cache_clear()


def test_no_matrix_is_part_of_the_model(empty_cache):
    for name in LINEAR:
        made = mixer(name, [BASES["fourier"], BASES["chebyshev"]])
        before = set(made.state_dict())
        size = len(pickle.dumps(made))
        made(torch.randn(2, 4, 20, 21))
        assert set(made.state_dict()) == before
        assert len(pickle.dumps(made)) < size + 2000
    assert kept_tables._kept.cache_info().currsize > 0


def test_matrices_are_made_once_and_not_confused(empty_cache):
    made = mixer("dense", [BASES["fourier"], BASES["cosine"]])
    x = torch.randn(1, 4, 16, 12)
    y = made(x)
    count = kept_tables._kept.cache_info().misses
    torch.testing.assert_close(made(x), y, rtol=0, atol=0)
    assert kept_tables._kept.cache_info().misses == count == 4
    made.double()(x.double())
    assert kept_tables._kept.cache_info().misses == 8


def test_matrices_made_in_inference_mode_serve_training(empty_cache):
    made, x = mixer("dense", [BASES["fourier"], BASES["chebyshev"]]), torch.randn(1, 4, 16, 12)
    with torch.inference_mode():
        made(x)
    x.requires_grad_()
    (g,) = torch.autograd.grad(made(x).square().sum(), x, create_graph=True)
    g.square().sum().backward()
    torch.func.jvp(made, (x.detach(),), (x.detach(),))
    assert torch.isfinite(x.grad).all()


TRANSFORMED = {
    "grad": lambda f, x: torch.func.grad(lambda v: f(v).sin().sum())(x),
    "vmap": lambda f, x: torch.func.vmap(lambda v: f(v[None])[0])(x),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (x,))[1],
    "jvp of grad": lambda f, x: torch.func.jvp(
        torch.func.grad(lambda v: f(v).sin().sum()), (x,), (x,)
    )[1],
}


@pytest.mark.parametrize("first", list(TRANSFORMED))
def test_matrices_made_inside_transforms_serve_afterwards(empty_cache, first):
    """A tensor of torch.func must not outlive its transform, in whatever order they come."""
    made, x = mixer("dense", [BASES["fourier"], BASES["nodes"]]), torch.randn(1, 4, 16, 12)
    expected = {name: transform(made, x) for name, transform in TRANSFORMED.items()}
    y = made(x)
    kept_tables._kept.cache_clear()
    for name in (first, *TRANSFORMED):
        got = TRANSFORMED[name](made, x)
        torch.testing.assert_close(got, expected[name], rtol=0, atol=0)
    torch.testing.assert_close(made(x), y, rtol=0, atol=0)


@pytest.mark.parametrize("warm", [False, True])
def test_fake_tensors_neither_leave_nor_find_anything(empty_cache, warm):
    bases = [BASES["fourier"], BASES["chebyshev"]]
    x = torch.randn(1, 4, 16, 12)
    y = mixer("dense", bases)(x)
    if not warm:
        kept_tables._kept.cache_clear()
    with FakeTensorMode():
        assert mixer("dense", bases)(torch.randn(1, 4, 16, 12)).shape == x.shape
    with FakeTensorMode(allow_non_fake_inputs=True):  # a real tensor among fake ones
        assert mixer("dense", bases)(x).shape == x.shape
    torch.testing.assert_close(mixer("dense", bases)(x), y, rtol=0, atol=0)


@pytest.mark.parametrize("name", [*BASES, "fourier nodes", "interior"])
def test_matrices_made_while_a_graph_is_traced_are_the_kept_ones(monkeypatch, name):
    """There the least squares are by normal equations, which have rows of zeros to mind."""
    more = {
        "fourier nodes": Basis("fourier", 5, nodes=NODES),
        "interior": Basis("fourier", 5, "interior"),
    }
    basis = more.get(name) or BASES[name]
    n = len(NODES) if basis.nodes else 11
    like = torch.zeros((), dtype=torch.float64)
    kept = [tables.analysis(basis, n, like), tables.synthesis(basis, n, basis.is_complex, like)]
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    traced = [tables.analysis(basis, n, like), tables.synthesis(basis, n, basis.is_complex, like)]
    for a, b in zip(kept, traced, strict=True):
        assert off(b, a) < 1e-11
