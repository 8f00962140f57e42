"""CNO's benchmarks, on files written after its loaders; no genuine file was obtainable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.cno import CNO
from sciops.data.windows import Windows

X, Y = 3, 6


def field(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def write(path, n=11, names=("input", "output"), lead=(), **extra):
    made = field(n, 2, X, Y)
    with h5py.File(path, "w") as f:
        for i in range(n):
            for k, name in enumerate(names):
                f[f"Sample_{i}/{name}"] = made[i, k].reshape(*lead, X, Y)
        for name, value in extra.items():
            f[name] = value
    return made


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
def test_samples_are_in_the_order_of_their_numbers(tmp_path, lead, recognised_by):
    made = write(tmp_path / "a.h5", lead=lead, min_inp=0.0, max_inp=1.0)
    layout = CNO().layout(tmp_path / "a.h5")
    assert [layout.format] == recognised_by(tmp_path / "a.h5") == ["cno"]
    assert layout.n_samples == 11
    for i in (0, 2, 10):  # Sample_10 stands before Sample_2 in the file
        np.testing.assert_array_equal(reader.read(layout, "input", i), made[i, 0])
        np.testing.assert_array_equal(reader.read(layout, "output", i), made[i, 1])
    sample = Windows(layout)[3]
    np.testing.assert_array_equal(sample["targets"][0, 0], made[3, 1])
    axis = layout.schema.axis("y")
    assert (axis.lower, axis.upper, axis.spacing, axis.size) == (0, 1, "node", Y)
    assert any("assumed" in note for note in layout.notes)


def test_helmholtz_has_a_boundary_value(tmp_path, recognised_by):
    made = write(tmp_path / "h.h5", 3, ("a", "u"))
    with h5py.File(tmp_path / "h.h5", "a") as f:
        for i in range(3):
            f[f"Sample_{i}/bc"] = 0.5 + i
    layout = CNO().layout(tmp_path / "h.h5")
    assert recognised_by(tmp_path / "h.h5") == ["cno"]
    np.testing.assert_array_equal(reader.read(layout, "u", 2), made[2, 1])
    assert [layout.params(i).tolist() for i in range(3)] == [[0.5], [1.5], [2.5]]


def test_damage_is_named(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    with h5py.File(path, "a") as f:
        del f["Sample_5/output"]
    with pytest.raises(DataError, match="Sample_5/output"):
        CNO().layout(path)
    with h5py.File(path, "a") as f:
        f["Sample_5/output"] = np.zeros((Y, X))
    with pytest.raises(DataError, match=r"Sample_5/output must be \(3, 6\)"):
        CNO().layout(path)
    with h5py.File(path, "a") as f:
        del f["Sample_5"]
        f["Sample_5"] = 1.0
    with pytest.raises(DataError, match="must be a group"):
        CNO().layout(path)
    write(path, 2, ("a", "u"), **{"Sample_0/bc": 1.0, "Sample_1/bc": np.zeros(3)})
    with pytest.raises(DataError, match="Sample_1/bc must have the shape"):
        CNO().layout(path)
    with h5py.File(path, "w") as f:
        f["Sample_0/other"] = np.zeros((X, Y))
    with pytest.raises(DataError, match="expected groups Sample_0"):
        CNO().layout(path)
