"""Splits: disjoint, seeded, hashed, complete, never empty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciops.core.errors import DataError, SchemaError
from sciops.data.split import Split, split_samples

SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}


@given(st.integers(3, 500), st.integers(0, 100))
def test_a_partition(n, seed):
    split = split_samples(n, SHARES, seed)
    together = [i for ids in split.parts.values() for i in ids]
    assert sorted(together) == list(range(n))
    assert all(split.parts.values())
    assert split_samples(n, SHARES, seed).hash == split.hash


def test_seeds_differ():
    assert split_samples(100, SHARES, 0).hash != split_samples(100, SHARES, 1).hash


def test_sizes():
    sizes = {k: len(v) for k, v in split_samples(1000, SHARES, 0).parts.items()}
    assert sizes == {"train": 800, "valid": 100, "test": 100}


@pytest.mark.parametrize(
    ("n", "shares"), [(2, SHARES), (9, {"a": 0.5}), (9, {"a": 1.5, "b": -0.5})]
)
def test_what_cannot_be(n, shares):
    with pytest.raises(SchemaError):
        split_samples(n, shares, 0)


def test_parts_do_not_overlap():
    with pytest.raises(SchemaError, match="two parts"):
        Split({"a": (1, 2), "b": (2, 3)}, "by hand")


def test_a_file_that_was_edited_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    split = split_samples(20, SHARES, 0)
    split.write(path)
    assert Split.read(path) == split
    path.write_text(path.read_text().replace("[", "[99, ", 1))
    with pytest.raises(DataError, match="changed by hand"):
        Split.read(path)
