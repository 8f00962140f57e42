"""Rollouts feed the newest frame back, and nothing else."""

from __future__ import annotations

import pytest
import torch

from sciops.core.errors import SchemaError, ShapeError
from sciops.core.operator import Operator, OperatorConfig, rollout
from sciops.core.schema import Axis, Grid, Schema, Variable

GRID = Grid((Axis.uniform("x", 4),))


class Config(OperatorConfig):
    def build(self, schema):
        return Counter(self, schema)


class Counter(Operator):
    """u <- u_oldest + 10 u_newest + forcing, and v <- -v."""

    def evaluate(self, a, params, at):
        return torch.stack([a[:, 0] + 10 * a[:, 1] + a[:, 3], -a[:, 2]], dim=1)


def schema(feedback=(("u", "u"), ("v", "v"))):
    return Schema(
        (
            Variable("u", GRID, "input", frames=2, time_varying=True),
            Variable("v", GRID, "input", time_varying=True),
            Variable("f", GRID, "forcing"),
            Variable("u", GRID, "target", time_varying=True),
            Variable("v", GRID, "target", time_varying=True),
        ),
        feedback=feedback,
    )


def start():
    a = torch.tensor([1.0, 2.0, 5.0, 0.5]).reshape(1, 4, 1).expand(3, 4, 4)
    return {"inputs": a, "params": torch.zeros(3, 0)}


def test_frames_shift_and_forcing_stays():
    operator = Config(normalise=False).build(schema())
    batch = start()
    before = batch["inputs"].clone()
    found = rollout(operator, batch, 3, schema())[0, :, :, 0]
    u = [1.0, 2.0]
    for _ in range(3):
        u.append(u[-2] + 10 * u[-1] + 0.5)
    assert found[:, 0].tolist() == u[2:]
    assert found[:, 1].tolist() == [-5.0, 5.0, -5.0]
    torch.testing.assert_close(batch["inputs"], before)


def test_increments_add_the_newest_frame():
    operator = Config(normalise=False, predict="increment").build(schema())
    y = operator(start()["inputs"])
    assert y[0, :, 0].tolist() == [2.0 + 21.5, 5.0 - 5.0]


def test_a_rollout_without_feedback_is_refused():
    with pytest.raises(SchemaError, match="needs a schema with feedback"):
        rollout(Config().build(schema()), start(), 2, schema(()))
    with pytest.raises(SchemaError, match="fed back"):
        Config(predict="increment").build(schema(()))


def test_gradients_go_through_all_steps():
    operator = Config(normalise=False).build(schema())
    batch = start()
    batch["inputs"] = batch["inputs"].clone().requires_grad_()
    rollout(operator, batch, 3, schema())[:, -1].sum().backward()
    assert (batch["inputs"].grad[:, :2] != 0).all()


@pytest.mark.parametrize(
    ("a", "params", "text"),
    [
        (torch.zeros(1, 3, 4), None, r"expected an input \(B, 4"),
        (torch.zeros(1, 4, 4, 4), None, "1 grid sizes"),
        (torch.zeros(1, 4, 4, dtype=torch.int64), None, "floating point"),
        (torch.zeros(1, 4, 4), torch.zeros(1, 2), r"expected params \(B, 0\)"),
    ],
)
def test_shapes_are_checked_where_users_call(a, params, text):
    with pytest.raises(ShapeError, match=text):
        Config().build(schema())(a, params)
