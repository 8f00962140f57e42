"""Moments merge exactly, without cancellation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciops.core.errors import SchemaError
from sciops.core.statistics import Moments, Statistics


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.floats(-1e3, 1e3))
def test_blocks_of_any_size_give_the_whole(sizes, offset):
    rng = np.random.default_rng(len(sizes))
    values = rng.normal(size=(sum(sizes), 3)) + offset
    moments = Moments(3)
    for block in np.split(values, np.cumsum(sizes)[:-1]):
        moments.update(block)
    found = moments.result()
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.std, values.std(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.rms, np.sqrt((values**2).mean(0)), rtol=1e-12)
    np.testing.assert_array_equal(found.min, values.min(0))
    assert found.count == len(values)


def test_a_large_mean_does_not_cancel():
    moments = Moments(1)
    for k in range(100):
        moments.update(1e9 + np.array([[0.0], [1.0]]) + 0 * k)
    assert moments.result().std[0] == pytest.approx(0.5, rel=1e-9)


def test_json_without_loss():
    moments = Moments(2)
    moments.update(np.random.default_rng(0).normal(size=(5, 2)))
    found = moments.result()
    again = Statistics.from_json(json.loads(json.dumps(found.to_json())))
    np.testing.assert_array_equal(again.std, found.std)
    assert again.count == 5


def test_a_constant_component_is_not_divided_by():
    moments = Moments(2)
    moments.update([[0.1 + 0.2, 1.0], [0.3, 2.0]])
    np.testing.assert_array_equal(moments.result().scale, [1.0, 0.5])


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 5))])
def test_wrong_shapes(bad):
    with pytest.raises(SchemaError, match="expected values"):
        Moments(3).update(bad)


def test_statistics_of_nothing():
    with pytest.raises(SchemaError, match="empty"):
        Moments(1).result()
