"""Mean and persistence: what they are by definition, where they can be read, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contracts.operator_checks import SCHEMAS, TinyData

from sciops.core.config import validate
from sciops.core.errors import ConfigError, SchemaError, ShapeError
from sciops.core.operator import rollout
from sciops.operators import mean, persistence
from sciops.operators._domains import Coordinates

STEPPING, DARCY, HISTORY = (SCHEMAS[n] for n in ("stepping_1d", "darcy_2d", "history"))


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("name", SCHEMAS)
def test_the_mean_is_the_mean_whatever_the_input(name, normalise):
    train = TinyData(SCHEMAS[name])
    operator = mean.Config(normalise=normalise).build(train.schema).fit(train)
    params = train.params if train.schema.params else None
    y = operator(train.inputs, params, operator.at_targets(train.schema))
    expected = train.targets[:, 0].mean(0).expand_as(y)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)


def test_the_mean_leaves_out_what_is_masked():
    train = TinyData(DARCY)
    train.mask[:6, ..., :3] = False
    train.mask[..., 0] = False
    train.targets[~train.mask] = torch.nan
    operator = mean.Config(normalise=False).build(DARCY).fit(train)
    y = operator(train.inputs)
    torch.testing.assert_close(y[0, ..., 3:], train.targets[:, 0, ..., 3:].mean(0))
    torch.testing.assert_close(y[0, ..., 1:3], train.targets[6:, 0, ..., 1:3].mean(0))
    assert (y[..., 0] == 0).all()


def test_the_mean_increment_is_added_to_the_newest_frame():
    train = TinyData(STEPPING)
    operator = mean.Config(predict="increment").build(STEPPING).fit(train)
    newest = train.inputs[:, 1:2]
    change = (train.targets[:, 0] - newest).mean(0)
    y = operator(train.inputs, train.params)
    torch.testing.assert_close(y, newest + change, rtol=1e-4, atol=1e-4)


def test_a_training_part_on_another_grid_is_refused():
    finer = DARCY.moved(*[DARCY.input_domain.resized((24, 32))] * 2)
    with pytest.raises(SchemaError, match=r"built for .*\(12, 16\).*has .*\(24, 32\)"):
        mean.Config().build(DARCY).fit(TinyData(finer))


def test_none_cannot_mean_the_input_s_grid_where_the_targets_have_other_axes():
    operator = mean.Config().build(HISTORY)
    with pytest.raises(ShapeError, match=r"\('x',\).*\('t', 'x'\).*at=operator\.at_targets"):
        operator(torch.zeros(1, 1, 16), torch.zeros(1, 1))
    with pytest.raises(ShapeError, match="2 axes, got 1"):
        operator(torch.zeros(1, 1, 16), torch.zeros(1, 1), (torch.zeros(3),))
    with pytest.raises(ShapeError, match=r"points \(M, 2\), got \(3, 1\)"):
        operator(torch.zeros(1, 1, 16), torch.zeros(1, 1), torch.zeros(3, 1))


def test_the_mean_on_points_is_that_of_the_nearest():
    train = TinyData(SCHEMAS["points_2d"])
    operator = mean.Config().build(train.schema).fit(train)
    places = operator.on(train.schema.target_domain)
    y = operator(train.inputs, at=places[[3, 7]] + 1e-4)
    expected = train.targets[:, 0].mean(0)[:, [3, 7]].expand_as(y)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)


def test_coordinates_are_exact_in_float64():
    x = np.random.default_rng(0).uniform(-1e3, 1e3, 50)
    places = Coordinates(x).double()(torch.zeros(1, dtype=torch.float64))
    assert np.abs(places.numpy() - x).max() < 1e-10
    assert Coordinates(x)(torch.zeros(1)).dtype == torch.float32


def test_persistence_gives_the_newest_frame_bit_by_bit():
    train = TinyData(STEPPING)
    operator = persistence.Config().build(STEPPING).fit(train)
    assert torch.equal(operator(train.inputs, train.params), train.inputs[:, 1:2])
    start = {"inputs": train.inputs, "params": train.params}
    frames = rollout(operator, start, 3, STEPPING)
    assert torch.equal(frames, train.inputs[:, None, 1:2].expand(-1, 3, -1, -1))


@pytest.mark.parametrize("name", ["darcy_2d", "box_3d", "history", "points_2d"])
def test_persistence_needs_feedback(name):
    with pytest.raises(SchemaError, match="fed back into none"):
        persistence.Config().build(SCHEMAS[name])


@pytest.mark.parametrize("setting", [{"normalise": True}, {"predict": "value"}])
def test_persistence_is_nothing_else(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        validate(persistence.Config, setting)
