"""What every format keeps, as functions for formats of the package and from outside."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from sciops.core.schema import Schema
from sciops.data import reader
from sciops.data.layout import Format, Layout
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import as_dataset


def opened(fmt: Format, folder: Path) -> Layout:
    """The layout of the tiny file that the format writes."""
    return fmt.layout(fmt.write_tiny(folder))


def check_recognises_its_own(fmt: Format, folder: Path) -> None:
    reason = fmt.recognises(fmt.write_tiny(folder))
    assert reason and len(reason) > 10


def check_refuses_other_things(fmt: Format, folder: Path) -> None:
    text = folder / "text.hdf5"
    text.write_text("not a data set")
    empty = folder / "empty.pt"
    empty.write_bytes(b"")
    for path in (text, empty, folder):
        assert fmt.recognises(path) is None


def check_schema_round_trip(fmt: Format, folder: Path) -> None:
    schema = opened(fmt, folder).schema
    assert Schema.from_json(schema.to_json()) == schema


def check_fields_have_the_shape_of_their_grid(fmt: Format, folder: Path) -> None:
    layout = opened(fmt, folder)
    for v in layout.schema.variables:
        if v.domain is None:
            continue
        for sample in range(layout.n_samples):
            time = (int(layout.lengths[sample]),) if v.time_varying else ()
            values = reader.read(layout, v.name, sample)
            assert values.shape == (*time, *v.domain.shape, *v.components)
            assert np.isfinite(values.astype(float)).all()


def check_labelled_view_equals_reader(fmt: Format, folder: Path) -> None:
    layout = opened(fmt, folder)
    dataset = as_dataset(layout)
    for v in layout.schema.variables:
        assert len(set(dataset[v.name].dims)) == dataset[v.name].ndim
        if v.domain is None:
            continue
        last = layout.n_samples - 1
        there = dataset[v.name].isel(sample=last).values
        if v.time_varying:  # a shorter trajectory is filled up with NaN
            there = there[: layout.lengths[last]]
        np.testing.assert_array_equal(there, reader.read(layout, v.name, last))


def check_frames_are_read_alone(fmt: Format, folder: Path) -> None:
    layout = opened(fmt, folder)
    for v in layout.schema.variables:
        if v.time_varying and layout.lengths[0] > 1:
            whole = reader.read(layout, v.name, 0)
            one = reader.read(layout, v.name, 0, slice(1, 2))
            np.testing.assert_array_equal(one, whole[1:2])


def check_pickles(fmt: Format, folder: Path) -> None:
    windows = Windows(opened(fmt, folder), window=Window())
    again = pickle.loads(pickle.dumps(windows))
    for key, value in windows[0].items():
        torch.testing.assert_close(again[0][key], value, rtol=0, atol=0, equal_nan=True)


def check_windows_in_workers(fmt: Format, folder: Path, method: str) -> None:
    windows = Windows(opened(fmt, folder), window=Window())
    windows = pickle.loads(pickle.dumps(windows))
    here = list(DataLoader(windows, 2))
    there = list(DataLoader(windows, 2, num_workers=1, multiprocessing_context=method))
    for a, b in zip(here, there, strict=True):
        for key in a:
            torch.testing.assert_close(a[key], b[key], rtol=0, atol=0, equal_nan=True)


CHECKS = (
    check_recognises_its_own,
    check_refuses_other_things,
    check_schema_round_trip,
    check_fields_have_the_shape_of_their_grid,
    check_labelled_view_equals_reader,
    check_frames_are_read_alone,
    check_pickles,
)
