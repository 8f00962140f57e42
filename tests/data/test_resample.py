"""Fewer frames, parts of the domain, other resolutions: by the properties they must have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data.in_memory import everything, flow, memory

from sciops.core.errors import NotFound, SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.data import resample
from sciops.data.axis_rules import METHODS, Average, Crop, Resolution, Spectral, Stride, faces
from sciops.data.convert import convert
from sciops.data.resample import Frames, Resampled, subsample
from sciops.data.source import open_source

GRADED = np.array([0.1, 0.2, 0.5, 0.9, 1.0, 1.6, 1.7, 1.9])
AXES = {
    "cell": Axis.uniform("x", 12, 0.5, 3.0),
    "node": Axis.uniform("x", 13, -1.0, 3.0, "node"),
    "periodic": Axis.uniform("x", 12, 0.0, 2.0, "periodic"),
    "periodic cells": Axis.uniform("x", 10, -1.0, 1.0, "cell", True),
    "interior": Axis.uniform("x", 7, 0.0, 1.0, "interior"),
    "graded": Axis("x", GRADED, 0.0, 2.0),
    "graded, periodic": Axis("x", GRADED, 0.0, 2.0, True),
}


def values(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("kind", AXES)
def test_averages_keep_the_integral(kind, n):
    axis, q = AXES[kind], values((AXES[kind].size, 3))
    rule = Average(n)
    coarse, means = rule.axis(axis), rule.values(q, 0, axis)
    np.testing.assert_allclose(coarse.widths @ means, axis.widths @ q, rtol=0, atol=1e-13)
    assert coarse.length == pytest.approx(axis.length, abs=1e-14)
    np.testing.assert_allclose(rule.values(np.ones((axis.size, 1)), 0, axis), 1.0, atol=1e-15)
    np.testing.assert_allclose(np.diff(faces(coarse)), coarse.widths, atol=1e-15)


def test_averages_of_equal_cells_are_means_of_blocks():
    for kind in ("cell", "periodic", "periodic cells"):
        axis = AXES[kind]
        q = values((4, axis.size, 2))
        rule = Average(axis.size // 2)
        got = rule.values(q, 1, axis)
        np.testing.assert_allclose(got, q.reshape(4, -1, 2, 2).mean(2), atol=1e-15)
        coarse = rule.axis(axis)
        assert coarse.spacing == "cell" and coarse.periodic == axis.periodic
        means = axis.coordinates.reshape(-1, 2).mean(1)
        np.testing.assert_allclose(coarse.coordinates, means, atol=1e-15)


def test_averages_of_averages():
    axis = AXES["cell"]
    q = values(axis.size)
    half = Average(6)
    twice = Average(3).values(half.values(q, 0, axis), 0, half.axis(axis))
    np.testing.assert_allclose(twice, Average(3).values(q, 0, axis), atol=1e-15)
    assert Average(3).axis(half.axis(axis)) == Average(3).axis(axis)


@pytest.mark.parametrize("spacing", ["periodic", "cell"])
@pytest.mark.parametrize(("size", "n"), [(16, 8), (16, 9), (15, 8), (15, 7), (8, 16), (9, 12),
                                         (8, 9), (6, 6), (7, 2), (4, 1), (5, 10)])  # fmt: skip
def test_fourier_modes_are_exact(spacing, size, n):
    axis = Axis.uniform("x", size, -1.0, 2.0, spacing, True)
    rule, x = Spectral(n), axis.coordinates
    fine = rule.axis(axis).coordinates
    assert rule.axis(axis).spacing == spacing and len(fine) == n
    m = min(n, size) // 2
    for k in range(m + 1):
        # of the mode size/2 only the cosine about the first point is known
        phase = x[0] if 2 * k == size else 0.3
        for wave in (np.cos, np.sin) if 2 * k != size else (np.cos,):
            q = wave(2 * np.pi * k * (x - phase) / axis.length)
            expected = wave(2 * np.pi * k * (fine - phase) / axis.length)
            np.testing.assert_allclose(rule.values(q, 0, axis), expected, atol=1e-13)
    q = np.exp(2j * np.pi * (x - 0.1) / axis.length) if m > 1 else np.full(size, 1 + 2j)
    expected = np.exp(2j * np.pi * (fine - 0.1) / axis.length) if m > 1 else np.full(n, 1 + 2j)
    np.testing.assert_allclose(rule.values(q, 0, axis), expected, atol=1e-13)


@pytest.mark.parametrize("n", [5, 6, 11])
def test_spectral_truncation_is_a_projection(n):
    """The mean stays, and up and down again changes nothing."""
    axis = Axis.uniform("x", 12, spacing="periodic")
    q = values((12, 2))
    rule = Spectral(n)
    once = rule.values(q, 0, axis)
    np.testing.assert_allclose(once.mean(0), q.mean(0), atol=1e-14)
    up = Spectral(24)
    back = rule.values(up.values(once, 0, rule.axis(axis)), 0, up.axis(axis))
    np.testing.assert_allclose(back, once, atol=1e-13)


@pytest.mark.parametrize(
    "rules", [{"x": Stride(3)}, {"y": Stride(2)}, {"x": Stride(2), "y": Stride(4)}]
)
def test_a_stride_picks_the_points(rules):
    source = flow()
    made = Resampled(source, rules)
    steps = [rules[a].step if a in rules else 1 for a in "xy"]
    for (name, s), q in everything(source).items():
        lead = 1 if source.schema[name].time_varying else 0
        cut = (*[slice(None)] * lead, *(slice(None, None, k) for k in steps))
        got = made.read(name, s)
        assert got.dtype == q.dtype == made.dtype(name), name
        np.testing.assert_array_equal(got, q[cut])
        np.testing.assert_array_equal(made.schema[name].domain.shape, got.shape[lead : lead + 2])
    for name, step in zip("xy", steps, strict=True):
        old, new = source.schema.axis(name), made.schema.axis(name)
        np.testing.assert_array_equal(new.coordinates, old.coordinates[::step])
        assert (new.lower, new.upper, new.unit) == (old.lower, old.upper, old.unit)
    assert made.schema.axis("y").spacing == "periodic"
    assert made.schema["density"].location is None and made.schema["velocity"].location is None
    assert made.schema.boundary == source.schema.boundary


def test_a_stride_of_periodic_cells_stays_equidistant():
    axis = Stride(2).axis(AXES["periodic cells"])
    assert axis.spacing == "periodic" and axis.length == 2.0
    np.testing.assert_allclose(axis.coordinates, -0.9 + 0.4 * np.arange(5))
    with pytest.raises(SchemaError, match="must divide its 10 points"):
        Stride(3).axis(AXES["periodic cells"])
    assert Stride(3).axis(AXES["node"]).spacing == "node"


def test_a_crop_of_cells_takes_their_cells():
    source = flow()
    made = Resampled(source, {"x": Crop(0.6, 1.7)})
    x = made.schema.axis("x")  # cells of 1/4: centres 0.625 .. 1.625
    np.testing.assert_allclose(x.coordinates, np.arange(0.625, 1.7, 0.25))
    assert (x.lower, x.upper, x.spacing, x.periodic) == (0.5, 1.75, "cell", False)
    assert [b.axis for b in made.schema.boundary] == ["y", "y"]
    assert made.schema.boundary_kind("x", "lower") == "unknown"
    np.testing.assert_array_equal(made.read("velocity", 1), source.read("velocity", 1)[:, 2:7])
    np.testing.assert_array_equal(made.read("level", 1), source.read("level", 1)[2:7])


def test_a_crop_of_one_side_and_of_none():
    source = flow()
    made = Resampled(source, {"x": Crop(None, 1.5)})
    assert [(b.axis, b.side) for b in made.schema.boundary if b.axis == "x"] == [("x", "lower")]
    assert (made.schema.axis("x").lower, made.schema.axis("x").upper) == (0.0, 1.5)
    all_of_it = Resampled(source, {"x": Crop(-5, 5), "y": Crop()})
    assert all_of_it.schema == source.schema


def test_a_cropped_periodic_axis_is_not_periodic():
    made = Resampled(flow(), {"y": Crop(0.25, 0.75)})
    y = made.schema.axis("y")
    assert (y.lower, y.upper, y.periodic, y.spacing) == (0.25, 0.75, False, "node")
    assert [b.axis for b in made.schema.boundary] == ["x", "x"]
    one_sided = Resampled(flow(), {"y": Crop(0.25, None)}).schema
    assert {one_sided.boundary_kind("y", s) for s in ("lower", "upper")} == {"unknown"}
    unknown = replace(AXES["periodic"], periodic=None)
    assert Crop(0.5, 1.0).axis(unknown).periodic is None


@pytest.mark.parametrize(
    "frames", [slice(None, None, 2), slice(1, 5), slice(-3, None), slice(0, 4, 3)]
)
def test_frames(frames):
    source = flow(lengths=[6, 4, 5])
    made = Frames(source, frames)
    for s in range(3):
        expected = source.read("strain", s)[frames]
        assert made.lengths[s] == len(expected)
        np.testing.assert_array_equal(made.read("strain", s), expected)
        np.testing.assert_array_equal(made.read("strain", s, slice(1, 3)), expected[1:3])
        np.testing.assert_array_equal(made.read("strain", s, slice(0, 9, 2)), expected[::2])
        np.testing.assert_array_equal(made.times(s), source.times(s)[frames])
    assert made.schema.dt == 0.5 * (frames.step or 1)
    np.testing.assert_array_equal(made.read("level", 0), source.read("level", 0))


def test_types():
    source = flow()
    kinds = {v.name: source.dtype(v.name) for v in source.schema.variables if v.role != "param"}
    for rule in (Stride(2), Crop(0.1, 0.9), Resolution(4, "stride"), Resolution(8, "average")):
        made = Resampled(source, {"y": rule})
        assert {k: made.dtype(k) for k in kinds} == kinds
    for rule in (Average(4), Spectral(6), Resolution(4, "average")):
        made = Resampled(source, {"y": rule})
        found = {k: made.dtype(k).str[1:] for k in kinds}
        assert found == {
            "density": "f8", "velocity": "f4", "strain": "f8", "count": "f8", "solid": "f8",
            "level": "f8",
        }  # fmt: skip
        assert all(made.read(k, 0).dtype == made.dtype(k) for k in kinds)
    assert Resampled(source, {"x": Average(4), "y": Average(4)}).schema["velocity"].location == (
        "cell"
    )
    assert Resampled(source, {"x": Average(4)}).schema["velocity"].location is None
    assert Resampled(source, {"x": Average(4)}).schema["density"].location == "cell"


def test_integrals_of_a_whole_data_set():
    source = flow(y=Axis("y", GRADED, 0.0, 2.0, False))
    made = subsample(source, resolution={"x": 4, "y": 3}, method="average")
    for (name, s), q in everything(source).items():
        if name == "velocity":
            q = q.astype(np.float64)
        lead = "t" if source.schema[name].time_varying else ""
        rule = f"x,y,{lead}xy...->{lead}..."
        integrals = [
            np.einsum(rule, *(a.widths for a in schema.axes), f.astype(np.float64))
            for schema, f in (
                (source.schema[name].domain, q),
                (made.schema[name].domain, made.read(name, s)),
            )
        ]
        close = 1e-6 if name == "velocity" else 1e-12
        np.testing.assert_allclose(integrals[1], integrals[0], rtol=close, atol=close)


def test_order_of_axes_does_not_matter_and_steps_compose():
    source = flow()
    both = Resampled(source, {"x": Average(6), "y": Average(2)})
    one_by_one = Resampled(Resampled(source, {"y": Average(2)}), {"x": Average(6)})
    for key, q in everything(both).items():
        np.testing.assert_allclose(one_by_one.read(*key), q, atol=1e-6, err_msg=key[0])
    assert all(v.domain == both.schema[v.name].domain for v in one_by_one.schema.variables)
    strides = Resampled(Resampled(source, {"x": Stride(2)}), {"x": Stride(3)})
    assert strides.schema == Resampled(source, {"x": Stride(6)}).schema
    np.testing.assert_array_equal(
        strides.read("count", 0), Resampled(source, {"x": Stride(6)}).read("count", 0)
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_resolution_by_every_method(method):
    source = flow(x=Axis.uniform("x", 12, 0.0, 3.0, "cell", True))
    source.schema = replace(source.schema, boundary=())
    made = subsample(source, resolution={"x": 6, "y": 8}, method=method)
    assert made.schema["density"].domain.shape == (6, 8)
    with pytest.raises(SchemaError):
        subsample(source, resolution={"x": 5}, method="stride")


def test_blocks_do_not_change_the_numbers(monkeypatch):
    source = flow()
    made = Resampled(Frames(source, slice(None, None, 2)), {"x": Average(5), "y": Spectral(5)})
    whole = everything(made)
    monkeypatch.setattr(resample, "BLOCK", 1)
    for key, q in whole.items():
        np.testing.assert_array_equal(made.read(*key), q)
    assert made.read("density", 0, slice(2, 2)).shape == (0, 5, 5)


def test_written_and_read_back(tmp_path):
    made = subsample(
        flow(lengths=[6, 4, 5]), slice(None, None, 2), {"x": (0.0, 2.0)}, {"y": 2}, {"x": 4}
    )
    back = open_source(convert(made, tmp_path / "a.hdf5").path)
    assert back.schema == made.schema and back.notes == made.notes
    for key, q in everything(made).items():
        np.testing.assert_array_equal(back.read(*key), q)
    assert back.schema["level"].constant_along == ("y",)
    assert any("cropped to [0, 2]" in note for note in back.notes)
    assert made.fingerprint() != subsample(flow(lengths=[6, 4, 5]), slice(0, 2)).fingerprint()


def test_what_cannot_be_done_says_why():
    source = flow()
    for rules, words in (
        ({"x": Spectral(4)}, "is not periodic"),
        ({"x": Average(13)}, "1 .. 12 cells"),
        ({"x": Average(0)}, "1 .. 12 cells"),
        ({"x": Stride(0)}, "at least 1"),
        ({"x": Crop(2.9, 2.95)}, "0 of its 12 points"),
        ({"x": Crop(2.0, 1.0)}, "0 of its 12 points"),
        ({"x": Resolution(7, "stride")}, "no stride picks 7"),
        ({"x": Resolution(6, "cubic")}, "one of stride, average, spectral"),
    ):
        with pytest.raises(SchemaError, match=words):
            Resampled(source, rules)
    with pytest.raises(NotFound, match="no axis 'z'"):
        Resampled(source, {"z": Stride(2)})
    with pytest.raises(SchemaError, match="no frame of sample 0"):
        Frames(source, slice(10, None))
    with pytest.raises(SchemaError, match="at least 1"):
        Frames(source, slice(None, None, -1))
    nodes = Points(np.random.default_rng(0).random((5, 2)))
    points = memory(Schema((Variable("u", nodes, "target"),)), {"u": values((2, 5))}, [1, 1])
    with pytest.raises(SchemaError, match="points without order"):
        Resampled(points, {"x": Stride(2)})
    with pytest.raises(SchemaError, match="nothing evolves"):
        Frames(points, slice(0, 2))


def test_a_field_without_the_axis_stays():
    x, y = Axis.uniform("x", 6), Axis.uniform("y", 4)
    schema = Schema(
        (Variable("u", Grid((x, y)), "target"), Variable("a", Grid((x,)), "input")), name="two"
    )
    source = memory(schema, {"u": values((2, 6, 4)), "a": values((2, 6))}, [1, 1])
    made = Resampled(source, {"y": Average(2)})
    np.testing.assert_array_equal(made.read("a", 1), source.read("a", 1))
    assert made.schema["a"] == schema["a"] and made.read("u", 1).shape == (6, 2)
