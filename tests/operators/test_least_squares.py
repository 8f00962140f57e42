"""Least squares: linear maps come back exactly, residuals are orthogonal, the ridge is the best."""

from __future__ import annotations

import pytest
import torch
from contracts.operator_checks import SCHEMAS, TinyData
from torch import Tensor

from sciops.core.config import validate
from sciops.core.errors import ConfigError, ShapeError
from sciops.operators.least_squares import Config, LeastSquares, _gcv

STEPPING, DARCY = SCHEMAS["stepping_1d"], SCHEMAS["darcy_2d"]


def linear_data(schema, n: int, noise: float = 0.0) -> TinyData:
    """y = L (a, p) + c with a random L, plus noise."""
    train = TinyData(schema, n)
    generator = torch.Generator().manual_seed(9)
    features = torch.cat([train.inputs.flatten(1), train.params], 1)
    shape = train.targets[0].shape
    matrix = torch.randn(features.shape[1], shape.numel(), generator=generator)
    y = (features @ matrix / 5 + 3.0).unflatten(1, shape)
    train.targets = y + noise * torch.randn(y.shape, generator=generator)
    return train


def predict(operator: LeastSquares, data: TinyData) -> Tensor:
    """The operator on all samples of the data."""
    return operator(data.inputs, data.params if data.schema.params else None)


@pytest.mark.parametrize("ridge", ["gcv", 0.0])
@pytest.mark.parametrize("predict_what", ["value", "increment"])
def test_a_linear_map_comes_back(ridge, predict_what):
    train, test = linear_data(STEPPING, 60), TinyData(STEPPING, 5, seed=4)
    operator = Config(ridge=ridge, predict=predict_what).build(STEPPING).fit(train)
    torch.testing.assert_close(predict(operator, train), train.targets[:, 0], rtol=0, atol=2e-3)
    # The map, not only its values: it is linear on inputs that it has not seen.
    p, zero = torch.zeros(5, 2), torch.zeros(5, 2, 16)
    twice = operator(2 * test.inputs, p) - operator(zero, p)
    torch.testing.assert_close(twice, 2 * (operator(test.inputs, p) - operator(zero, p)),
                               rtol=0, atol=2e-3)  # fmt: skip


def test_parameters_need_no_normalisation():
    train = linear_data(STEPPING, 60)
    train.params = train.params + 100.0
    operator = Config(normalise=False).build(STEPPING).fit(train)
    torch.testing.assert_close(predict(operator, train), train.targets[:, 0], rtol=0, atol=2e-2)


@pytest.mark.parametrize("ridge", [1e-3, 0.1, 3.0])
def test_the_score_is_that_of_the_hat_matrix(ridge):
    """GCV = n |(I - H) v|^2 / tr(I - H)^2 with the constant among what H fits."""
    generator = torch.Generator().manual_seed(0)
    h, v = (torch.randn(15, m, generator=generator).double() for m in (4, 3))
    h, v = h - h.mean(0), v - v.mean(0)
    hat = h @ torch.linalg.inv(h.T @ h + ridge * torch.eye(4)) @ h.T + 1.0 / 15
    residual = v - hat @ v
    expected = 15 * residual.square().sum() / (15 - hat.trace()) ** 2
    values, vectors = torch.linalg.eigh(h.T @ h)
    energy = (vectors.T @ (h.T @ v)).square().sum(1)
    score = _gcv(values, energy, v.square().sum(), 15, torch.tensor(ridge))
    torch.testing.assert_close(score, expected)


def test_residuals_are_orthogonal_to_the_components_and_the_constant():
    """Optimality of least squares: sum_i h_i (v_i - W^T h_i) = 0 with h = 1 and h = V^T x."""
    train = linear_data(DARCY, 100, noise=1.0)
    operator = Config(ridge=0.0, components=20).build(DARCY).fit(train).double()
    residual = (train.targets[:, 0].double() - operator(train.inputs.double())).flatten(1)
    x = (train.inputs.double() - operator.input_mean) / operator.input_scale
    h = (x.flatten(1) - operator.centre) @ operator.basis
    for feature in (torch.ones(100, 1).double(), h):
        product = (feature.T @ residual).abs().max()
        assert product <= 1e-4 * feature.norm() * residual.norm(), product


def test_the_basis_is_that_of_the_singular_value_decomposition():
    train = TinyData(DARCY, 80)
    train.inputs = train.inputs * torch.linspace(4, 0.1, 192).reshape(12, 16)  # a decaying spectrum
    operator = Config(components=5, passes=12).build(DARCY).fit(train)
    x = ((train.inputs - operator.input_mean) / operator.input_scale).flatten(1).double()
    right = torch.linalg.svd(x - x.mean(0), full_matrices=False).Vh[:5]
    cosines = torch.linalg.svdvals(right @ operator.basis.double())
    assert cosines.min() > 0.99


def test_fewer_samples_than_components():
    train = TinyData(DARCY, 8)
    operator = Config().build(DARCY).fit(train)
    y = predict(operator, train)
    assert torch.isfinite(y).all() and operator.weights.shape == (64, 192)


def test_cross_validation_beats_no_ridge_where_noise_is_fitted():
    train, test = linear_data(DARCY, 90, noise=30.0), linear_data(DARCY, 2000)
    test.inputs = TinyData(DARCY, 2000, seed=3).inputs
    truth = linear_data(DARCY, 2000)  # the same map
    errors = {}
    for ridge in ("gcv", 0.0):
        operator = Config(ridge=ridge).build(DARCY).fit(train)
        errors[ridge] = (predict(operator, truth) - truth.targets[:, 0]).square().mean()
    assert errors["gcv"] < 0.8 * errors[0.0]


def test_blocks_do_not_matter(monkeypatch):
    train = linear_data(STEPPING, 40, noise=0.1)
    whole = predict(Config().build(STEPPING).fit(train), train)
    monkeypatch.setattr("sciops.operators._fitting.BATCH", 7)
    torch.testing.assert_close(predict(Config().build(STEPPING).fit(train), train), whole,
                               rtol=1e-4, atol=1e-4)  # fmt: skip


def test_a_finer_input_is_interpolated_to_the_training_grid():
    train = linear_data(DARCY, 40)
    operator = Config().build(DARCY).fit(train)
    y, x = (operator.on(DARCY.input_domain.resized((48, 64)))[d] for d in (0, 1))
    fine = (y[:, None] - 2 * x)[None, None]
    y, x = operator.on(DARCY.input_domain)
    coarse = (y[:, None] - 2 * x)[None, None]
    at = operator.on(DARCY.input_domain)
    torch.testing.assert_close(operator(fine, at=at), operator(coarse), rtol=1e-3, atol=1e-3)


def test_points_must_be_those_of_the_training():
    operator = Config().build(SCHEMAS["points_2d"])
    with pytest.raises(ShapeError, match="20 training points, got 7"):
        operator(torch.zeros(1, 2, 7))


@pytest.mark.parametrize("ridge", [-1.0, "best"])
def test_wrong_ridges(ridge):
    with pytest.raises(ConfigError, match="ridge"):
        validate(Config, {"ridge": ridge})
