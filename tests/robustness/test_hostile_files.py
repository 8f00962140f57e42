"""Files are hostile: every one ends in a clear error or a right answer, soon and in little memory.

Whole files of every format are damaged by hypothesis (`_mutations`), others are made by hand
(`_traps`).  They are opened in a process of their own (`_opening`), which is replaced where the
HDF5 library crashes or hangs; then the command line, which has a child process for that, must end
with exit code 2.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from itertools import count
from pathlib import Path
from random import Random

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from robustness import _traps
from robustness._mutations import RAW, copied, mutate, suited
from robustness._opener import Opener, Outcome
from robustness._opening import SECONDS
from robustness._seeds import seeds

from sciops.core.errors import DataError
from sciops.data import budget, reader
from sciops.data.describe import describe
from sciops.data.open import open_layout
from sciops.data.xarray_backend import open_dataset

SEEDS = seeds()
EXAMPLES = 10  # of each whole file
MANY = 90
MEGABYTES = 500
SHORTEST, LONGEST = 15, 2000  # characters of an error beside the path
ends: Counter[str] = Counter()
beyond: list[str] = []  # files on which the HDF5 library crashed or hung


@pytest.fixture(scope="module")
def opener():
    one = Opener()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A function: name of a seed -> the path to open, written once."""
    written = {}

    def path(name):
        if name not in written:
            written[name] = SEEDS[name](tmp_path_factory.mktemp(name))
        return written[name]

    return path


def judge(outcome: Outcome, path: Path, opener: Opener) -> Outcome:
    """The outcome, if it is an answer or a clear error, in time and memory."""
    ends[outcome.end] += 1
    if outcome.end in ("killed", "hung"):
        return judge_library(outcome, path, opener)
    assert outcome.end in ("answer", "refused"), outcome.text
    assert outcome.seconds <= SECONDS
    assert outcome.megabytes < MEGABYTES
    if outcome.end == "refused":
        assert str(path.parent) in outcome.text, "the error names the file"
        assert SHORTEST < len(outcome.text) - len(str(path)) < LONGEST
        assert "Traceback" not in outcome.text
    return outcome


def judge_library(outcome: Outcome, path: Path, opener: Opener) -> Outcome:
    """HDF5 crashed or hung: rare, of HDF5 files alone, and the command line survives it."""
    beyond.append(f"{path}: {outcome.end} {outcome.text}")
    assert len(beyond) <= 2 + ends.total() // 100, beyond
    files = [path] if path.is_file() else path.rglob("*")
    assert any(p.is_file() and h5py.is_hdf5(p) for p in files), "not a file of HDF5"
    code, text = opener.inspected(path)
    assert code == 2, text
    assert text.startswith("error: ") and "Traceback" not in text
    return outcome


def damaged(name: str, examples: int, whole, opener: Opener, folder: Path) -> None:
    """Damage one whole file in many ways, each once or twice."""
    source, numbers = whole(name), count()
    one = st.tuples(st.sampled_from(suited(source)), st.integers(0, (1 << 32) - 1))

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(one, min_size=1, max_size=2))
    def check(steps):
        note(f"{name}: {steps}")
        path = copied(source, folder / str(next(numbers)))
        for kind, number in sorted(steps, key=lambda step: step[0] in RAW):
            mutate(path, kind, Random(f"{name} {number}"))
        judge(opener(path), path, opener)

    check()


@pytest.mark.parametrize("name", SEEDS)
def test_whole_files_are_read(name, whole, opener):
    outcome = opener(whole(name), whole=True)
    assert outcome.end == "answer", outcome.text


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files(name, whole, opener, tmp_path):
    damaged(name, EXAMPLES, whole, opener, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_many_damaged_files(name, whole, opener, tmp_path):
    damaged(name, MANY, whole, opener, tmp_path)


def test_there_are_enough():
    assert len(SEEDS) * EXAMPLES + len(_traps.TRAPS) >= 400
    assert len(SEEDS) * MANY >= 3000


@pytest.mark.parametrize("name", _traps.TRAPS)
def test_files_made_on_purpose(name, opener, tmp_path):
    write, text = _traps.TRAPS[name]
    path = write(tmp_path)
    outcome = judge(opener(path), path, opener)
    assert not (tmp_path / _traps.CANARY).exists(), "something that stands in the file was run"
    if text is None:
        assert outcome.end == "answer", outcome.text
    else:
        assert outcome.end == "refused", outcome.text
        assert re.search(text, outcome.text), outcome.text


def test_hdf5_that_never_ends_is_given_up_by_the_command_line(opener, tmp_path):
    path = _traps.heap_without_end(tmp_path / "a.h5")
    code, text = opener.inspected(path)
    assert code == 2, text
    assert text.startswith("error: ") and "Traceback" not in text


def test_ten_terabytes_in_a_kilobyte(tmp_path, monkeypatch):
    """It opens, one frame is read, and to read all of it is refused before anything is read."""
    path = _traps.ten_terabytes(tmp_path / "a.h5")
    assert path.stat().st_size < 2000
    monkeypatch.setenv(budget.VARIABLE, "256MiB")
    budget.budget.cache_clear()
    try:
        layout = open_layout(path)
        assert "10.0 TiB" in describe(layout)
        frame = reader.read(layout, "u0", 10_239, slice(255, 256))
        assert frame.shape == (1, 1024, 1024)
        assert not frame.any()
        labelled = open_dataset(path)["u0"]
        began = time.monotonic()
        for read in (
            lambda: reader.read(layout, "u0", 0),
            lambda: labelled.values,
            lambda: labelled.isel(sample=7).values,
            lambda: labelled.isel(time=3).values,
        ):
            with pytest.raises(DataError, match="more than the 256.0 MiB"):
                read()
        assert time.monotonic() - began < 1
    finally:
        budget.budget.cache_clear()


def test_what_a_link_names_is_never_opened(tmp_path):
    """The other file is gone, and the error is still that there is a link."""
    path = _traps.external_link(tmp_path)
    (tmp_path / _traps.SECRET).unlink()
    with pytest.raises(DataError, match="link into another file"):
        open_layout(path)


def test_large_chunks_that_are_honest_are_read(tmp_path):
    """Chunks that compress to more than a look is for, and more than deflate's ratio allows."""
    path = _traps.pdebench(tmp_path / "a.h5", 2, 3, 1 << 18, chunks=(1, 1, 1 << 18),
                           compression="gzip", compression_opts=1)  # fmt: skip
    values = np.random.default_rng(0).normal(size=(2, 3, 1 << 18)).astype(np.float32)
    with h5py.File(path, "r+") as file:
        file["tensor"][:] = values
    layout = open_layout(path)
    for sample in (1, 0, 1):
        np.testing.assert_array_equal(reader.read(layout, "u", sample), values[sample])
    np.testing.assert_array_equal(reader.read(layout, "u", 1, slice(1, 3)), values[1, 1:3])
