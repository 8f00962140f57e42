"""COMSOL's text: columns of times and parameters, units, long heads, damaged tables."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.containers import text
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import open_dataset

DATA = Path(__file__).parents[4] / "shared" / "data" / "comsol_dat"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
M = 7


def write(path, heads, dimension=2, nodes=M, gap="   ", rows=None):
    values = np.random.default_rng(0).normal(size=(M, len(heads))) if rows is None else rows
    lines = [
        "% Model:   a.mph", f"% Dimension: {dimension}", f"% Nodes:  {nodes}",
        f"% Expressions: {len(heads) - dimension}", "% Description: p, q", "% Length unit: mm",
        "% " + gap.join(heads),
        *("  ".join(repr(float(v)) for v in row) for row in values),
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return values


def test_times_become_an_axis(tmp_path):
    heads = ["x", "y", *(f"{e} @ t={t}" for t in (0, 0.5, 1) for e in ("u (m/s)", "sqrt(p + q)"))]
    raw = write(tmp_path / "a.txt", heads)
    layout = open_layout(tmp_path / "a.txt")
    assert layout.format == "comsol"
    assert layout.schema["u"].unit == "m/s"
    np.testing.assert_array_equal(reader.read(layout, "u", 0), raw[:, [2, 4, 6]].T)
    np.testing.assert_array_equal(
        reader.read(layout, "sqrt(p + q)", 0, slice(1, 3)), raw[:, [5, 7]].T
    )
    np.testing.assert_array_equal(layout.schema["u"].domain.coordinates, raw[:, :2])
    assert layout.times(0).tolist() == [0, 0.5, 1]
    assert layout.schema.dt == 0.5
    assert layout.attributes["Length unit"] == "mm"
    windows = pickle.loads(pickle.dumps(Windows(layout, window=Window())))
    np.testing.assert_allclose(windows[1]["inputs"], raw[:, [4, 5]].T, rtol=1e-6)
    assert open_dataset(tmp_path / "a.txt")["u"].dims == ("sample", "time", "node")


def test_columns_in_another_order(tmp_path):
    heads = ["x", "y", *(f"{e} @ t={t}" for e in "uv" for t in (1, 0))]
    raw = write(tmp_path / "a.txt", heads)
    layout = open_layout(tmp_path / "a.txt")
    np.testing.assert_array_equal(reader.read(layout, "v", 0), raw[:, [5, 4]].T)
    assert layout.times(0).tolist() == [0, 1]


def test_other_settings_are_samples(tmp_path):
    heads = ["x", "y", "z", *(f"T (K) @ Re={r}, t={t}" for r in (100, "2E3") for t in (0, 1))]
    raw = write(tmp_path / "a.txt", heads, dimension=3)
    layout = open_layout(tmp_path / "a.txt")
    assert (layout.n_samples, layout.schema["T"].domain.dimension) == (2, 3)
    assert [layout.params(s).tolist() for s in range(2)] == [[100.0], [2000.0]]
    np.testing.assert_array_equal(reader.read(layout, "T", 1), raw[:, 5:].T)
    assert layout.provenance == {"Re": "head of the column"}


def test_one_space_between_long_heads(tmp_path):
    heads = ["r", "z", "comp1.spf.U (m/s) @ t=0.001", "comp1.spf.U (m/s) @ t=0.002"]
    raw = write(tmp_path / "a.txt", heads, gap=" ")
    layout = open_layout(tmp_path / "a.txt")
    np.testing.assert_array_equal(reader.read(layout, "comp1.spf.U", 0), raw[:, 2:].T)
    assert "coordinates r, z" in layout.notes[0]


def test_a_steady_field_has_no_times(tmp_path):
    raw = write(tmp_path / "a.txt", ["x", "y", "p"])
    layout = open_layout(tmp_path / "a.txt")
    np.testing.assert_array_equal(reader.read(layout, "p", 0), raw[:, 2])
    assert layout.schema.dt is None


def test_a_setting_does_not_hide_a_field(tmp_path):
    write(tmp_path / "a.txt", ["x", "y", "p @ p=3"])
    assert [v.name for v in open_layout(tmp_path / "a.txt").schema.variables] == ["p", "setting_p"]


def test_the_table_is_parsed_once(tmp_path, monkeypatch):
    write(tmp_path / "a.txt", ["x", "y", "u", "v", "p"])
    calls = []
    parse = np.loadtxt
    monkeypatch.setattr(np, "loadtxt", lambda *a, **k: (calls.append(1), parse(*a, **k))[1])
    layout = open_layout(tmp_path / "a.txt")
    for name in ("u", "v", "p"):
        reader.read(layout, name, 0)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        (["x", "y", "u"], {"nodes": M + 1}, "truncated or damaged"),
        (["x", "y", "u"], {"nodes": "many"}, "must be a number"),
        (["x", "y"], {}, "damaged"),
        (["x", "y", "u"], {"dimension": 7}, "damaged"),
        (["x", "y", "u", "v"], {"rows": np.zeros((M, 3))}, "3 columns.*names 4"),
        (["x", "y", "u @ t=0", "u @ t=0"], {}, "once for each time"),
        (["x", "y", "u @ t=0", "v @ t=1"], {}, "once for each time"),
        (["x", "y", "u @ t=0", "v"], {}, "different settings"),
        (["x", "y", "u @ Re=1", "v @ Ra=1"], {}, "different settings"),
        (["x", "y", "u @ t=soon"], {}, "cannot read the setting"),
        (["x", "y", "u @ t=1e999"], {}, "cannot read the setting"),
        (["x", "y", "u" * 2000], {}, "at most 1000 characters"),
        (["x", "y", "u"], {"rows": np.full((M, 3), np.nan)}, "finite"),
    ],
)
def test_damaged_tables(tmp_path, heads, options, message):
    write(tmp_path / "a.txt", heads, **options)
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path / "a.txt")


def test_words_in_the_table(tmp_path):
    write(tmp_path / "a.txt", ["x", "y", "u"])
    with (tmp_path / "a.txt").open("a") as file:
        file.write("1 2 three\n")
    with pytest.raises(DataError, match="not a table of numbers"):
        open_layout(tmp_path / "a.txt")


def test_columns_that_are_gone(tmp_path):
    write(tmp_path / "a.txt", ["x", "y", "u"])
    stored = open_layout(tmp_path / "a.txt").parts[0].arrays["u"][0]
    write(tmp_path / "a.txt", ["x", "u"], dimension=1)
    with pytest.raises(DataError, match="2 columns"):
        text.load(stored)


@genuine
def test_genuine_cavity():
    file = DATA / "lid_driven_a4.dat"
    layout = open_layout(file)
    raw = np.loadtxt(file, comments="%")
    for k, name in enumerate(("u", "v", "p")):
        np.testing.assert_array_equal(reader.read(layout, name, 0), raw[:, 2 + k])
    np.testing.assert_array_equal(layout.schema["u"].domain.coordinates, raw[:, :2])
    assert layout.params(0) == [100.0]
    top = raw[:, 1] == raw[:, 1].max()
    assert reader.read(layout, "u", 0)[top].max() > 0.9  # the lid moves along x
