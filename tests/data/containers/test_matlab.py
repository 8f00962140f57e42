"""MATLAB's level 5, parsed here: equal to scipy on good files, a plain error on damaged ones."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.io import loadmat, savemat, whosmat
from scipy.sparse import eye_array

from sciops.core.errors import DataError, SciopsError
from sciops.data import reader
from sciops.data.containers import matlab

RNG = np.random.default_rng(0)
ARRAYS = {
    "a": RNG.normal(size=(3, 4, 5)),
    "whole": np.arange(6.0).reshape(2, 3),
    "single": RNG.normal(size=(2, 3)).astype(np.float32),
    "int16": (RNG.normal(size=(2, 3)) * 100).astype(np.int16),
    "uint64": np.array([[2**63 + 1]], dtype=np.uint64),
    "logical": np.array([[True, False, True]]),
    "complex": RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3)),
    "complex_single": (RNG.normal(size=(2, 3)) + 2j).astype(np.complex64),
    "line": np.arange(10.0),
    "number": 3.5,
    "empty": np.zeros((0, 3)),
}
OTHERS = {
    "text": "hello", "cell": np.array([1, "x"], dtype=object), "struct": {"f": 1.0},
    "sparse": eye_array(3, format="csc"),
}  # fmt: skip


def write(path, compressed):
    savemat(path, {**ARRAYS, **OTHERS}, do_compression=compressed)


@pytest.mark.parametrize("compressed", [False, True])
def test_equal_to_scipy(tmp_path, compressed):
    path = tmp_path / "a.mat"
    write(path, compressed)
    assert matlab.is_container(path)
    listed = matlab.listing(path)
    assert listed.pop("text") == ((1, 5), "char")  # scipy drops the first axis of text
    assert listed == {name: (s, k) for name, s, k in whosmat(path) if name != "text"}
    found, raw = matlab.arrays(path), loadmat(path)
    assert set(found) == set(ARRAYS)
    for name, stored in found.items():
        values = np.asarray(reader.source(stored))
        np.testing.assert_array_equal(values, raw[name])
        kind = np.dtype(bool) if name == "logical" else raw[name].dtype  # scipy: uint8
        assert values.dtype.newbyteorder("=") == kind
        assert values.shape == stored.shape


def test_plain_arrays_are_mapped(tmp_path):
    write(tmp_path / "a.mat", False)
    found = matlab.arrays(tmp_path / "a.mat")
    assert found["a"].strides == (8, 24, 96)  # Fortran order
    assert isinstance(reader.source(found["a"]).base, np.memmap)
    assert found["complex"].offset is None
    write(tmp_path / "b.mat", True)
    assert matlab.arrays(tmp_path / "b.mat", ["a"])["a"].offset is None


def test_numbers_in_a_smaller_type_than_their_class(tmp_path):
    """MATLAB stores whole doubles as bytes; their class is double."""
    write(tmp_path / "a.mat", False)
    data = (tmp_path / "a.mat").read_bytes()
    at = data.index(np.arange(6.0).reshape(2, 3).tobytes(order="F"))
    small = np.array([0, 3, 1, 4, 2, 5], dtype=np.uint8)
    tag = np.array([2, 6], dtype="<u4").tobytes()  # miUINT8
    changed = data[: at - 8] + tag + small.tobytes() + b"\0\0" + data[at + 48 :]
    begin = data.rindex(np.array([14], "<u4").tobytes(), 0, at)
    length = int.from_bytes(data[begin + 4 : begin + 8], "little") - 40
    changed = changed[: begin + 4] + length.to_bytes(4, "little") + changed[begin + 8 :]
    (tmp_path / "b.mat").write_bytes(changed)
    stored = matlab.arrays(tmp_path / "b.mat", ["whole"])["whole"]
    assert (stored.dtype, stored.offset) == ("<f8", None)
    np.testing.assert_array_equal(reader.source(stored), ARRAYS["whole"])
    np.testing.assert_array_equal(loadmat(tmp_path / "b.mat")["whole"], ARRAYS["whole"])


def test_a_variable_that_changed(tmp_path):
    write(tmp_path / "a.mat", True)
    stored = matlab.arrays(tmp_path / "a.mat")["a"]
    savemat(tmp_path / "a.mat", {"a": np.zeros((2, 2))})
    with pytest.raises(DataError, match="any more"):
        matlab.load(stored)


def test_a_bomb_is_not_decompressed(tmp_path, monkeypatch):
    from sciops.data import budget

    savemat(tmp_path / "a.mat", {"a": np.zeros((1000, 1000))}, do_compression=True)
    monkeypatch.setattr(budget, "budget", lambda: 1 << 20)
    stored = matlab.arrays(tmp_path / "a.mat")["a"]
    with pytest.raises(DataError, match="SCIOPS_MEMORY"):
        matlab.load(stored)


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_bytes_end_in_an_error(tmp_path, compressed):
    """Each of these bytes once crashed or hung some reader; here they read or raise DataError."""
    write(tmp_path / "a.mat", compressed)
    data = (tmp_path / "a.mat").read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 2, 8])):
            damaged[chance.randrange(128, len(data))] = chance.choice([0, 1, 127, 255])
        (tmp_path / "b.mat").write_bytes(damaged[: chance.choice([len(data), len(data) // 2])])
        try:
            for stored in matlab.arrays(tmp_path / "b.mat").values():
                reader.source(stored)
        except SciopsError:
            refused += 1
    assert refused > 50
