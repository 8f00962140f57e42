"""Baselines: mean, persistence and least squares are what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciops.core.errors import SchemaError
from sciops.data.arrays import from_arrays
from sciops.data.windows import Windows
from sciops.operators import least_squares, mean, persistence

RNG = np.random.default_rng(0)
AXES = {"x": (0.0, 1.0), "y": (0.0, 2.0)}


def static(a, u, params=None):
    return Windows(
        from_arrays(AXES, inputs={"a": a}, targets={"u": u}, params=params), dtype=torch.float64
    )


def inputs(windows):
    return torch.stack([windows[i]["inputs"] for i in range(len(windows))])


def test_mean_is_the_mean():
    a, u = RNG.normal(size=(2, 7, 5, 4))
    windows = static(a, u)
    operator = mean.Config().build(windows.schema).double().fit(windows)
    found = operator(torch.randn(3, 1, 5, 4, dtype=torch.float64))
    expected = torch.tensor(u.mean(0)).expand(3, 1, 5, 4)
    torch.testing.assert_close(found, expected)


def test_persistence_is_the_newest_frame():
    u = RNG.normal(size=(3, 6, 5, 4))
    from sciops.data.windows import Window

    layout = from_arrays(AXES, states={"u": u}, times=np.arange(6.0))
    windows = Windows(layout, window=Window(history=2), dtype=torch.float64)
    operator = persistence.Config().build(windows.schema).double().fit(windows)
    sample = windows[3]
    torch.testing.assert_close(operator(sample["inputs"][None])[0, 0], sample["inputs"][1])
    with pytest.raises(SchemaError, match="fed back"):
        persistence.Config().build(static(u[:, 0], u[:, 1]).schema)


def test_least_squares_finds_a_linear_map():
    a = RNG.normal(size=(60, 5, 4))
    matrix = RNG.normal(size=(20, 20))
    u = (a.reshape(60, 20) @ matrix + 3.0).reshape(60, 5, 4)
    windows = static(a, u)
    config = least_squares.Config(components=20, ridge=0.0)
    operator = config.build(windows.schema).double().fit(windows)
    fresh = RNG.normal(size=(4, 5, 4))
    expected = (fresh.reshape(4, 20) @ matrix + 3.0).reshape(4, 1, 5, 4)
    found = operator(torch.tensor(fresh)[:, None])
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-6, atol=1e-6)


def test_least_squares_is_optimal_among_linear_maps_of_its_components():
    """The residual is orthogonal to the features, so no change of the map lowers the error."""
    a, u = RNG.normal(size=(2, 50, 5, 4))
    windows = static(a, u)
    config = least_squares.Config(components=6, ridge=0.0)
    operator = config.build(windows.schema).double().fit(windows)
    residual = torch.tensor(u).reshape(50, -1) - operator(inputs(windows)).reshape(50, -1)
    fitted = operator(inputs(windows)).reshape(50, -1)
    centred = fitted - fitted.mean(0)
    assert (residual.T @ centred).abs().max() < 1e-8 * centred.norm() * residual.norm()
    torch.testing.assert_close(
        residual.mean(0), torch.zeros(20, dtype=torch.float64), atol=1e-10, rtol=0
    )


def test_least_squares_uses_parameters():
    a, nu = RNG.normal(size=(40, 5, 4)), RNG.normal(size=40)
    u = a + 7.0 * nu[:, None, None]
    windows = static(a, u, {"nu": nu})
    config = least_squares.Config(components=20, ridge=0.0)
    operator = config.build(windows.schema).double().fit(windows)
    x = torch.tensor(a[:2])[:, None]
    p = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    expected = x + 7.0 * p.reshape(2, 1, 1, 1)
    torch.testing.assert_close(operator(x, p), expected, rtol=1e-6, atol=1e-6)


def test_ridge_by_cross_validation_beats_none_on_noise():
    """With more features than the samples can bear, the chosen ridge generalises better."""
    a = RNG.normal(size=(60, 5, 4))
    u = a[:, ::-1] + 2.0 * RNG.normal(size=(60, 5, 4))
    fresh = RNG.normal(size=(200, 5, 4))
    windows = static(a[:30], u[:30])

    def error(ridge):
        config = least_squares.Config(components=20, ridge=ridge)
        operator = config.build(windows.schema).double().fit(windows)
        truth = torch.tensor(fresh[:, ::-1].copy())[:, None]
        return float((operator(torch.tensor(fresh)[:, None]) - truth).norm())

    assert error("gcv") < error(0.0)


@pytest.mark.parametrize("module", [mean, least_squares])
def test_baselines_give_the_same_on_a_finer_grid(module):
    """On smooth fields a finer input changes the answer by the interpolation error only."""
    x, y = (np.arange(16) + 0.5) / 16, (np.arange(12) + 0.5) / 6
    k = RNG.normal(size=(30, 2))

    def fields(x, y):
        wave = np.sin(np.pi * x)[:, None] * np.cos(np.pi * y / 2)[None]
        slope = x[:, None] + 0 * y[None]
        return k[:, :1, None] * wave + k[:, 1:, None] * slope

    a = fields(x, y)
    windows = static(a, 2 * a)
    operator = module.Config().build(windows.schema).double().fit(windows)
    fine = fields((np.arange(32) + 0.5) / 32, (np.arange(24) + 0.5) / 12)
    coarse = operator(torch.tensor(a[:1])[:, None])
    found = operator(torch.tensor(fine[:1])[:, None])
    assert found.shape == (1, 1, 32, 24)
    pooled = torch.nn.functional.avg_pool2d(found, 2)
    assert (pooled - coarse).norm() < 0.02 * coarse.norm()
