"""Splits: disjoint, seeded, hashed, complete, never empty."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciops.core.errors import DataError, NotFound, SchemaError
from sciops.data.arrays import from_arrays
from sciops.data.split import (
    Split,
    split_by_parameter,
    split_of_format,
    split_out_of_distribution,
    split_pdebench,
    split_samples,
)

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


def layout(**params):
    n = len(next(iter(params.values())))
    return from_arrays({"x": (0, 1)}, states={"u": np.zeros((n, 2, 3))}, params=params)


@given(st.lists(st.integers(0, 6), min_size=8, max_size=60), st.integers(0, 20))
def test_equal_parameters_stay_together(values, seed):
    data = layout(nu=values)
    if len(set(values)) < 3:
        with pytest.raises(SchemaError, match="different values of nu cannot fill"):
            split_by_parameter(data, ["nu"], SHARES, seed)
        return
    split = split_by_parameter(data, ["nu"], SHARES, seed)
    groups = {name: {values[i] for i in ids} for name, ids in split.parts.items()}
    assert not groups["train"] & groups["test"] and not groups["valid"] & groups["test"]
    assert sorted(i for ids in split.parts.values() for i in ids) == list(range(len(values)))
    assert split_by_parameter(data, ["nu"], SHARES, seed) == split


def test_groups_meet_the_shares_as_well_as_they_can():
    values = np.repeat(np.arange(50), 4)
    sizes = {
        k: len(v) for k, v in split_by_parameter(layout(nu=values), ["nu"], SHARES, 0).parts.items()
    }
    assert sizes == {"train": 160, "valid": 20, "test": 20}


def test_several_parameters_make_one_group():
    data = layout(a=[0, 0, 1, 1, 0], b=[0, 1, 0, 1, 0])
    split = split_by_parameter(data, ["a", "b"], {"train": 0.5, "test": 0.5}, 0)
    assert any({0, 4} <= set(ids) for ids in split.parts.values())


def test_a_range_of_a_parameter_is_the_test():
    values = np.array([0.1, 0.5, 0.9, 0.2, 0.8, 0.3, 0.4])
    shares = {"train": 0.75, "valid": 0.25}
    split = split_out_of_distribution(layout(nu=values), "nu", 0.8, None, shares, 3)
    assert split.parts["test"] == (2, 4)
    assert sorted(split.parts["train"] + split.parts["valid"]) == [0, 1, 3, 5, 6]
    both = split_out_of_distribution(layout(nu=values), "nu", 0.3, 0.5, shares, 3)
    assert both.parts["test"] == (1, 5, 6)
    with pytest.raises(
        SchemaError, match=r"no sample has nu in \[2, ..\]; it lies in \[0.1, 0.9\]"
    ):
        split_out_of_distribution(layout(nu=values), "nu", 2.0, None, shares, 3)
    with pytest.raises(SchemaError, match="0 trajectories cannot fill"):
        split_out_of_distribution(layout(nu=values), "nu", None, 1.0, shares, 3)
    with pytest.raises(SchemaError, match="the test is the range"):
        split_out_of_distribution(layout(nu=values), "nu", 0.8, None, SHARES, 3)
    with pytest.raises(NotFound, match="Did you mean 'nu'"):
        split_out_of_distribution(layout(nu=values), "n", 0.8, None, shares, 3)


@pytest.mark.parametrize("n", [10, 24, 100, 999])
def test_pdebench_takes_a_tenth_at_one_end(n):
    first, last = split_pdebench(n), split_pdebench(n, "last")
    assert first.parts["test"] == tuple(range(int(0.1 * n)))
    assert last.parts["test"] == tuple(range(int(n * (1 - 0.1)), n))
    assert len(first.parts["train"]) + len(first.parts["test"]) == n
    with_valid = split_pdebench(n, valid=0.2, seed=1)
    assert with_valid.parts["test"] == first.parts["test"]
    assert set(with_valid.parts["train"]) | set(with_valid.parts["valid"]) == set(
        first.parts["train"]
    )


def test_pdebench_of_a_few_samples_is_refused():
    with pytest.raises(SchemaError, match="'test' of the split is empty"):
        split_pdebench(9)


def test_every_rule_is_stored_with_its_settings(tmp_path):
    data = layout(nu=np.arange(20) % 10)
    rest = {"train": 0.5, "valid": 0.5}
    for split in (
        split_samples(20, SHARES, 5),
        split_by_parameter(data, ["nu"], SHARES, 5),
        split_out_of_distribution(data, "nu", 8.0, None, rest, 5),
        split_pdebench(20, "last", 0.1, 5),
    ):
        split.write(tmp_path / "splits.json")
        assert Split.read(tmp_path / "splits.json") == split
        tree = json.loads((tmp_path / "splits.json").read_text())
        assert tree["settings"]["kind"] and tree["rule"] and tree["hash"] == split.hash
        assert tree["seed"] == 5


def test_a_file_without_settings_is_read(tmp_path):
    path = tmp_path / "splits.json"
    split_samples(20, SHARES, 0).write(path)
    tree = json.loads(path.read_text())
    del tree["settings"]
    path.write_text(json.dumps(tree))
    assert Split.read(path).settings == {}


def test_a_format_without_parts_has_no_split():
    assert split_of_format(layout(nu=np.arange(3))) is None
