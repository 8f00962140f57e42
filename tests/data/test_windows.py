"""Windows: exactly the frames that the formula says; statistics; workers; what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciops.core.errors import DataError, NotFound, SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.data.arrays import from_arrays
from sciops.data.layout import Layout, Part, Stored
from sciops.data.windows import Window, Windows, task_schema
from sciops.data.xarray_backend import as_dataset

N, T, X = 3, 11, 4


def moving():
    """u[n, t, x] = 100 n + t: the value says where it came from."""
    u = 100.0 * np.arange(N)[:, None, None] + np.arange(T)[None, :, None] + np.zeros((N, T, X))
    return from_arrays(
        {"x": (0, 1)},
        states={"u": u, "v": -u},
        times=0.5 * np.arange(T),
        params={"nu": np.arange(N)},
    )


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
def test_frames_are_those_of_the_formula(history, horizon, stride, every):
    window = Window(history=history, horizon=horizon, stride=stride, every=every)
    windows = Windows(moving(), window=window)
    span = (history + horizon - 1) * stride + 1
    assert len(windows) == N * len(range(0, T - span + 1, every))
    for i in range(len(windows)):
        s = windows[i]
        n, k = (int(j) for j in s["id"])
        past = 100 * n + k + stride * np.arange(history)
        future = 100 * n + k + stride * np.arange(history, history + horizon)
        np.testing.assert_array_equal(s["inputs"][:, 0], np.concatenate([past, -past]))
        np.testing.assert_array_equal(s["targets"][:, 0, 0], future)
        np.testing.assert_array_equal(s["targets"][:, 1, 0], -future)
        np.testing.assert_array_equal(s["time"], 0.5 * (k + stride * np.arange(history + horizon)))
        assert s["params"].tolist() == [n]
        assert s["mask"].shape == (horizon, 1, 1)


def test_statistics_are_those_of_the_named_trajectories():
    windows = Windows(moving(), [0, 2], Window(stride=2))
    found = windows.statistics()
    u = np.concatenate([np.arange(T), 200 + np.arange(T)])
    assert found["u"].mean[0] == pytest.approx(u.mean())
    assert found["u"].std[0] == pytest.approx(u.std())
    assert found["u.increment"].mean[0] == pytest.approx(2.0)
    assert found["u.increment"].std[0] == pytest.approx(0.0)
    assert found["nu"].mean[0] == pytest.approx(1.0)


def test_statistics_do_not_depend_on_the_block(monkeypatch):
    from sciops.data import normalise

    rng = np.random.default_rng(0)
    layout = from_arrays({"x": (0, 1)}, states={"u": rng.normal(size=(2, T, X))})
    whole = Windows(layout, window=Window(stride=2)).statistics()
    monkeypatch.setattr(normalise, "BLOCK", 2 * X)
    parts = Windows(layout, window=Window(stride=2)).statistics()
    for key in whole:
        assert parts[key].count == whole[key].count
        np.testing.assert_allclose(parts[key].std, whole[key].std, rtol=1e-12)


def test_chosen_variables():
    schema = task_schema(moving().schema, Window(inputs=("v", "u"), targets=("u",)))
    assert [v.name for v in schema.inputs] == ["v", "u"]
    assert [v.name for v in schema.targets] == ["u"]
    assert schema.feedback == (("u", "u"),)


@pytest.mark.parametrize(
    ("window", "error", "text"),
    [
        (Window(inputs=("w",)), NotFound, "no variable 'w'"),
        (Window(targets=("nu",)), SchemaError, "parameters"),
        (Window(history=20), SchemaError, "spans 21 frames, the longest trajectory has 11"),
    ],
)
def test_what_is_refused(window, error, text):
    with pytest.raises(error, match=text):
        Windows(moving(), window=window)


def test_nan_is_found_and_placed():
    u = np.zeros((N, T, X))
    u[1, 3, 2] = np.nan
    windows = Windows(from_arrays({"x": (0, 1)}, states={"u": u}))
    with pytest.raises(DataError, match=r"'u' holds 1 NaN .* sample 1, the first at \(3, 2\)"):
        windows.statistics()
    with pytest.raises(DataError, match="NaN"):
        windows.check_finite()
    Windows(from_arrays({"x": (0, 1)}, states={"u": u}), [0, 2]).check_finite()


def test_pickles_without_files():
    windows = pickle.loads(pickle.dumps(Windows(moving())))
    torch.testing.assert_close(windows[5]["inputs"], Windows(moving())[5]["inputs"])


def test_inputs_and_targets_on_different_grids():
    a, u = Grid((Axis.uniform("x", 4),)), Grid((Axis.uniform("t", 3), Axis.uniform("x", 5)))
    schema = Schema((Variable("a", a, "input"), Variable("u", u, "target")))
    arrays = {"a": np.random.default_rng(0).normal(size=(2, 4)), "u": np.ones((2, 3, 5))}
    layout = memory(schema, arrays)
    sample = Windows(layout)[0]
    assert sample["inputs"].shape == (1, 4)
    assert sample["targets"].shape == (1, 1, 3, 5)
    assert as_dataset(layout)["a"].dims == ("sample", "x_a")


def test_nodes_without_a_grid():
    points = Points(np.random.default_rng(0).uniform(size=(7, 2)))
    schema = Schema((Variable("p", points, "state", time_varying=True),))
    layout = memory(schema, {"p": np.zeros((2, 5, 7))}, frames=5)
    assert Windows(layout)[0]["inputs"].shape == (1, 7)
    dataset = as_dataset(layout)
    assert dataset["p"].dims == ("sample", "time", "node")
    assert dataset["x_node"].shape == (7,)


def test_ragged_trajectories_keep_their_lengths():
    u = np.arange(2 * T * X, dtype=float).reshape(2, T, X)
    grid = Grid((Axis.uniform("x", X),))
    schema = Schema((Variable("u", grid, time_varying=True),))
    stored = Stored("", "memory", "u", ("sample", "time", "x"), u.shape, "<f8", array=u)
    times = np.stack([np.arange(T), 2.0 * np.arange(T)])
    part = Part("p", 2, np.array([4, T]), {"u": (stored,)}, times)
    layout = Layout(schema, (part,), "test", "")
    windows = Windows(layout)
    assert len(windows) == 3 + T - 1
    dataset = as_dataset(layout)
    assert dataset["length"].values.tolist() == [4, T]
    assert np.isnan(dataset["u"].values[0, 4:]).all()
    np.testing.assert_array_equal(dataset["u"].values[1], u[1])
    np.testing.assert_array_equal(
        dataset["u"].isel(sample=0, time=slice(2, 6)).values[:2], u[0, 2:4]
    )
    assert np.isnan(dataset["u"].isel(sample=0, time=6).values).all()


def memory(schema, arrays, frames=1):
    n = len(next(iter(arrays.values())))
    stored = {}
    for name, a in arrays.items():
        v = schema[name]
        time = ("time",) if v.time_varying else ()
        stored[name] = (
            Stored(
                "",
                "memory",
                name,
                ("sample", *time, *v.domain.names),
                a.shape,
                a.dtype.str,
                array=a,
            ),
        )
    return Layout(schema, (Part("m", n, np.full(n, frames), stored),), "test", "")


@pytest.mark.parametrize(
    ("axes", "shape", "text"),
    [
        (("sample", "time"), (2, 5), "do not fit"),
        (("sample", "x"), (2, 3), "sizes differ"),
        (("sample", "x", ""), (2, 4, 2), "length 1"),
        (("x", "x"), (4, 4), "do not fit"),
    ],
)
def test_a_layout_that_contradicts_its_schema_is_refused(axes, shape, text):
    schema = Schema((Variable("a", Grid((Axis.uniform("x", 4),)), "input"),))
    stored = Stored("f", "memory", "a", axes, shape, "<f8", array=np.zeros(shape))
    with pytest.raises(SchemaError, match=text):
        Layout(schema, (Part("p", 2, np.ones(2, dtype=int), {"a": (stored,)}),), "t", "")


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"inputs": {"a": np.zeros((3, 4))}, "targets": {"u": np.zeros((2, 4))}}, "expected"),
        ({"inputs": {"a": np.zeros((3, 4))}, "targets": {"u": np.zeros((3, 5))}}, "expected"),
        ({}, "no arrays"),
        ({"inputs": {"a": np.zeros(3)}}, "1 axes"),
    ],
)
def test_arrays_that_do_not_fit(arrays, text):
    with pytest.raises(SchemaError, match=text):
        from_arrays({"x": (0, 1)}, **arrays)


def test_a_sample_is_found_among_parts_of_any_size():
    schema = Schema((Variable("a", Grid((Axis.uniform("x", 2),)), "input"),))
    parts, value = [], 0
    for n in (1, 3, 1, 5):
        a = value + np.arange(n)[:, None] + np.zeros((n, 2))
        stored = Stored("", "memory", "a", ("sample", "x"), a.shape, a.dtype.str, array=a)
        parts.append(Part(f"p{n}", n, np.ones(n, dtype=int), {"a": (stored,)}))
        value += n
    layout = Layout(schema, tuple(parts), "test", "")
    from sciops.data.reader import read

    assert [int(read(layout, "a", s)[0]) for s in range(10)] == list(range(10))
    for outside in (-1, 10):
        with pytest.raises(IndexError):
            layout.locate(outside)
