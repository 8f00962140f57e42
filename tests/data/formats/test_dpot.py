"""DPOT, on files written after its protocol; no genuine file was obtainable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.dpot import DPOT

N, X, Y, Z, T, C = 2, 3, 6, 5, 4, 2


def field(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def write(path, values, **attributes):
    with h5py.File(path, "w") as f:
        f["data"] = values
        f["data"].attrs.update(attributes)
    return path


def test_a_file_of_trajectories_has_time_and_channels_last(tmp_path, recognised_by):
    made = field(N, X, Y, T, C)
    layout = DPOT().layout(write(tmp_path / "train.hdf5", made))
    assert [layout.format] == recognised_by(tmp_path / "train.hdf5") == ["dpot"]
    assert layout.n_samples == N
    for k in range(C):
        there = reader.read(layout, f"u{k}", 1)
        np.testing.assert_array_equal(there, np.moveaxis(made[1, ..., k], -1, 0))
    assert any("protocol" in note for note in layout.notes)
    assert np.isnan(layout.times(0)).all()


def test_one_channel_may_be_squeezed(tmp_path):
    made = field(N, X, Y, T)
    layout = DPOT().layout(write(tmp_path / "ns2d_1e-3_train.hdf5", made))
    there = reader.read(layout, "u", 1, slice(1, 3))
    np.testing.assert_array_equal(there, np.moveaxis(made[1], -1, 0)[1:3])


@pytest.mark.parametrize("shape", [(X, Y, T), (X, Y, T, C), (X, Y, Z, T, C)])
def test_a_folder_of_one_trajectory_a_file(tmp_path, shape, recognised_by):
    made = [field(*shape) + i for i in range(11)]
    for i, values in enumerate(made):
        write(tmp_path / f"data_{i}.hdf5", values)
    layout = DPOT().layout(tmp_path)
    assert [layout.format] == recognised_by(tmp_path) == ["dpot"]
    assert layout.n_samples == 11
    grid = layout.schema.states[0].domain
    assert grid.shape == (shape[: 3 if len(shape) == 5 else 2])
    name, channel = ("u", made[10]) if len(shape) == 3 else ("u1", made[10][..., 1])
    there = reader.read(layout, name, 10)
    np.testing.assert_array_equal(there, np.moveaxis(channel, -1, 0))


def test_one_file_of_a_folder_is_one_trajectory(tmp_path):
    made = field(X, Y, T, C)
    layout = DPOT().layout(write(tmp_path / "data_7.hdf5", made))
    assert (layout.n_samples, layout.lengths.tolist()) == (1, [T])
    np.testing.assert_array_equal(reader.read(layout, "u1", 0), np.moveaxis(made[..., 1], -1, 0))
    assert any("data_<i>" in note for note in layout.notes)


def test_cfdbench_conversion(tmp_path):
    made = field(1, 64, 64, 20, 3)
    layout = DPOT().layout(write(tmp_path / "ns2d_cdb_test.hdf5", made))
    assert layout.schema["mask"].domain.names == ("y", "x")
    assert layout.schema["mask"].role == "geometry"
    np.testing.assert_array_equal(reader.read(layout, "mask", 0), made[0, :, :, 0, 2])
    velocity = reader.read(layout, "velocity", 0)
    np.testing.assert_array_equal(velocity[5, :, :, 1], made[0, :, :, 5, 1])
    assert any("CFDBench" in note for note in layout.notes)


def test_arrays_of_other_people_are_left_to_them(tmp_path):
    dpot = DPOT()
    assert dpot.recognises(write(tmp_path / "a.h5", field(N, X, Y))) is None
    assert dpot.recognises(write(tmp_path / "b.h5", np.zeros((N, X, Y, T), dtype=int))) is None
    assert dpot.recognises(write(tmp_path / "c.h5", field(N, X, Y, T), units="m")) is None
    with h5py.File(write(tmp_path / "d.h5", field(N, X, Y, T)), "a") as f:
        f["times"] = np.zeros(N)
    assert dpot.recognises(tmp_path / "d.h5") is None


def test_a_folder_must_hold_nothing_else(tmp_path):
    write(tmp_path / "data_0.hdf5", field(X, Y, T))
    write(tmp_path / "notes.hdf5", field(X, Y, T))
    assert DPOT().recognises(tmp_path) is None


def test_damage_is_named(tmp_path):
    write(tmp_path / "data_0.hdf5", field(X, Y, T, C))
    write(tmp_path / "data_1.hdf5", field(Y, X, T, C))
    with pytest.raises(DataError, match=r"data_1\.hdf5.*differ"):
        DPOT().layout(tmp_path)
    with pytest.raises(DataError, match=r"must be \(n, X, Y, T"):
        DPOT().layout(write(tmp_path / "a.hdf5", field(X, Y)))
    with h5py.File(tmp_path / "b.hdf5", "w") as f:
        f.create_dataset("data", shape=(10**13, 2, 2, 2), dtype="f4", chunks=(1, 2, 2, 2))
    with pytest.raises(DataError, match="10000000000000"):
        DPOT().layout(tmp_path / "b.hdf5")
