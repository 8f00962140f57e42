"""Objectives: the values of the metrics, derivatives that are finite, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sciops import metrics
from sciops.core.errors import NotFound, SchemaError
from sciops.core.operator import Operator, OperatorConfig, rollout
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.training import objectives

RELATIVE = ("relative_l2", "relative_h1", "relative_h1_spectral")
H1 = RELATIVE[1:]
GRID = Grid((Axis.uniform("y", 6, 0.0, 2.0, "periodic"), Axis.uniform("x", 5)))
GRADED = Grid((Axis("x", np.linspace(0, 1, 7) ** 2, 0.0, 1.0),))


class Config(OperatorConfig):
    def build(self, schema):
        return Turned(self, schema)


class Turned(Operator):
    """u <- w u, a matrix over the channels."""

    def __init__(self, config, schema):
        super().__init__(config, schema)
        generator = torch.Generator().manual_seed(1)
        n = schema.input_channels
        self.w = nn.Parameter(torch.eye(n) + 0.3 * torch.randn(n, n, generator=generator))

    def evaluate(self, a, params, at):
        return torch.einsum("ij,bj...->bi...", self.w, a)


def operator_on(domain=GRID):
    """A vector that is fed back."""
    variables = (
        Variable("v", domain, role, (2,), time_varying=True) for role in ("input", "target")
    )
    return Config(normalise=False).build(Schema(tuple(variables), feedback=(("v", "v"),)))


def batch_on(domain=GRID, frames=1, size=4):
    generator = torch.Generator().manual_seed(0)
    return {
        "inputs": torch.randn(size, 2, *domain.shape, generator=generator),
        "targets": torch.randn(size, frames, 2, *domain.shape, generator=generator),
        "params": torch.zeros(size, 0),
        "mask": torch.ones(size, frames, 1, *[1] * len(domain.shape), dtype=torch.bool),
    }


def loss_of(name, model, batch):
    loss, _ = objectives.find(name)(model, batch, torch.Generator())
    return loss


@pytest.mark.parametrize("name", RELATIVE)
@pytest.mark.parametrize("frames", [1, 3])
def test_the_mean_of_the_metric(name, frames):
    """With one variable an objective is the mean of the metric over samples and frames."""
    model, batch = operator_on(), batch_on(frames=frames)
    predicted = rollout(model, batch, frames, model.schema).flatten(0, 1)
    metric = metrics.find(name)(predicted, batch["targets"].flatten(0, 1), model.schema)
    loss = loss_of(name, model, batch)
    assert loss.shape == () and loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), metric.mean(), rtol=1e-5, atol=0)


def test_the_squares_of_all_channels_are_summed():
    """Two variables: the norm is over both, not the mean of two ratios."""
    domain = GRADED
    variables = [Variable(n, domain, r) for r in ("input", "target") for n in "uv"]
    model = Config(normalise=False).build(Schema(tuple(variables)))
    loss = loss_of("relative_h1", model, batch_on(domain))
    torch.testing.assert_close(loss, loss_of("relative_h1", operator_on(domain), batch_on(domain)))


@pytest.mark.parametrize("name", H1)
@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_the_unit_of_the_variable_does_not_matter(name, factor):
    """Also where the squares of the numbers would leave float32."""
    model, batch = operator_on(), batch_on()
    expected = loss_of(name, model, batch)
    model.target_scale.fill_(factor), model.input_scale.fill_(factor)
    scaled = batch | {k: factor * batch[k] for k in ("inputs", "targets")}
    torch.testing.assert_close(loss_of(name, model, scaled), expected)


@pytest.mark.parametrize("name", [*RELATIVE, "mse"])
def test_gradients(name):
    """By central differences in float64, through a rollout of two frames."""
    model = operator_on().double()
    batch = {k: t.double() if t.is_floating_point() else t for k, t in batch_on(frames=2).items()}

    def loss(w):
        return torch.func.functional_call(Loss(name, model), {"model.w": w}, (batch,))

    assert torch.autograd.gradcheck(loss, model.w.detach().requires_grad_())


class Loss(nn.Module):
    """An objective as a module, so that the parameters of the model can be replaced."""

    def __init__(self, name, model):
        super().__init__()
        self.name, self.model = name, model

    def forward(self, batch):
        return loss_of(self.name, self.model, batch)


@pytest.mark.parametrize("name", RELATIVE)
def test_an_exact_prediction_and_a_zero_truth_have_finite_gradients(name):
    model, batch = operator_on(), batch_on()
    with torch.no_grad():
        model.w.copy_(torch.eye(2))
    batch["targets"] = batch["inputs"][:, None].clone()
    loss = loss_of(name, model, batch)
    loss.backward()
    assert loss.item() == 0.0 and (model.w.grad == 0).all()
    batch["targets"][0] = 0.0
    batch["inputs"][0] = 0.0
    loss = loss_of(name, model, batch)
    loss.backward()
    assert loss.item() == 0.0 and model.w.grad.isfinite().all()


@pytest.mark.parametrize("name", H1)
def test_autocast_leaves_the_norm_in_full_precision(name):
    """The operator runs in bf16; its output is then compared as in float32."""
    model, batch = operator_on(), batch_on()
    with torch.autocast("cpu", torch.bfloat16):
        predicted = rollout(model, batch, 1, model.schema)[:, 0]
        loss = loss_of(name, model, batch)
    metric = metrics.find(name)(predicted, batch["targets"][:, 0], model.schema)
    torch.testing.assert_close(loss.double(), metric.mean(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", H1)
def test_a_nan_shows(name):
    batch = batch_on()
    batch["inputs"][1, 0, 2, 3] = torch.nan
    assert loss_of(name, operator_on(), batch).isnan()


@pytest.mark.parametrize("name", H1)
def test_holes_and_points_are_refused(name):
    batch = batch_on()
    batch["mask"] = torch.ones(4, 1, 1, *GRID.shape, dtype=torch.bool)
    batch["mask"][2, 0, 0, 1, 1] = False
    with pytest.raises(SchemaError, match="mask.*relative_l2"):
        loss_of(name, operator_on(), batch)
    points = Points(np.random.default_rng(0).random((8, 2)))
    with pytest.raises(SchemaError, match="interpolate"):
        loss_of(name, operator_on(points), batch_on(points))


def test_the_truncated_norm_refuses_graded_axes():
    assert loss_of("relative_h1", operator_on(GRADED), batch_on(GRADED)).isfinite()
    with pytest.raises(SchemaError, match="graded"):
        loss_of("relative_h1_spectral", operator_on(GRADED), batch_on(GRADED))


@pytest.mark.parametrize("name", RELATIVE)
def test_it_is_minimised(name):
    """Gradient descent finds the matrix that made the data."""
    model, batch = operator_on(), batch_on()
    true = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    batch["targets"] = torch.einsum("ij,bj...->bi...", true, batch["inputs"])[:, None]
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        loss = loss_of(name, model, batch)
        loss.backward()
        return loss

    optimizer.step(step)
    torch.testing.assert_close(model.w.detach(), true, rtol=0, atol=1e-3)


def test_names():
    for name in (*RELATIVE, "mse"):
        assert objectives.find(name) is getattr(objectives, name)
    with pytest.raises(NotFound, match="Did you mean 'relative_h1'"):
        objectives.find("relativ_h1")
    with pytest.raises(NotFound, match="cannot load"):
        objectives.find("no_such_package.module:loss")
