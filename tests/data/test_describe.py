"""What is known, what is missing, what a window costs; data that cannot be read are told so."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from data import faulty

from sciops.core import resolve
from sciops.data.cost import Cost, touched, window_cost
from sciops.data.describe import describe, sheet
from sciops.data.layout import Stored
from sciops.data.open import get, open_layout
from sciops.data.overview import tree


def opened(folder, **settings):
    return open_layout(faulty.clean(folder, **settings), "sciops")


def test_the_tree_is_json_and_finds_the_sidecars(tmp_path):
    found = json.loads(json.dumps(tree(opened(tmp_path))))
    assert set(found["sidecars"]) == {"splits", "stats", "manifest"}
    assert found["sidecars"]["splits"]["parts"] == {"train": 3, "valid": 1, "test": 1}
    assert found["sidecars"]["stats"]["fitted_on"] == found["sidecars"]["splits"]["hash"]
    assert [b["kind"] for b in found["boundary"]] == ["periodic"] * 4
    assert found["window"]["bytes_used"] == found["window"]["bytes_read"]
    values = faulty.N * faulty.T * faulty.X * faulty.Y * 5 * 4 + faulty.X * faulty.Y * 4
    assert found["bytes"]["values"] == values
    assert found["bytes"]["files"] > values
    assert tree(opened(tmp_path), measure=False)["window"] is None


def test_what_is_missing(tmp_path):
    layout = opened(tmp_path, describe=faulty.without_boundary)
    named = " / ".join(tree(layout)["missing"])
    assert "units of" in named and "boundary along x, y" in named
    assert "split" not in named and "statistics" not in named
    for kind in ("splits", "stats"):
        (tmp_path / f"waves.{kind}.json").unlink()
    named = " / ".join(tree(layout)["missing"])
    assert "a split" in named and "statistics" in named
    assert "times" not in named


def test_damaged_sidecars_are_told(tmp_path):
    layout = opened(tmp_path)
    (tmp_path / "waves.splits.json").write_text("[")
    assert "not a split" in describe(layout)
    assert "None is given" in sheet(layout)


def test_data_that_cannot_be_read_are_told(tmp_path):
    layout = open_layout(faulty.damaged_chunk(tmp_path), "sciops")
    assert "could not be read" in describe(layout)
    assert "## Damage" in sheet(layout)
    (tmp_path / "other").mkdir()
    gone = opened(tmp_path / "other")
    (tmp_path / "other" / "waves.hdf5").unlink()
    assert window_cost(gone).message


def test_the_sheet(tmp_path):
    def about(t):
        t["attributes"] |= {
            "equation": "u_t + u u_x = nu u_xx",
            "source": "https://example.org",
            "licence": "CC-BY-4.0",
            "citation": "A | B, 2024",
            "recipe": '{"problem": "waves"}',
        }
        t["notes"].append("carried along exactly")
        t["schema"]["variables"][0]["unit"] = "m^2/s"

    layout = opened(tmp_path, describe=about)
    text = sheet(layout)
    for part in (
        "# waves",
        "u_t + u u_x = nu u_xx",
        "| time step | 0.1 |",
        "| velocity | state | sample, time, x, y, component | 16 x 12 x 2 | f4 | not stated |",
        "| nu | 0.1 .. 0.5, 5 values | m^2/s | unknown |",
        "- x lower: periodic",
        "| train | 3 |",
        "| density | 0 | 1 |",
        "| licence | CC-BY-4.0 |",
        r"| citation | A \| B, 2024 |",
        '| recipe | `{"problem": "waves"}` |',
        "- carried along exactly",
    ):
        assert part in text, part
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


@pytest.mark.parametrize("name", resolve.names("formats"))
def test_every_format_is_described(name, tmp_path):
    layout = get(name).layout(get(name).write_tiny(tmp_path))
    assert layout.schema.name in describe(layout)
    assert "could not be read" not in describe(layout)
    assert sheet(layout).startswith("# ")
    assert tree(layout)["window"]["bytes_used"] > 0


def stored(axes, shape, chunks, fixed=()):
    return Stored("f", "hdf5", "u", axes, shape, "<f4", chunks=chunks, fixed=fixed)


def test_bytes_that_a_window_touches():
    axes, shape = ("sample", "time", "y", "x", "component"), (1, 101, 128, 128, 2)
    diff_react = stored(axes, shape, (1, 13, 16, 32, 1), ((4, 1),))
    plain = stored(axes, shape, None, ((4, 1),))
    assert touched(plain, 0, slice(3, 5)) == 2 * 128 * 128 * 4
    assert touched(diff_react, 0, slice(3, 5)) == 13 * 128 * 128 * 4
    assert touched(diff_react, 0, slice(12, 14)) == 26 * 128 * 128 * 4
    uneven = stored(("sample", "time", "x"), (5, 10, 10), (2, 4, 4))
    assert touched(uneven, 3, slice(0, 1)) == 2 * 4 * 12 * 4


def test_advice(tmp_path):
    assert "rechunk" in Cost(2, 1.0, 100, 800, False).advice
    assert "fit" in Cost(2, 1.0, 100, 150, False).advice
    assert "nothing" in Cost(2, 1.0, 100, 100, False).advice

    def edit(f):
        u = f["t0_fields/density"][...]
        attributes = dict(f["t0_fields/density"].attrs)
        del f["t0_fields/density"]
        f.create_dataset("t0_fields/density", data=u, chunks=(faulty.N, faulty.T, 2, 2))
        f["t0_fields/density"].attrs.update(attributes)

    cost = window_cost(opened(tmp_path, edit=edit))
    field = faulty.X * faulty.Y * 4
    assert cost.used == 11 * field  # two frames of 3 scalars and a vector, one mask
    assert cost.read == (faulty.N * faulty.T + 9) * field
    assert cost.milliseconds > 0 and cost.waste > 3


def test_a_file_without_times(tmp_path):
    """PDEBench's Darcy has neither times nor a split."""
    path = tmp_path / "darcy.hdf5"
    with h5py.File(path, "w") as f:
        f["nu"], f["tensor"] = np.ones((2, 4, 3), "f4"), np.ones((2, 1, 4, 3), "f4")
        f["x-coordinate"], f["y-coordinate"] = np.arange(4) + 0.5, np.arange(3) + 0.5
    found = tree(open_layout(path, "pdebench"))
    assert found["window"]["frames"] == 1
    assert not any("times" in line for line in found["missing"])
