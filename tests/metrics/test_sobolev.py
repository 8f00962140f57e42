"""H1 errors: closed forms, order of convergence on every axis, the published truncated norm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.metrics._sobolev import continuous, squared_norm, truncated
from sciops.metrics.pointwise import relative_l2
from sciops.metrics.sobolev import relative_h1, relative_h1_spectral

PI, E = math.pi, math.e
BOTH = (relative_h1, relative_h1_spectral)


def schema_on(*axes: Axis, components: tuple[int, ...] = ()) -> Schema:
    return Schema((Variable("u", Grid(axes), "target", components),))


def ring(n: int, length: float = 2 * PI, name: str = "x") -> Axis:
    return Axis.uniform(name, n, 0.0, length, "periodic")


def mesh(schema: Schema) -> list[torch.Tensor]:
    coordinates = [torch.tensor(a.coordinates) for a in schema.target_domain.axes]
    return list(torch.meshgrid(*coordinates, indexing="ij"))


def ratio(metric, error, truth, schema) -> float:
    """The metric for a given error; the truth is that of one sample and channel."""
    return metric((truth + error)[None, None], truth[None, None], schema).item()


def random_fields(schema: Schema, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (batch, schema.target_channels, *schema.target_domain.shape)
    generator = torch.Generator().manual_seed(0)
    p, y = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return p, y


# ---- periodic axes: exact


@pytest.mark.parametrize("length", [2 * PI, 1.0, 5.0])
@pytest.mark.parametrize("n", [17, 32])
@pytest.mark.parametrize("k", [0, 1, 3, 7])
def test_a_sine_against_a_sine(k, n, length):
    """||cos(s_k x)||^2 = L (1 + s_k^2) / 2 with s_k = 2 pi k / L; the constant has L."""
    schema = schema_on(ring(n, length))
    (x,) = mesh(schema)
    s = 2 * PI / length
    exact = math.sqrt((1 + (k * s) ** 2) / (1 + s**2)) * (math.sqrt(2) if k == 0 else 1)
    error, truth = torch.cos(k * s * x), torch.sin(s * x)
    assert ratio(relative_h1, error, truth, schema) == pytest.approx(exact, abs=1e-12, rel=1e-12)


def test_several_axes_and_lengths():
    schema = schema_on(ring(12, 1.0, "z"), ring(15, 3.0, "y"), ring(8, 2 * PI, "x"))
    z, y, x = mesh(schema)
    error = torch.sin(4 * PI * z) * torch.cos(2 * PI * y) * torch.sin(3 * x)  # mean square 1/8
    exact = math.sqrt((1 + (4 * PI) ** 2 + (2 * PI) ** 2 + 9) / 8)
    found = ratio(relative_h1, error, torch.ones_like(error), schema)
    assert found == pytest.approx(exact, rel=1e-12)


def test_the_highest_mode_of_an_even_grid_counts_once():
    schema = schema_on(ring(8))
    (x,) = mesh(schema)
    found = ratio(relative_h1, torch.cos(4 * x), torch.ones_like(x), schema)
    assert found == pytest.approx(math.sqrt(1 + 4**2), rel=1e-12)


@pytest.mark.parametrize("shift", [0.5, 0.2])
def test_a_periodic_axis_may_start_anywhere(shift):
    """Cell centres, and points that no rule of the schema describes."""
    h = 2 * PI / 16
    schema = schema_on(Axis("x", (np.arange(16) + shift) * h, 0.0, 2 * PI, periodic=True))
    (x,) = mesh(schema)
    found = ratio(relative_h1, torch.sin(5 * x), torch.sin(x), schema)
    assert found == pytest.approx(math.sqrt(26 / 2), rel=1e-12)


# ---- walls: second order


def graded(map_, n: int, offset: float = 0.0) -> Axis:
    return Axis("x", map_((np.arange(n) + offset) / (n - 1 + 2 * offset)), 0.0, 1.0)


def alternating(n: int) -> Axis:
    """Gaps of 1, 2, 1, 2 .. : as rough as a grading can be."""
    x = np.concatenate([[0.0], np.cumsum(np.resize([1.0, 2.0], n - 1))])
    return Axis("x", x / x[-1], 0.0, 1.0)


WALLED = {
    "cell": lambda n: Axis.uniform("x", n, spacing="cell"),
    "node": lambda n: Axis.uniform("x", n, spacing="node"),
    "left": lambda n: Axis.uniform("x", n, spacing="left"),
    "interior": lambda n: Axis.uniform("x", n, spacing="interior"),
    "squares": lambda n: graded(lambda t: t**2, n),
    "cosines, off the walls": lambda n: graded(lambda t: (1 - np.cos(PI * t)) / 2, n, 0.5),
    "alternating": alternating,
}


@pytest.mark.parametrize("name", WALLED)
def test_walls_converge_at_second_order(name):
    """y = exp(x), p - y = x^3 on [0, 1]: the squares are (1/7 + 9/5) / (e^2 - 1)."""
    exact, differences = math.sqrt((1 / 7 + 9 / 5) / (E**2 - 1)), []
    for n in (65, 129):
        schema = schema_on(WALLED[name](n))
        kind = schema.target_domain.axes[0].spacing
        assert kind == (name if name in ("cell", "node", "left", "interior") else "graded")
        (x,) = mesh(schema)
        differences.append(abs(ratio(relative_h1, x**3, x.exp(), schema) - exact))
    assert math.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.1)
    assert differences[1] < 1e-3 * exact


@pytest.mark.parametrize("name", WALLED)
@pytest.mark.parametrize("length", [1.0, 10.0])
def test_the_norm_itself_converges_on_walls(name, length):
    """int_0^L (exp^2 + exp'^2) / L with exp(x / L): a ratio could hide a common factor."""
    exact, differences = (1 + length**-2) * (E**2 - 1) / 2, []
    for n in (65, 129):
        a = WALLED[name](n)
        grid = Grid((Axis("x", a.coordinates * length, 0.0, length),))
        q = torch.tensor(a.coordinates).exp()
        differences.append(abs(squared_norm(q, continuous(grid)).item() - exact))
    assert math.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.2)
    assert differences[1] < 1e-3 * exact


def test_a_line_between_walls_has_its_slope_everywhere():
    """The differences of a linear function are exact, up to the walls, on every spacing."""
    for name, axis in WALLED.items():
        (line,) = continuous(Grid((axis(9),)))
        x = 3.0 * torch.tensor(axis(9).coordinates)
        slope = squared_norm(x, [line]) - (x.square() * torch.tensor(line.weights)).sum()
        assert slope.item() == pytest.approx(9.0, rel=1e-12), name
        assert squared_norm(torch.ones(9).double(), [line]).item() == pytest.approx(1.0), name


def test_a_graded_periodic_axis_converges_at_second_order():
    exact, differences = math.sqrt((1 + 16 * PI**2) / (1 + 4 * PI**2)), []
    for n in (64, 128):
        t = (np.arange(n) + 0.3) / n
        axis = Axis("x", t + 0.1 * np.sin(2 * PI * t) / (2 * PI), 0.0, 1.0, periodic=True)
        schema = schema_on(axis)
        (x,) = mesh(schema)
        error, truth = torch.sin(4 * PI * x), torch.sin(2 * PI * x)
        differences.append(abs(ratio(relative_h1, error, truth, schema) - exact))
    assert math.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.15)


def test_a_period_with_its_end_stored_converges_at_second_order():
    exact, differences = math.sqrt((1 + 16 * PI**2) / (1 + 4 * PI**2)), []
    for n in (65, 129):
        schema = schema_on(Axis("x", np.linspace(0, 1, n), 0.0, 1.0, periodic=True))
        (x,) = mesh(schema)
        error, truth = torch.sin(4 * PI * x), torch.sin(2 * PI * x)
        differences.append(abs(ratio(relative_h1, error, truth, schema) - exact))
    assert math.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.15)


def test_a_periodic_axis_beside_a_graded_wall_converges_at_second_order():
    """y = exp(x), p - y = sin(2 s) sin(3 x), s in [0, 2 pi], x in [0, 1]."""
    sin, cos = 1 / 2 - math.sin(6) / 12, 1 / 2 + math.sin(6) / 12  # int sin^2, cos^2 of 3 x
    exact = math.sqrt(((1 + 4) * sin + 9 * cos) / 2 / (E**2 - 1))
    differences = []
    for n in (33, 65):
        schema = schema_on(ring(8, name="s"), WALLED["squares"](n))
        s, x = mesh(schema)
        error = torch.sin(2 * s) * torch.sin(3 * x)
        differences.append(abs(ratio(relative_h1, error, x.exp(), schema) - exact))
    assert math.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.15)


def test_an_axis_of_one_point_does_not_matter():
    for axis in (ring(1, name="z"), Axis("z", [0.3], 0.0, 2.0)):
        p, y = random_fields(schema_on(WALLED["squares"](9)))
        flat = relative_h1(p, y, schema_on(WALLED["squares"](9)))
        thick = relative_h1(p[:, :, None], y[:, :, None], schema_on(axis, WALLED["squares"](9)))
        torch.testing.assert_close(flat, thick)


def test_the_unit_of_the_coordinates():
    """In a unit s times as long the slopes grow by s: <q^2> stays, <|grad q|^2> gets s^2."""
    axes = (ring(6, 2.0, "y"), WALLED["squares"](7))
    longer = [Axis(a.name, a.coordinates / 4, a.lower / 4, a.upper / 4, a.periodic) for a in axes]
    q, _ = random_fields(schema_on(*axes))
    wide, narrow = (squared_norm(q, continuous(Grid(tuple(a)))) for a in (axes, longer))
    weights = torch.tensor(axes[1].widths)
    mean = (q.square() * weights).sum(-1).mean(-1)
    torch.testing.assert_close(narrow - mean, 16 * (wide - mean))
    p, y = random_fields(schema_on(ring(8, 1e9)))  # so long that nothing has a slope
    schema = schema_on(ring(8, 1e9))
    torch.testing.assert_close(relative_h1(p, y, schema), relative_l2(p, y, schema))


# ---- the truncated norm


def by_loop(q: np.ndarray) -> float:
    """sqrt sum_k (1 + sum_d m(k_d)^2) |q_k|^2 over all modes, one after the other."""
    transform, total = np.fft.fftn(q, norm="ortho"), 0.0
    for index in np.ndindex(q.shape):
        weight = 1
        for i, n in zip(index, q.shape, strict=True):
            k = i if 2 * i < n else n - i  # |k|
            if k < 20:
                weight += k**2
        total += weight * abs(transform[index]) ** 2
    return math.sqrt(total)


@pytest.mark.parametrize(
    "sizes", [(64,), (63,), (1,), (48, 45), (41, 42), (39, 40), (9, 8), (6, 5, 44)]
)
def test_against_a_loop_over_modes(sizes):
    schema = schema_on(*(Axis.uniform("zyx"[d], n, 0.0, 1.0 + d) for d, n in enumerate(sizes)))
    p, y = random_fields(schema, batch=1)
    expected = by_loop((p - y)[0, 0].numpy()) / by_loop(y[0, 0].numpy())
    assert relative_h1_spectral(p, y, schema).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [50, 53])
@pytest.mark.parametrize(
    "k, weight",
    [
        ((1, 0), 1 + 1), ((19, 0), 1 + 361), ((20, 0), 1), ((21, 3), 1 + 9),
        ((-3, 25), 1 + 9), ((19, -19), 1 + 2 * 361), ((20, 22), 1), ((0, 0), 2),
    ],
)  # fmt: skip
def test_single_modes(k, weight, n):
    """cos of the mode against the constant: half the weight; the constant itself: all of it."""
    schema = schema_on(ring(n, 7.0, "y"), ring(52, 0.1, "x"))
    y, x = mesh(schema)
    error = torch.cos(2 * PI * (k[0] * y / 7.0 + k[1] * x / 0.1))
    found = ratio(relative_h1_spectral, error, torch.ones_like(error), schema)
    assert found == pytest.approx(math.sqrt(weight / 2), rel=1e-10)


def test_walls_and_lengths_do_not_enter_the_truncated_norm():
    results = []
    for length in (1.0, 30.0):
        for spacing in ("periodic", "cell", "node", "left", "interior"):
            axis = Axis.uniform("x", 24, 0.0, length, spacing)
            results.append(relative_h1_spectral(*random_fields(schema_on(axis)), schema_on(axis)))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-14, atol=0)


def test_both_agree_on_the_periodic_box_of_length_two_pi_below_the_cut():
    schema = schema_on(ring(16, name="y"), ring(39, name="x"))
    p, y = random_fields(schema)
    torch.testing.assert_close(relative_h1(p, y, schema), relative_h1_spectral(p, y, schema))


# ---- what both keep


@pytest.mark.parametrize("metric", BOTH)
def test_scale_equality_and_batch(metric):
    schema = schema_on(ring(6, name="y"), Axis.uniform("x", 7))
    p, y = random_fields(schema)
    result = metric(p, y, schema)
    assert result.shape == (3, 1) and result.dtype == torch.float64 and (result > 0.1).all()
    for s in (1e-6, -3.0, 1e8):
        torch.testing.assert_close(metric(s * p, s * y, schema), result)
    assert (metric(y, y, schema) == 0).all()
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(metric(p[order], y[order], schema), result[order])
    zero = torch.zeros_like(y)
    assert (metric(zero, zero, schema) == 0).all() and (metric(p, zero, schema) == math.inf).all()


@pytest.mark.parametrize("metric", BOTH)
def test_vectors_pool_their_components(metric):
    """Components that carry the same field are one: pooled squares, not means of ratios."""
    x = Axis.uniform("x", 9)
    p, y = random_fields(schema_on(x))
    one = metric(p, y, schema_on(x))
    both = metric(p.repeat(1, 2, 1), y.repeat(1, 2, 1), schema_on(x, components=(2,)))
    torch.testing.assert_close(both, one)
    first = torch.cat([p, 2 * y], 1), torch.cat([y, 2 * y], 1)  # the second component is exact
    found = metric(*first, schema_on(x, components=(2,)))
    torch.testing.assert_close(found, one / math.sqrt(5))


@pytest.mark.parametrize("metric", BOTH)
def test_holes_are_refused(metric):
    schema = schema_on(ring(6, name="y"), Axis.uniform("x", 7))
    p, y = random_fields(schema)
    whole = torch.ones(3, 1, 1, 1, dtype=torch.bool)
    torch.testing.assert_close(metric(p, y, schema, whole), metric(p, y, schema))
    hole = torch.ones(3, 1, 6, 7, dtype=torch.bool)
    hole[1, 0, 2, 3] = False
    with pytest.raises(SchemaError, match="mask.*relative_l2"):
        metric(p, y, schema, hole)


@pytest.mark.parametrize("metric", BOTH)
def test_points_are_refused(metric):
    points = Points(np.random.default_rng(0).random((8, 2)))
    schema = Schema((Variable("u", points, "target"),))
    with pytest.raises(SchemaError, match="interpolate"):
        metric(torch.zeros(1, 1, 8), torch.zeros(1, 1, 8), schema)


def test_the_truncated_norm_refuses_graded_axes():
    schema = schema_on(WALLED["squares"](8))
    with pytest.raises(SchemaError, match="x is graded.*relative_h1"):
        relative_h1_spectral(torch.zeros(1, 1, 8), torch.zeros(1, 1, 8), schema)


# ---- the norms as training uses them

MIXED = Grid((ring(4, name="z"), WALLED["squares"](5)))
BENT_RING = Grid((Axis("x", [0.0, 0.2, 0.3, 0.7, 0.8], 0.0, 1.0, periodic=True),))
NORMS = [continuous(MIXED), continuous(BENT_RING), truncated(Grid((ring(5), Axis.uniform("y", 4))))]


@pytest.mark.parametrize("lines", NORMS)
def test_derivatives(lines):
    shape = (2, *(len(line.weights) for line in lines))
    q = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: squared_norm(q, lines).sqrt(), q)
    assert torch.autograd.gradgradcheck(lambda q: squared_norm(q, lines), q)
    values, slopes = torch.func.jvp(lambda q: squared_norm(q, lines), (q,), (q,))
    torch.testing.assert_close(slopes, 2 * values)  # a quadratic form
    mapped = torch.func.vmap(lambda q: squared_norm(q, lines))(q)
    torch.testing.assert_close(mapped, squared_norm(q, lines))


@pytest.mark.parametrize("lines", NORMS)
def test_precision(lines):
    shape = (2, *(len(line.weights) for line in lines))
    q = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = squared_norm(q, lines)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), squared_norm(q.double(), lines), rtol=1e-6, atol=0)
