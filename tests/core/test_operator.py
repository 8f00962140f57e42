"""The base of every operator: physical units, increments, resolution, and what its errors say."""

from __future__ import annotations

import pytest
import torch
from contracts.operator_checks import SCHEMAS, TinyData
from torch import Tensor, nn

from sciops.core import resolve
from sciops.core.config import validate
from sciops.core.errors import ConfigError, NotFound, SchemaError, ShapeError
from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable


class Config(OperatorConfig):
    """An operator that hands on the mean of its normalised input channels."""

    def build(self, schema: Schema) -> Passing:
        """The operator for data of `schema`."""
        return Passing(self, schema)


class Passing(Operator):
    """v = the mean over channels of x, plus the sum of the normalised params; keeps what it saw."""

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        self.gain = nn.Parameter(torch.ones(1))
        self.seen: list[tuple[Tensor, Tensor]] = []

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        self.seen.append((a, params))
        v = a.mean(1, keepdim=True) + params.sum(1).reshape(-1, 1, *([1] * (a.ndim - 2)))
        v = v.expand(-1, self.target_mean.shape[0], *[-1] * (a.ndim - 2))
        return self.gain * self.sample_input(v, at)


STEPPING, DARCY, BOX, HISTORY = (
    SCHEMAS[n] for n in ("stepping_1d", "darcy_2d", "box_3d", "history")
)


def test_the_learned_part_sees_normalised_numbers():
    train = TinyData(HISTORY, n=50)
    train.inputs = 7.0 * train.inputs - 30.0
    operator = Config().build(HISTORY).fit(train)
    y = operator(train.inputs, train.params, operator.on(HISTORY.input_domain))
    a, params = operator.seen[-1]
    for values in (a, params):
        assert abs(float(values.mean())) < 1e-4
        assert abs(float(values.std()) - 1) < 0.02
    assert y.shape == (50, 2, 16)


def test_targets_come_in_their_own_unit():
    """Scaling input and target by any unit changes nothing but the unit of the output."""
    train, scaled = TinyData(DARCY), TinyData(DARCY)
    scaled.inputs, scaled.targets = 1e3 * train.inputs + 5e2, 1e-4 * train.targets - 2.0
    y = Config().build(DARCY).fit(train)(train.inputs)
    z = Config().build(DARCY).fit(scaled)(scaled.inputs)
    torch.testing.assert_close(z, 1e-4 * y - 2.0, rtol=1e-4, atol=1e-6)


def test_normalise_false_changes_no_number():
    train = TinyData(DARCY)
    operator = Config(normalise=False).build(DARCY).fit(train)
    torch.testing.assert_close(operator(train.inputs), train.inputs)


def test_increment_adds_the_newest_frame_and_the_mean_change():
    train = TinyData(STEPPING, n=40)
    operator = Config(predict="increment").build(STEPPING).fit(train)
    operator.gain.data.zero_()
    change = train.targets[:, 0] - train.inputs[:, 1:2]
    y = operator(train.inputs, train.params)
    torch.testing.assert_close(y, train.inputs[:, 1:2] + change.mean(), rtol=1e-4, atol=1e-4)
    assert operator.carried == (1,)


def test_increment_at_other_points_interpolates_the_newest_frame():
    operator = Config(predict="increment", normalise=False).build(STEPPING)
    operator.gain.data.zero_()
    x = operator.on(STEPPING.input_domain)[0]
    a = torch.stack([0 * x, 3 * x])[None]
    y = operator(a, torch.zeros(1, 2), (torch.tensor([0.3, 0.7]),))
    torch.testing.assert_close(y, torch.tensor([[[0.9, 2.1]]]))


def test_vectors_have_statistics_of_each_component():
    train = TinyData(BOX)
    operator = Config().build(BOX).fit(train)
    expected = train.targets[:, 0].double().mean((0, 2, 3, 4)).float()
    torch.testing.assert_close(operator.target_mean, expected)
    assert operator.input_mean.shape == (2,)


@pytest.mark.parametrize("grow", [0, 1, 5])
def test_coordinates_of_another_resolution(grow):
    """The points of a finer input lie where the schema puts them; graded axes are stretched."""
    operator = Config().build(BOX)
    shape = tuple(n + grow for n in BOX.input_domain.shape)
    places = operator.double().input_coordinates(torch.zeros(1, 2, *shape).double())
    expected = operator.on(BOX.input_domain.resized(shape))
    for x, y in zip(places, expected, strict=True):
        torch.testing.assert_close(x, y)


def test_sampling_a_linear_field_is_exact_on_axes_and_points():
    operator = Config(normalise=False).build(DARCY).double()
    y, x = operator.input_coordinates(torch.zeros(1, 1, 12, 16).double())
    field = (2 * y[:, None] - 3 * x + 1)[None, None]
    at = (torch.linspace(0, 1.5, 7).double(), torch.linspace(0, 1, 5).double())
    expected = 2 * at[0][:, None] - 3 * at[1] + 1
    torch.testing.assert_close(operator.sample_input(field, at)[0, 0], expected)
    points = torch.cartesian_prod(*at)
    torch.testing.assert_close(operator.sample_input(field, points)[0, 0], expected.flatten())


def error(n: int) -> float:
    """Of interpolating sin to the middles of n periodic intervals."""
    schema = STEPPING.moved(*[STEPPING.input_domain.resized((n,))] * 2)
    operator = Config().build(schema).double()
    (x,) = operator.input_coordinates(torch.zeros(1, 1, n).double())
    at = x + 1.0 / n
    v = operator.sample_input(torch.sin(torch.pi * x)[None, None], (at,))
    return float((v - torch.sin(torch.pi * at)).abs().max())


def test_sampling_is_second_order_around_the_end():
    assert error(16) / error(32) == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    ("a", "params", "text"),
    [
        (torch.zeros(2, 3, 16), torch.zeros(2, 2), r"\(B, 2, and 1 grid sizes\).*\(2, 3, 16\)"),
        (torch.zeros(2, 2, 16, 16), torch.zeros(2, 2), r"got \(2, 2, 16, 16\)"),
        (torch.zeros(2, 2, 16).int(), torch.zeros(2, 2), r"floating point.*a\.float\(\)"),
        (torch.zeros(2, 2, 16), None, r"params \(B, 2\) = \['nu', 'speed'\], got none"),
        (torch.zeros(2, 2, 16), torch.zeros(2, 1), r"params \(B, 2\), got \(2, 1\)"),
    ],
)
def test_wrong_tensors(a, params, text):
    with pytest.raises(ShapeError, match=text):
        Config().build(STEPPING)(a, params)


def test_points_cannot_be_interpolated_from():
    operator = Config().build(SCHEMAS["points_2d"])
    with pytest.raises(ShapeError, match="scattered points.*leave `at` out"):
        operator(torch.zeros(1, 2, 20), at=torch.zeros(3, 2))


def test_data_of_another_task_are_refused():
    operator = Config().build(DARCY)
    with pytest.raises(SchemaError, match=r"inputs: the operator was built for .*'a'"):
        operator.fit(TinyData(STEPPING))
    wide = Grid((Axis.uniform("y", 12, 0.0, 1.5), Axis.uniform("x", 16, 0.0, 9.0)))
    other = Schema((Variable("a", wide, "input"), Variable("u", wide, "target")))
    with pytest.raises(SchemaError, match=r"axis 'x' of the operator covers \[0, 1\].*\[0, 9\]"):
        operator.check(other)
    turned = Grid((Axis.uniform("x", 16), Axis.uniform("y", 12, 0.0, 1.5)))
    other = Schema((Variable("a", turned, "input"), Variable("u", turned, "target")))
    with pytest.raises(SchemaError, match=r"expects axes \('y', 'x'\), got \('x', 'y'\)"):
        operator.check(other)


def test_increment_needs_feedback():
    with pytest.raises(SchemaError, match=r"'u' is fed back into none; use predict: value"):
        Config(predict="increment").build(DARCY)


def test_a_misspelt_name_or_setting_is_answered_with_the_nearest():
    assert resolve.find("operators", "mean")().kind == "mean"
    with pytest.raises(NotFound, match="Did you mean 'unet'"):
        resolve.find("operators", "unett")
    with pytest.raises(ConfigError, match=r"unknown setting 'widht'.*Did you mean 'width'"):
        validate(resolve.find("operators", "unet"), {"widht": 3})


def test_the_contracts_are_those_that_are_checked():
    from contracts.operator_checks import CHECKS

    from sciops.core.operator import CONTRACTS

    assert list(CHECKS) == list(CONTRACTS)


def test_params_belong_to_their_samples():
    operator = Config().build(STEPPING)
    a = torch.randn(4, STEPPING.input_channels, *STEPPING.input_domain.shape)
    for n in (1, 3):
        with pytest.raises(ShapeError, match="params for each of 4 samples"):
            operator(a, torch.randn(n, len(STEPPING.params)))


def test_periodic_by_its_boundary_is_periodic_between_the_last_point_and_the_first():
    axis = Axis.uniform("x", 8, spacing="left")
    boundary = tuple(Boundary("x", side, "periodic") for side in ("lower", "upper"))
    grid = Grid((axis,))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), boundary)
    operator = Config(normalise=False).build(schema)
    a = torch.randn(1, 1, 8)
    at = [torch.tensor([0.0, 0.9375, 1.0])]
    expected = torch.stack([a[0, 0, 0], (a[0, 0, 7] + a[0, 0, 0]) / 2, a[0, 0, 0]])
    torch.testing.assert_close(operator(a, None, at)[0, 0], expected)
