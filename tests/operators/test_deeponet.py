"""DeepONet: domains of different dimension, periodic features, branches, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from contracts.operator_checks import SCHEMAS, example, fitted

from sciops.core.config import validate
from sciops.core.errors import ConfigError, SchemaError, ShapeError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.operators.deeponet import Config, ConvBranch, TrunkFeatures

DARCY, HISTORY = SCHEMAS["darcy_2d"], SCHEMAS["history"]
CONV = {"branch": {"kind": "conv"}}


@pytest.mark.parametrize("branch", ["mlp", "conv"])
def test_inputs_on_x_and_targets_on_t_and_x(branch):
    """The shapes of the genuine Burgers file: (16,) -> (17, 16)."""
    x, t = Axis.uniform("x", 16, spacing="periodic"), Axis.uniform("t", 17, spacing="node")
    schema = Schema((Variable("u", Grid((x,)), "input"), Variable("u", Grid((t, x)), "target")))
    operator = validate(Config, {"branch": {"kind": branch}}).build(schema)
    y = operator(torch.randn(3, 1, 16), at=operator.at_targets(schema))
    assert y.shape == (3, 1, 17, 16)


def test_the_grid_and_its_points_give_the_same():
    operator = fitted(Config(), HISTORY)
    a, params = example(HISTORY, 3)
    axes = operator.on(HISTORY.target_domain)
    y = operator(a, params, axes)  # (3, 2, 5, 12)
    points = torch.cartesian_prod(*axes)
    torch.testing.assert_close(operator(a, params, points), y.flatten(2))


def test_each_output_has_a_bias_and_a_basis_of_its_own():
    operator = fitted(Config(), HISTORY)
    a, params = example(HISTORY, 2)
    at = operator.on(HISTORY.target_domain)
    y = operator(a, params, at)
    operator.product.bias.data[1] += 1.0
    z = operator(a, params, at)
    assert torch.equal(y[:, 0], z[:, 0]) and not torch.allclose(y[:, 1], z[:, 1])
    last = operator.branch.linears[-1]
    last.weight.data[: last.out_features // 2].zero_()  # the branch of the first output
    last.bias.data[: last.out_features // 2].zero_()
    first = operator(a, params, at)[:, 0]
    torch.testing.assert_close(first, first[..., :1, :1].expand_as(first))


def test_features_are_periodic_where_the_axis_is():
    features = TrunkFeatures(HISTORY, 3)
    t, x = torch.rand(9), torch.rand(9) * 2
    here = features(torch.stack([t, x], 1))
    torch.testing.assert_close(features(torch.stack([t, x + 2.0], 1)), here, rtol=0, atol=1e-4)
    later = features(torch.stack([t + 1.0, x], 1))
    assert not torch.allclose(later, here, atol=0.1)
    assert features.width == here.shape[1] == 1 + 2 * 3 + 2 * 3


def test_a_coordinate_reaches_from_minus_one_to_one():
    features = TrunkFeatures(DARCY, 0)
    corners = torch.tensor([[0.0, 0.0], [1.5, 1.0], [0.75, 0.5]])
    expected = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(features(corners), expected)


def test_points_of_one_place_are_no_division_by_zero():
    from sciops.core.schema import Points

    line = Points(torch.tensor([[0.0, 1.0], [2.0, 1.0]]).numpy())
    schema = Schema((Variable("a", line, "input"), Variable("u", line, "target")))
    assert torch.isfinite(Config().build(schema)(torch.randn(2, 1, 2))).all()


@pytest.mark.parametrize("settings", [{}, CONV])
def test_a_finer_input_is_interpolated_to_the_sensors(settings):
    operator = fitted(validate(Config, settings), DARCY)
    at = operator.on(DARCY.target_domain)
    coarse, fine = (
        (y[:, None] - 2 * x)[None, None]
        for y, x in (operator.on(DARCY.input_domain.resized(n)) for n in ((12, 16), (33, 47)))
    )
    torch.testing.assert_close(operator(fine, at=at), operator(coarse, at=at),
                               rtol=1e-3, atol=1e-3)  # fmt: skip


def test_params_and_inputs_both_reach_the_branch():
    operator = fitted(validate(Config, CONV), HISTORY)
    a, params = example(HISTORY, 1)
    at = operator.on(HISTORY.target_domain)
    y = operator(a, params, at)
    assert not torch.allclose(operator(a, params + 1, at), y, atol=1e-3)
    assert not torch.allclose(operator(a + 1, params, at), y, atol=1e-3)


def test_the_branch_is_a_setting_with_a_kind():
    config = validate(Config, {"branch": {"kind": "conv", "levels": 1}})
    assert config.branch == ConvBranch(levels=1)
    assert validate(Config, config.model_dump()) == config
    with pytest.raises(ConfigError, match="depth"):
        validate(Config, {"branch": {"kind": "conv", "depth": 3}})
    with pytest.raises(ConfigError, match="branch"):
        validate(Config, {"branch": {"kind": "cnn"}})


def test_convolutions_need_a_grid():
    with pytest.raises(SchemaError, match="conv.*grid.*mlp"):
        validate(Config, CONV).build(SCHEMAS["points_2d"])


def test_other_points_than_those_of_the_training():
    with pytest.raises(ShapeError, match="20 training points, got 5"):
        Config().build(SCHEMAS["points_2d"])(torch.zeros(1, 2, 5))
