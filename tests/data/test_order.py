"""Chunks: the numbers that HDF5 gives, decompressed about once an epoch; every window once."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from sciops.data import blocks, hdf5, reader
from sciops.data.layout import Stored
from sciops.data.open import open_layout
from sciops.data.order import BlockShuffle, block_order, pays
from sciops.data.windows import Batch, Window, Windows, collate

SEEDS, FRAMES, X, Y = 6, 23, 12, 10


@pytest.fixture
def seeds(tmp_path):
    """A file of seeds in PDEBench's layout, chunked along time and channel."""
    path = tmp_path / "seeds.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for s in range(SEEDS):
            group = file.create_group(f"{s:04d}")
            data = rng.normal(size=(FRAMES, Y, X, 2)).astype(np.float32)
            group.create_dataset("data", data=data, chunks=(5, 4, 6, 1), compression="lzf")
            group["grid/x"], group["grid/y"] = np.arange(X) / X, np.arange(Y) / Y
            group["grid/t"] = np.arange(FRAMES) / 10
    return path


@pytest.fixture
def loads(monkeypatch):
    """Chunk reads that go to the file: (read in part, whole blocks)."""
    counted = {"part": 0, "block": 0}
    direct, block = blocks._direct, blocks._block

    def count_direct(*a):
        counted["part"] += 1
        return direct(*a)

    def count_block(source, stored, key, *a):
        counted["block"] += key not in blocks._kept
        return block(source, stored, key, *a)

    monkeypatch.setattr(blocks, "_direct", count_direct)
    monkeypatch.setattr(blocks, "_block", count_block)
    blocks.clear()
    yield counted
    blocks.clear()


def truth(path, seed, start, span):
    with h5py.File(path) as file:
        return np.moveaxis(file[f"{seed:04d}/data"][start : start + span], -1, 1)


def as_frames(sample, history):
    x, y = sample["inputs"].numpy(), sample["targets"].numpy()
    past = x.reshape(2, history, *x.shape[1:]).swapaxes(0, 1)
    return np.concatenate([past, y])


def test_every_window_is_what_hdf5_gives(seeds, loads):
    windows = Windows(open_layout(seeds), window=Window(history=3, horizon=2))
    for number in (*range(len(windows)), *block_order(windows, torch.Generator().manual_seed(1))):
        found = windows[number]
        seed, start = found["id"].tolist()
        np.testing.assert_array_equal(as_frames(found, 3), truth(seeds, seed, start, 5))
    assert loads["block"] > 0


@given(data=st.data())
def test_any_slice_of_any_chunking(tmp_path_factory, data):
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 2, st.integers(1, 4), st.integers(1, 3)))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    axes = data.draw(st.permutations(["sample", "time", "x", "component"]))
    values = np.arange(np.prod(shape)).reshape(shape)
    fixed = data.draw(st.integers(-1, shape[axes.index("component")] - 1))
    path = tmp_path_factory.mktemp("h") / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("q", data=values, chunks=chunks)
    k = axes.index("component")
    stored = Stored(
        str(path), "hdf5", "q", tuple(axes), shape, "<i8", chunks=chunks,
        fixed=((k, fixed),) if fixed >= 0 else (),
    )  # fmt: skip
    for _ in range(4):
        n_frames = shape[axes.index("time")]
        begin = data.draw(st.integers(0, n_frames - 1))
        end = data.draw(st.integers(begin + 1, n_frames))
        index = [slice(None)] * 4
        index[axes.index("sample")] = data.draw(st.integers(0, shape[axes.index("sample")] - 1))
        index[axes.index("time")] = slice(begin, end, data.draw(st.integers(1, 3)))
        if fixed >= 0:
            index[k] = fixed
        for _ in range(3):  # in part, as a block, from what is kept
            found = blocks.read(hdf5.member(str(path), "q"), stored, tuple(index))
            np.testing.assert_array_equal(found, values[tuple(index)])
    hdf5.close_all()
    blocks.clear()


def test_an_epoch_by_blocks_reads_each_block_about_once(seeds, loads, monkeypatch):
    stored = open_layout(seeds).parts[0].arrays["activator"][0]
    monkeypatch.setattr(blocks, "KEPT", 8 * blocks.block_bytes(stored))
    windows = Windows(open_layout(seeds), window=Window(history=2))
    batches = DataLoader(windows, 4, sampler=BlockShuffle(windows), collate_fn=collate)
    seen = sorted(tuple(i) for b in batches for i in b["id"].tolist())
    assert seen == [tuple(i) for i in windows.starts.tolist()]
    there = 2 * SEEDS * -(-FRAMES // blocks.block_shape(stored)[1])  # of both species
    by_blocks = loads["part"] + loads["block"]
    loads.update(part=0, block=0)
    blocks.clear()
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0)).tolist()
    for begin in range(0, len(order), 4):
        windows.batch(order[begin : begin + 4])
    assert there <= by_blocks <= 4 * there < (loads["part"] + loads["block"])


def test_the_order_is_random_seeded_and_complete(seeds):
    windows = Windows(open_layout(seeds), window=Window(history=2))
    sampler = BlockShuffle(windows, seed=3)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(len(windows)))
    assert first != second != list(range(len(windows)))
    again = BlockShuffle(windows, seed=3)
    again.set_epoch(1)
    assert list(again) == second


def test_memory_of_the_blocks_is_bounded(seeds, loads, monkeypatch):
    stored = open_layout(seeds).parts[0].arrays["activator"][0]
    monkeypatch.setattr(blocks, "KEPT", 3 * blocks.block_bytes(stored))
    windows = Windows(open_layout(seeds), window=Window())
    for number in block_order(windows, torch.Generator()):
        windows[number]
        assert sum(b.nbytes for b in blocks._kept.values()) <= blocks.KEPT


def test_blocks_pay_only_where_chunks_hold_more_than_is_kept(seeds, tmp_path, monkeypatch):
    from sciops.data.convert import convert
    from sciops.data.source import open_source

    windows = Windows(open_layout(seeds))
    assert not pays(windows)  # all of it is kept anyway
    monkeypatch.setattr(blocks, "KEPT", 1000)
    assert pays(windows)
    contiguous = convert(open_source(seeds), tmp_path / "a.hdf5").path
    assert not pays(Windows(open_layout(contiguous)))


def test_a_batch_is_its_samples(seeds):
    windows = Windows(open_layout(seeds), window=Window(history=2, horizon=2))
    numbers = [7, 3, 3, 20]
    whole, items = windows.batch(numbers), windows.__getitems__(numbers)
    assert isinstance(items, Batch)
    assert collate(items) is items.whole
    for k, number in enumerate(numbers):
        for key, value in windows[number].items():
            torch.testing.assert_close(whole[key][k], value, rtol=0, atol=0)
            torch.testing.assert_close(items[k][key], value, rtol=0, atol=0)
    stock = next(iter(DataLoader(windows, 4)))  # the loader's own collation gives the same
    for key, value in windows.batch(range(4)).items():
        torch.testing.assert_close(stock[key], value, rtol=0, atol=0)


def test_complex_fields_are_pairs_of_channels():
    from sciops.data.arrays import from_arrays

    psi = np.random.default_rng(0).normal(size=(2, 5, 4, 2)).view(complex)[..., 0]
    layout = from_arrays({"x": (0, 1)}, states={"psi": psi, "v": psi.real})
    windows = Windows(layout, window=Window(history=2, inputs=("v", "psi"), targets=("psi",)))
    assert [v.name for v in windows.schema.inputs] == ["v", "psi_re", "psi_im"]
    item = windows[0]
    np.testing.assert_allclose(item["inputs"][2:4], psi[0, :2].real, rtol=1e-6)
    np.testing.assert_allclose(item["inputs"][4:6], psi[0, :2].imag, rtol=1e-6)
    np.testing.assert_allclose(item["targets"][0, 1], psi[0, 2].imag, rtol=1e-6)
    assert reader.read(layout, "psi", 0).dtype == complex  # the labelled view keeps it


METHODS = ("fork", "spawn", "forkserver")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("method", METHODS)
def test_equal_in_workers_however_they_are_started(seeds, tmp_path, method, workers):
    """Chunked HDF5, mapped HDF5 and npz, in processes that start with handles open here."""
    if workers == 4 and method != "fork":
        pytest.skip("four processes that import torch anew take long; see the slow test")
    _equal_in_workers(seeds, tmp_path, method, workers)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("method", METHODS)
def test_equal_in_four_workers(seeds, tmp_path, method):
    _equal_in_workers(seeds, tmp_path, method, 4)


def _equal_in_workers(seeds, tmp_path, method, workers):
    from sciops.data.convert import convert
    from sciops.data.source import open_source

    paths = [seeds, *(convert(open_source(seeds), tmp_path / t, t).path for t in ("sciops", "npz"))]
    sets = [Windows(open_layout(p), window=Window(history=2)) for p in paths]
    for windows in sets:
        windows[0]  # a handle is open, a block is kept
    joined = torch.utils.data.ConcatDataset([pickle.loads(pickle.dumps(w)) for w in sets])
    here = list(DataLoader(joined, 8))
    there = DataLoader(joined, 8, num_workers=workers, multiprocessing_context=method)
    for a, b in zip(here, there, strict=True):
        for key in a:
            torch.testing.assert_close(a[key], b[key], rtol=0, atol=0, equal_nan=True)
