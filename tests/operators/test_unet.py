"""U-Net: symmetry on periodic axes, any size, conditioning, resolution."""

from __future__ import annotations

import pytest
import torch
from contracts.operator_checks import SCHEMAS, example, fitted

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable
from sciops.operators.unet import Block, Config, group_norm

STEPPING, DARCY = SCHEMAS["stepping_1d"], SCHEMAS["darcy_2d"]


def task(*axes: Axis, boundary: tuple[Boundary, ...] = ()) -> Schema:
    """A scalar field in, a scalar field out."""
    grid = Grid(axes)
    return Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), boundary)


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_a_periodic_axis_is_shift_equivariant_by_the_coarsest_stride(levels):
    schema = task(
        Axis.uniform("x", 16, spacing="periodic"), Axis.uniform("y", 8, spacing="periodic")
    )
    operator, a = fitted(Config(levels=levels, width=8), schema), torch.randn(2, 1, 16, 8)
    stride = 2**levels
    y = operator(a)
    for axis in (2, 3):
        torch.testing.assert_close(operator(a.roll(stride, axis)), y.roll(stride, axis),
                                   rtol=1e-3, atol=1e-4)  # fmt: skip
    if levels:
        assert not torch.allclose(operator(a.roll(1, 2)), y.roll(1, 2), atol=1e-2)


def test_a_wall_is_felt_and_a_periodic_boundary_of_the_schema_wraps():
    axis, ends = Axis.uniform("x", 16), ("lower", "upper")
    walled = fitted(Config(levels=0), task(axis))
    around = fitted(
        Config(levels=0), task(axis, boundary=tuple(Boundary("x", s, "periodic") for s in ends))
    )
    half = Config(levels=0).build(task(axis, boundary=(Boundary("x", "lower", "periodic"),)))
    assert half.sides == ("zeros",)  # one side alone is no period
    a = torch.randn(2, 1, 16)
    assert around.sides == ("periodic",) and walled.sides == ("zeros",)
    torch.testing.assert_close(around(a.roll(3, 2)), around(a).roll(3, 2), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(walled(a.roll(3, 2)), walled(a).roll(3, 2), atol=1e-2)


@pytest.mark.parametrize("shape", [(1,), (2, 1), (3, 7), (5, 4, 3)])
def test_any_size(shape):
    schema = task(*(Axis.uniform(name, n) for name, n in zip("zyx", shape, strict=False)))
    operator = Config(resolution="input").build(schema)
    assert operator(torch.randn(2, 1, *shape)).shape == (2, 1, *shape)
    larger = tuple(n + 2 for n in shape)
    y = operator(torch.randn(2, 1, *larger))
    assert y.shape == (2, 1, *larger) and torch.isfinite(y).all()


def test_a_finer_input_is_worked_on_at_the_training_spacing():
    """With resolution: training, a smooth input gives the same field on a finer grid."""
    operator = fitted(Config(levels=2, width=8), DARCY)
    coarse, fine = (
        torch.sin(y[:, None] * 2) * torch.cos(3 * x)
        for y, x in (operator.on(DARCY.input_domain.resized(n)) for n in ((12, 16), (48, 64)))
    )
    y = operator(coarse[None, None])
    at_coarse = operator.on(DARCY.input_domain)
    off = (operator(fine[None, None], at=at_coarse) - y).norm() / y.norm()
    own = fitted(Config(levels=2, width=8, resolution="input"), DARCY)
    own_off = (own(fine[None, None], at=at_coarse) - y).norm() / y.norm()
    assert off < 0.02 < 0.2 < own_off


def test_both_resolutions_agree_on_the_training_grid():
    a, _ = example(DARCY, 2)
    there, here = (fitted(Config(width=8, resolution=r), DARCY) for r in ("training", "input"))
    assert torch.equal(there(a), here(a))


def test_parameters_change_the_output_of_their_sample_only():
    operator = fitted(Config(levels=1), STEPPING)
    a, params = example(STEPPING, 3)
    y, params[1] = operator(a, params), params[1] + 1.0
    z = operator(a, params)
    assert torch.equal(y[[0, 2]], z[[0, 2]]) and not torch.allclose(y[1], z[1], atol=1e-3)


def test_a_block_with_no_film_is_one_with_film_of_zero():
    plain, film = Block(8, 8, ("zeros",), 0), Block(8, 8, ("zeros",), 4)
    film.load_state_dict(plain.state_dict(), strict=False)
    film.film.weight.data.zero_()
    film.film.bias.data.zero_()
    v = torch.randn(2, 8, 9)
    torch.testing.assert_close(film(v, torch.randn(2, 4)), plain(v, None))


@pytest.mark.parametrize("channels", [4, 6, 7, 8, 20, 36, 48, 128])
def test_groups_divide_the_channels_and_hold_at_least_four(channels):
    norm = group_norm(channels)
    assert channels % norm.num_groups == 0 and norm.num_channels // norm.num_groups >= 4


@pytest.mark.parametrize(
    ("name", "text"),
    [("points_2d", "20 scattered points.*deeponet"), ("history", r"\('x',\).*\('t', 'x'\)")],
)
def test_what_it_cannot_serve(name, text):
    with pytest.raises(SchemaError, match=text):
        Config().build(SCHEMAS[name])


def test_four_axes_are_too_many():
    schema = task(*(Axis.uniform(name, 2) for name in "tzyx"))
    with pytest.raises(SchemaError, match="1 or 2 or 3 axes"):
        Config().build(schema)
