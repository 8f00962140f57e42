"""Streaming statistics: those of numpy, the same bits however they are read, in little memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from data import faulty
from hypothesis import given
from hypothesis import strategies as st

from sciops.core.errors import DataError, SchemaError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data import normalise, stats
from sciops.data import source as source_module
from sciops.data.arrays import from_arrays
from sciops.data.layout import Layout, Part, Stored
from sciops.data.source import FileSource, open_source
from sciops.data.split import Split
from sciops.data.stats import Collected, by_part, collect, compare, statistics

N, T, X, Y = 5, 7, 6, 4
NAMES = ("mean", "std", "rms", "min", "max")


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    u = rng.normal(3.0, 2.0, size=(N, T, X, Y)).astype(np.float32)
    v = rng.normal(size=(N, T, X, Y, 2))
    return u, v


def layout(u, v):
    axes = {"x": (0.0, 1.0), "y": (0.0, 2.0)}
    return from_arrays(axes, states={"u": u, "v": v}, params={"nu": np.arange(N) / 10})


def masked(u, mask):
    """u on a grid with a geometry variable ``mask``, which may vary in time."""
    grid = Grid((Axis.uniform("x", X), Axis.uniform("y", Y)))
    moving = mask.ndim == 4
    schema = Schema(
        (
            Variable("u", grid, time_varying=True),
            Variable("mask", grid, "geometry", time_varying=moving),
        )
    )
    lead = ("sample", "time") if moving else ("sample",)
    found = {
        "u": (Stored("", "memory", "u", ("sample", "time", "x", "y"), u.shape, "<f8", array=u),),
        "mask": (
            Stored("", "memory", "m", (*lead, "x", "y"), mask.shape, mask.dtype.str, array=mask),
        ),
    }
    part = Part("p", len(u), np.full(len(u), u.shape[1]), found)
    return FileSource(Layout(schema, (part,), "arrays", "given"))


def same(a, b):
    assert list(a) == list(b)
    for key in a:
        assert a[key].count == b[key].count
        for name in NAMES:
            np.testing.assert_array_equal(getattr(a[key], name), getattr(b[key], name), key)


def against_numpy(found, values):
    """Statistics of (rows, c)."""
    values = values.astype(np.float64)
    assert found.count == len(values)
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.std, values.std(0), rtol=1e-12)
    np.testing.assert_allclose(found.rms, np.sqrt((values**2).mean(0)), rtol=1e-12)
    np.testing.assert_array_equal(found.min, values.min(0))
    np.testing.assert_array_equal(found.max, values.max(0))


@pytest.mark.parametrize("stride", [1, 3])
def test_are_those_of_numpy(stride):
    u, v = arrays()
    found = statistics(FileSource(layout(u, v)), stride=stride)
    against_numpy(found["u"], u.reshape(-1, 1))
    against_numpy(found["v"], v.reshape(-1, 2))
    change = u[:, stride:].astype(np.float64) - u[:, :-stride]
    against_numpy(found["u.increment"], change.reshape(-1, 1))
    against_numpy(found["v.increment"], (v[:, stride:] - v[:, :-stride]).reshape(-1, 2))
    against_numpy(found["nu"], np.arange(N)[:, None] / 10)


def test_a_large_mean_does_not_cancel():
    u, v = arrays()
    far = u.astype(np.float64) + 1e8
    found = statistics(FileSource(layout(far, v)))
    assert found["u"].std[0] == pytest.approx(far.std(), rel=1e-9)


@pytest.mark.parametrize("block", [1, 500, 1 << 12, 1 << 25])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_same_bits_for_any_block(block, stride, monkeypatch):
    source = FileSource(layout(*arrays()))
    whole = statistics(source, stride=stride)
    monkeypatch.setattr(source_module, "BLOCK", block)
    same(statistics(source, stride=stride), whole)


@pytest.mark.parametrize("block", [4 * X * Y, 1 << 25])
def test_the_same_bits_where_a_frame_is_cut(block, monkeypatch):
    """The cuts within a frame depend on the frame, not on the block."""
    monkeypatch.setattr(stats, "PIECE", 7)
    u, v = arrays()
    source = FileSource(layout(u, v))
    monkeypatch.setattr(source_module, "BLOCK", block)
    found = statistics(source)
    against_numpy(found["v"], v.reshape(-1, 2))
    monkeypatch.setattr(source_module, "BLOCK", 3 * block)
    same(statistics(source), found)


@given(st.integers(0, 1000), st.integers(1, N))
def test_the_same_bits_for_any_partition_among_workers(seed, workers):
    source = FileSource(layout(*arrays()))
    order = list(range(N))
    random.Random(seed).shuffle(order)
    shares = [order[k::workers] for k in range(workers)]
    merged = Collected.merged([collect(source, share) for share in shares])
    same(merged.result(), statistics(source))


def test_many_samples_are_put_together(monkeypatch):
    source = FileSource(layout(*arrays()))
    whole = statistics(source)
    monkeypatch.setattr(stats, "TOGETHER", 2)
    same(statistics(source), whole)


def test_parts_of_a_split():
    u, v = arrays()
    split = Split({"train": (0, 3), "test": (1, 2)}, "by hand")
    found = by_part(FileSource(layout(u, v)), split)
    against_numpy(found["train"]["u"], u[[0, 3]].reshape(-1, 1))
    against_numpy(found["test"]["u"], u[[1, 2]].reshape(-1, 1))
    with pytest.raises(SchemaError, match="names sample 9"):
        by_part(FileSource(layout(u, v)), Split({"train": (0, 9)}, "by hand"))


def test_points_outside_the_mask_do_not_count():
    u, rng = np.random.default_rng(0).normal(size=(3, T, X, Y)), np.random.default_rng(1)
    mask = rng.uniform(size=(3, X, Y)) < 0.6
    u[~np.broadcast_to(mask[:, None], u.shape)] = np.nan
    found = statistics(masked(u, mask.astype(np.float32)))
    inside = np.broadcast_to(mask[:, None], u.shape)
    against_numpy(found["u"], u[inside][:, None])
    change = np.diff(u, axis=1)
    against_numpy(found["u.increment"], change[inside[:, 1:]][:, None])
    assert found["mask"].count == mask.size


def test_a_mask_that_moves():
    u, rng = np.random.default_rng(0).normal(size=(2, T, X, Y)), np.random.default_rng(1)
    mask = rng.uniform(size=u.shape) < 0.6
    found = statistics(masked(u, mask))
    against_numpy(found["u"], u[mask][:, None])
    both = mask[:, 1:] & mask[:, :-1]
    against_numpy(found["u.increment"], np.diff(u, axis=1)[both][:, None])


def test_complex_numbers_are_pairs():
    z = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).view(complex)[..., 0]
    found = statistics(FileSource(from_arrays({"x": (0, 1)}, states={"z": z})))
    against_numpy(found["z"], np.stack([z.real, z.imag], -1).reshape(-1, 2))


def test_nan_is_found_and_placed():
    u, v = arrays()
    u[1, 3, 2, 1] = np.nan
    with pytest.raises(DataError, match=r"'u' holds 1 NaN .* sample 1, .* frame 3 at point 9"):
        statistics(FileSource(layout(u, v)))
    statistics(FileSource(layout(u, v)), [0, 2])


def test_a_file_beside_the_data_holds_them_exactly(tmp_path):
    source = FileSource(layout(*arrays()))
    found = by_part(source, Split({"train": (0, 1, 2), "test": (3, 4)}, "by hand"))
    path = tmp_path / "stats.json"
    normalise.write_statistics(path, found["train"], "hash", {"test": found["test"]})
    read, fitted_on = normalise.read_statistics(path)
    same(read, found["train"])
    assert fitted_on == "hash"
    assert json.loads(path.read_text())["parts"]["test"]["u"]["count"] == 2 * T * X * Y


def test_windows_give_the_same_statistics():
    from sciops.data.windows import Window, Windows

    data = layout(*arrays())
    found = Windows(data, [4, 0, 2], Window(stride=2)).statistics()
    same(found, statistics(FileSource(data), [0, 2, 4], stride=2))


def test_compare():
    u, v = arrays()
    a = statistics(FileSource(layout(u, v)))
    b = statistics(FileSource(layout(2 * u + 1, v)))
    shifts = {(s.name, s.component): s for s in compare(a, b)}
    expected = (b["u"].mean[0] - a["u"].mean[0]) / a["u"].std[0]
    assert shifts["u", 0].shift == pytest.approx(expected)
    assert shifts["u", 0].ratio == pytest.approx(2.0, rel=1e-6)
    assert shifts["u", 0].above > 0
    assert shifts["v", 1].largest == 0.0
    assert shifts["nu", 0].largest == 0.0
    with pytest.raises(SchemaError, match="no common variables"):
        compare(a, {"w": b["u"]})
    with pytest.raises(SchemaError, match="1 components in one and 2"):
        compare(a, {"u": b["v"]})


def test_progress_counts_trajectories(tmp_path):
    seen = []
    statistics(open_source(faulty.clean(tmp_path), "sciops"), progress=lambda *x: seen.append(x))
    assert seen == [(k, faulty.N) for k in range(1, faulty.N + 1)]


# ---- memory: a file of 100 frames of 1 MiB a sample, lzf; every chunk holds the same bytes

FRAMES, SIDE, CHUNK = 100, 512, 4
RUN = """
import sys
from sciops.data.stats import statistics
from sciops.data.source import open_source

def memory(name):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name)) >> 10

source = open_source(sys.argv[1], "the_well")
before = memory("VmRSS")
found = statistics(source)["u"]
print(memory("VmHWM") - before, found.count, found.mean[0], found.std[0])
"""


def write_large(path, samples):
    """A file whose arrays take `samples` x 100 MiB; quick, since one chunk is compressed once."""
    chunk = (np.arange(CHUNK * SIDE * SIDE) // 64 % 37).astype(np.float32)
    chunk = chunk.reshape(1, CHUNK, SIDE, SIDE)
    with h5py.File(path.with_suffix(".one"), "w") as f:
        one = f.create_dataset("u", data=chunk, chunks=chunk.shape, compression="lzf")
        mask, packed = one.id.read_direct_chunk((0, 0, 0, 0))
    with h5py.File(path, "w") as f:
        f.attrs.update(n_trajectories=samples, n_spatial_dims=2, grid_type="cartesian")
        f["dimensions/time"] = np.arange(FRAMES) * 1.0
        for name in ("x", "y"):
            f[f"dimensions/{name}"] = np.arange(SIDE) / SIDE
        f["dimensions"].attrs["spatial_dims"] = faulty.text(["x", "y"])
        u = f.create_dataset(
            "t0_fields/u",
            (samples, FRAMES, SIDE, SIDE),
            "f4",
            chunks=chunk.shape,
            compression="lzf",
        )
        f["t0_fields"].attrs["field_names"] = faulty.text(["u"])
        for i in range(samples):
            for t in range(0, FRAMES, CHUNK):
                u.id.write_direct_chunk((i, t, 0, 0), packed, mask)
    return chunk.astype(np.float64)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(4, id="400 MiB"),
        pytest.param(100, id="10 GiB", marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow_with_the_file(samples, tmp_path):
    """Above what is taken by the imports; VmHWM, since ru_maxrss passes on what the parent had."""
    path = tmp_path / "large.hdf5"
    chunk = write_large(path, samples)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path)], capture_output=True, text=True, check=True
    )
    mebibytes, count, mean, std = done.stdout.split()
    assert int(count) == samples * FRAMES * SIDE * SIDE
    assert float(mean) == pytest.approx(chunk.mean(), rel=1e-12)
    assert float(std) == pytest.approx(chunk.std(), rel=1e-12)
    assert int(mebibytes) < 300
