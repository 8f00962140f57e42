"""neuraloperator's files: bool inputs, sliced views, grids that differ, pickles refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Windows
from sciops.data.xarray_backend import open_dataset


def test_bool_coefficient_becomes_float(tmp_path):
    x, y = torch.rand(3, 5, 4) > 0.5, torch.rand(3, 5, 4)
    torch.save({"x": x, "y": y}, tmp_path / "d.pt")
    sample = Windows(open_layout(tmp_path / "d.pt"))[1]
    assert sample["inputs"].dtype == torch.float32
    torch.testing.assert_close(sample["inputs"][0], x[1].float())
    torch.testing.assert_close(sample["targets"][0, 0], y[1])


def test_views_of_a_larger_storage(tmp_path):
    whole = torch.rand(7, 20, dtype=torch.float64).T  # (20, 7), strides (1, 20)
    y = torch.rand(5, 7, 20, dtype=torch.float64).permute(2, 0, 1)
    torch.save({"x": whole[4:8], "y": y[4:8], "visc": torch.tensor([[0.01]])}, tmp_path / "b.pt")
    layout = open_layout(tmp_path / "b.pt")
    np.testing.assert_array_equal(reader.read(layout, "a", 2), whole[6])
    np.testing.assert_array_equal(reader.read(layout, "u", 2), y[6])
    assert layout.schema.input_domain.shape == (7,)
    assert layout.schema.target_domain.names == ("t", "x")
    assert layout.params(3) == pytest.approx([0.01])
    dataset = open_dataset(tmp_path / "b.pt")
    assert dataset["u"].dims == ("sample", "t", "x")


def test_channels(tmp_path):
    x, y = torch.rand(2, 3, 5, 4), torch.rand(2, 2, 5, 4)
    torch.save({"x": x, "y": y}, tmp_path / "c.pt")
    sample = Windows(open_layout(tmp_path / "c.pt"))[1]
    torch.testing.assert_close(sample["inputs"], x[1])
    torch.testing.assert_close(sample["targets"][0], y[1])


class Hostile:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_a_pickle_is_refused_and_does_not_run(tmp_path, capsys):
    torch.save({"x": torch.rand(2, 3), "y": Hostile()}, tmp_path / "h.pt")
    with pytest.raises(DataError, match="pickled objects are refused"):
        open_layout(tmp_path / "h.pt")
    (tmp_path / "p.pt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError):
        open_layout(tmp_path / "p.pt")
    assert "never" not in capsys.readouterr().out
