"""Handles and memory maps are kept, but never those of another file under the same path."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import hdf5, reader
from sciops.data.open import open_layout


def write(path, value, n=3, **storage):
    with h5py.File(path, "w") as f:
        f.create_dataset("tensor", data=np.full((n, 4, 6), value, np.float32), **storage)
        f["x-coordinate"] = (np.arange(6) + 0.5) / 6
        f["t-coordinate"] = np.arange(5.0)


@pytest.mark.parametrize("storage", [{}, {"chunks": (1, 2, 6)}])
def test_a_file_that_was_replaced_is_read_anew(tmp_path, storage):
    path = tmp_path / "a.hdf5"
    write(path, 1.0, **storage)
    assert (reader.read(open_layout(path), "u", 2) == 1.0).all()
    write(tmp_path / "b.hdf5", 2.0, 5, **storage)
    os.replace(tmp_path / "b.hdf5", path)
    assert (reader.read(open_layout(path), "u", 4) == 2.0).all()


@pytest.mark.parametrize("storage", [{}, {"chunks": (1, 2, 6)}])
def test_relative_paths_follow_the_folder(tmp_path, monkeypatch, storage):
    for name, value in (("one", 1.0), ("two", 2.0)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "a.hdf5", value, **storage)
        monkeypatch.chdir(tmp_path / name)
        assert (reader.read(open_layout("a.hdf5"), "u", 0) == value).all()


def test_the_number_of_open_files_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAX_HANDLES", 4)
    hdf5.close_all()
    for k in range(9):
        write(tmp_path / f"{k}.hdf5", float(k), chunks=(1, 2, 6))
        assert reader.read(open_layout(tmp_path / f"{k}.hdf5"), "u", 0)[0, 0] == k
        assert len(hdf5._local.handles) <= 4
    hdf5.close_all()
    assert not hdf5._local.handles


def test_a_file_that_is_gone(tmp_path):
    write(tmp_path / "a.hdf5", 1.0)
    layout = open_layout(tmp_path / "a.hdf5")
    (tmp_path / "a.hdf5").unlink()
    with pytest.raises(DataError, match="no such file"):
        reader.read(layout, "u", 0)
