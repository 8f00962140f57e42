"""A manifest tells what was changed: the file, its arrays, its samples."""

from __future__ import annotations

import hashlib
import json

import h5py
import numpy as np
import pytest
from data import faulty

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.convert import convert
from sciops.data.source import open_source
from sciops.data.verify import verify
from sciops.data.write import write_dataset


def changed(found):
    return [c.what for c in found.checked if not c.ok]


def written(folder, name="u.hdf5"):
    """Fields, a vector and a parameter, with a manifest of its arrays."""
    grid = Grid((Axis.uniform("x", 6), Axis.uniform("y", 4)))
    schema = Schema(
        (
            Variable("a", grid, "input"),
            Variable("u", grid, components=(2,), time_varying=True),
            Variable("nu", role="param"),
        )
    )
    rng = np.random.default_rng(0)
    fields = {
        "a": rng.normal(size=(3, 6, 4)).astype(np.float32),
        "u": rng.normal(size=(3, 5, 6, 4, 2)),
    }
    params = {"nu": np.array([0.1, 0.2, 0.3])}
    path = write_dataset(folder / name, schema, fields, params, times=np.arange(5.0))
    by_array(path, fields | params)
    return path


def by_array(path, arrays):
    """The manifest that sciops 0.1 wrote: a hash of every array."""
    beside = path.with_suffix(".manifest.json")
    tree = json.loads(beside.read_text())
    del tree["samples"]
    tree["arrays"] = {
        k: hashlib.sha256(f"{a.dtype.str}{a.shape}".encode() + a.tobytes()).hexdigest()
        for k, a in arrays.items()
    }
    beside.write_text(json.dumps(tree))


def test_what_was_written_is_as_it_was(tmp_path):
    found = verify(written(tmp_path))
    assert found.ok
    assert {c.what for c in found.checked} == {"u.hdf5", "a", "u", "nu"}


def edit(path, key, index):
    with h5py.File(path, "r+") as f:
        f[key][index] += 1


@pytest.mark.parametrize(
    ("name", "index"), [("a", (2, 5, 3)), ("u", (0, 4, 0, 0, 1)), ("nu", (1,))]
)
def test_an_array_that_was_changed_is_named(name, index, tmp_path):
    path = written(tmp_path)
    with h5py.File(path) as f:
        keys = []
        f.visit(lambda key: keys.append(key) if key.split("/")[-1] == name else None)
    edit(path, keys[0], index)
    assert changed(verify(path, "sciops")) == ["u.hdf5", name]


def test_bytes_that_are_no_numbers(tmp_path):
    """An attribute was added: the file differs, the arrays do not."""
    path = written(tmp_path)
    with h5py.File(path, "r+") as f:
        f.attrs["note"] = "x" * 10
    assert changed(verify(path, "sciops")) == ["u.hdf5"]


def test_samples_of_a_converted_file(tmp_path):
    source = open_source(faulty.clean(tmp_path), "sciops")
    path = convert(source, tmp_path / "copy.hdf5").path
    assert verify(path, "sciops").ok
    with h5py.File(path, "r+") as f:
        f["t0_fields/density"][3, 0, 0, 0] += 1
    found = verify(path, "sciops")
    assert changed(found) == ["copy.hdf5", f"{faulty.N} samples"]
    assert "1 of 5 differ, the first is 3" in found.checked[-1].message


def test_a_folder_of_files(tmp_path):
    written(tmp_path, "a.hdf5")
    other = written(tmp_path, "b.hdf5")
    assert verify(tmp_path).ok
    other.unlink()
    assert changed(verify(tmp_path)) == ["b.hdf5"]


def test_a_file_that_was_cut(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    found = verify(path, "sciops")
    assert not found.ok
    assert "2000 bytes" in found.checked[0].message


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        '{"file": "u.hdf5", "bytes": "many", "sha256": ""}',
        '{"file": "u.hdf5", "bytes": 1, "sha256": "", "arrays": 3}',
        '{"file": "../../u.hdf5", "bytes": 1, "sha256": ""}',
        '{"file": "/etc/passwd", "bytes": 1, "sha256": ""}',
        '{"file": "..", "bytes": 1, "sha256": ""}',
        "[" * 100000,
    ],
)
def test_a_damaged_manifest_is_refused(text, tmp_path):
    path = written(tmp_path)
    path.with_suffix(".manifest.json").write_text(text)
    with pytest.raises(DataError, match="manifest"):
        verify(path, "sciops")


def test_without_a_manifest(tmp_path):
    path = written(tmp_path)
    path.with_suffix(".manifest.json").unlink()
    with pytest.raises(DataError, match="no u.manifest.json"):
        verify(path, "sciops")
    with pytest.raises(DataError, match="no such file"):
        verify(tmp_path / "nothing")


def test_an_array_that_is_not_there(tmp_path):
    path = written(tmp_path)
    beside = path.with_suffix(".manifest.json")
    tree = json.loads(beside.read_text())
    tree["arrays"]["w"] = "0" * 64
    beside.write_text(json.dumps(tree))
    assert changed(verify(path, "sciops")) == ["w"]
