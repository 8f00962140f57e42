"""Small files of the same kind."""

from __future__ import annotations

import numpy as np
import pytest
from data import faulty
from data.in_memory import flow

from sciops.core.errors import ConfigError, SchemaError
from sciops.data.convert import convert
from sciops.data.mini import mini, spread
from sciops.data.open import get, open_layout
from sciops.data.source import open_source


def test_spread():
    assert spread(10, 3) == (0, 4, 9) and spread(2, 3) == (0, 1) and spread(5, 1) == (0,)


def test_the_same_format_and_schema(tmp_path):
    path = faulty.write(tmp_path / "w.hdf5", own=False)  # The Well's, without our description
    done = mini(path, tmp_path / "mini.hdf5", 2, 3)
    assert (done.to, done.samples, done.reason) == ("the_well", (0, 4), "")
    big, small = open_source(path), open_source(tmp_path / "mini.hdf5")
    assert small.layout.format == big.layout.format == "the_well"
    assert small.schema == big.schema and list(small.lengths) == [3, 3]
    np.testing.assert_array_equal(small.read("velocity", 1), big.read("velocity", 4)[:3])
    np.testing.assert_array_equal(small.params(1), big.params(4))


@pytest.mark.parametrize("to", ["sciops", "netcdf", "npz", "pt", "zarr"])
def test_our_own(to, tmp_path):
    if to == "zarr":
        pytest.importorskip("zarr")
    ending = {"sciops": "hdf5", "netcdf": "nc"}.get(to, to)
    path = convert(flow(), tmp_path / f"a.{ending}", to).path
    done = mini(path, tmp_path / f"b.{ending}")
    small = open_source(done.converted.path)
    assert small.n_samples == 3 and list(small.lengths) == [5, 5, 5]
    assert small.schema == flow().schema


def test_a_format_that_is_not_written(tmp_path):
    path = get("neuralop").write_tiny(tmp_path)
    done = mini(path, tmp_path / "mini.pt", 1)
    assert done.to == "pt" and "does not write the format neuralop" in done.reason
    assert open_layout(tmp_path / "mini.pt").schema == open_layout(path).schema
    done = mini(path, tmp_path / "mini.hdf5", 1)
    assert done.to == "sciops"


def test_another_ending_and_data_that_do_not_fit(tmp_path):
    path = faulty.write(tmp_path / "w.hdf5", own=False)
    done = mini(path, tmp_path / "mini.nc", 1)
    assert done.to == "netcdf" and "end in .hdf5" in done.reason
    with pytest.raises(ConfigError, match="does not say in which format"):
        mini(path, tmp_path / "mini.data")
    for wrong in ((0, 1), (1, 0)):
        with pytest.raises(SchemaError, match="at least one"):
            mini(path, tmp_path / "x.hdf5", *wrong)
