"""PINA's single tensors: a pair beside each other is read, a lone tensor is refused with advice."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Windows

DATA = Path(__file__).parents[4] / "shared" / "data" / "pina_pt"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)


def write(folder, n=3, points=7):
    x, y = torch.rand(n, points, 1), torch.rand(n, points, 1)
    torch.save(x, folder / "a_input_t.pt")
    torch.save(y, folder / "a_output_t.pt")
    return x, y


@pytest.mark.parametrize("half", ["a_input_t.pt", "a_output_t.pt"])
def test_either_file_gives_the_pair(tmp_path, half):
    x, y = write(tmp_path)
    layout = open_layout(tmp_path / half)
    assert (layout.format, layout.n_samples) == ("pina", 3)
    np.testing.assert_array_equal(reader.read(layout, "u0", 2), x[2, :, 0])
    np.testing.assert_array_equal(reader.read(layout, "u", 2), y[2, :, 0])
    windows = pickle.loads(pickle.dumps(Windows(layout)))
    torch.testing.assert_close(windows[1]["inputs"], x[1].T)
    torch.testing.assert_close(windows[1]["targets"][0], y[1].T)
    axis = layout.schema.axis("x")
    assert (axis.spacing, axis.lower, axis.upper) == ("node", 0, 2)


@pytest.mark.parametrize("shape", [(3, 7, 1), (10, 4, 4), (5,)])
def test_a_lone_tensor_is_refused_with_advice(tmp_path, shape):
    torch.save(torch.zeros(shape), tmp_path / "x.pt")
    with pytest.raises(DataError, match="nothing says what its axes mean.*mapping"):
        open_layout(tmp_path / "x.pt")


def test_halves_that_do_not_fit(tmp_path):
    write(tmp_path)
    for wrong, message in [
        (torch.zeros(3, 8, 1), "agree"),
        (torch.zeros(3, 7, 2), r"\(n, X, 1\)"),
        (torch.zeros(3, 7), r"\(n, X, 1\)"),
        (torch.zeros(3, 7, 1, dtype=torch.int64), "real"),
        ({"a": torch.zeros(3)}, r"\(n, X, 1\)"),
    ]:
        torch.save(wrong, tmp_path / "a_output_t.pt")
        with pytest.raises(DataError, match=message):
            open_layout(tmp_path / "a_input_t.pt")


@genuine
def test_genuine_advection_shifts_by_one_half_on_the_stated_points():
    layout = open_layout(DATA / "advection_input_training.pt")
    x = layout.schema.axis("x").coordinates
    start, end = (reader.read(layout, k, 7).astype(float) for k in ("u0", "u"))
    raw = torch.load(DATA / "advection_output_training.pt", weights_only=True)
    np.testing.assert_array_equal(end, raw[7, :, 0])
    shift = (end * x).sum() / end.sum() - (start * x).sum() / start.sum()
    assert shift == pytest.approx(0.5, abs=1e-3)
