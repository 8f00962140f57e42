"""Defects that the reference implementations have, each named; ours does what was meant.

Those of CFDBench's loader (masks, padding, time step, parameters, splits) stand in
tests/data/formats/test_cfdbench.py.  What is quoted was found by running the published code.
"""

from __future__ import annotations

import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from sciops.core.errors import ConfigError, DataError
from sciops.core.schema import Axis, Boundary
from sciops.core.statistics import Moments
from sciops.data.arrays import from_arrays
from sciops.data.convert import convert
from sciops.data.formats.the_well import TheWell
from sciops.data.open import open_layout
from sciops.data.source import FileSource, open_source
from sciops.data.windows import Window, Windows

AXES = [Axis.uniform("x", 6, spacing="periodic"), Axis.uniform("y", 4, spacing="periodic")]


def flow(n=3, **fields):
    rng = np.random.default_rng(0)
    u = rng.normal(size=(n, 5, 6, 4)).astype(np.float32)
    boundary = [Boundary(a, s, "periodic") for a in ("x", "y") for s in ("lower", "upper")]
    return from_arrays(
        AXES, states={"u": u, **fields}, times=np.arange(5.0), boundary=boundary, name="flow"
    )


def seeds(path, data, nt_extra=0):
    with h5py.File(path, "w") as file:
        for k, values in enumerate(data):
            group = file.create_group(f"{k:04d}")
            group["data"] = values
            for name, n in zip("yx", values.shape[1:3], strict=True):
                group[f"grid/{name}"] = (np.arange(n) + 0.5) / n
            group["grid/t"] = np.linspace(0, 1, len(values) + nt_extra)
    return path


class TestCFDBench:
    def test_training_settings_that_do_not_exist_are_refused_before_training(self):
        """Published: `args.lr_step_size` does not exist, training crashes at HEAD."""
        from sciops.core.config import validate
        from sciops.training.loop import Training

        with pytest.raises(ConfigError, match="lr_step_size"):
            validate(Training, {"lr_step_size": 20}, "training")

    def test_batches_stay_where_the_data_are(self):
        """Published: `.cuda()` in the collation."""
        batch = Windows(flow(), window=Window()).batch([0, 1])
        assert {t.device.type for t in batch.values()} == {"cpu"}


class TestPDEBench:
    def test_one_time_more_than_frames_is_trimmed_and_said(self, tmp_path):
        """Published: t-coordinate has nt + 1 entries."""
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            file["tensor"] = np.zeros((2, 4, 3), np.float32)
            file["x-coordinate"], file["t-coordinate"] = np.arange(3) / 3, np.arange(5) / 4
        layout = open_layout(tmp_path / "a.hdf5")
        np.testing.assert_allclose(layout.times(0), [0, 0.25, 0.5, 0.75])
        assert any("trimmed" in note for note in layout.notes)

    def test_diff_react_is_stored_y_before_x(self, tmp_path):
        """Published: loader and documentation say (t, x, y, v); the bytes are (t, y, x, v)."""
        data = np.random.default_rng(0).normal(size=(1, 3, 4, 6, 2)).astype(np.float32)
        layout = open_layout(seeds(tmp_path / "a.h5", data))
        assert layout.schema["activator"].domain.names == ("y", "x")
        assert layout.schema["activator"].domain.shape == (4, 6)

    def test_files_of_seeds_can_be_merged(self, tmp_path):
        """Published: `Data_Merge.py` cannot run (`create_dataet`, `glob().sort()`)."""
        from sciops.data.merge import merge

        rng = np.random.default_rng(0)
        paths = [
            seeds(tmp_path / f"{k}.h5", rng.normal(size=(2, 3, 4, 6, 2)).astype(np.float32))
            for k in range(3)
        ]
        whole = convert(merge([open_source(p) for p in paths]), tmp_path / "all.hdf5").path
        assert open_layout(whole).n_samples == 6
        np.testing.assert_array_equal(
            open_source(whole).read("inhibitor", 5), open_source(paths[2]).read("inhibitor", 1)
        )


class TestTheWell:
    def test_what_we_write_passes_its_rules(self, tmp_path):
        """Published: its own `write_dummy_data` misses time_varying and writes string dims."""
        with h5py.File(TheWell().write_tiny(tmp_path)) as file:
            for name in ("t0_fields", "t1_fields", "t2_fields", "scalars"):
                for data in file[name].values():
                    assert {"sample_varying", "time_varying"} <= set(data.attrs)
            for group in file["boundary_conditions"].values():
                assert group.attrs["associated_dims"].shape == (1,)
                assert {"sample_varying", "time_varying"} <= set(group.attrs)

    def test_periodic_comes_back_as_periodic(self, tmp_path):
        """Published: the periodic conditions of its dummy data read back as OPEN."""
        path = convert(FileSource(flow()), tmp_path / "a.hdf5", "the_well").path
        schema = open_layout(path).schema
        for axis in ("x", "y"):
            assert schema.axis(axis).spacing == "periodic"
            for side in ("lower", "upper"):
                assert schema.boundary_kind(axis, side) == "periodic"

    def test_a_check_that_fails_says_so_with_its_exit_code(self, tmp_path):
        """Published: the checker prints tracebacks and ends with exit code 0."""
        u = np.random.default_rng(0).normal(size=(3, 5, 6, 4)).astype(np.float32)
        u[1, 2] = np.nan
        path = convert(FileSource(flow(u=u)), tmp_path / "a.hdf5", "the_well").path
        done = subprocess.run(
            [sys.executable, "-m", "sciops.cli", "data", "validate", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stdout + done.stderr
        assert "NaN" in done.stdout

    def test_a_small_file_of_the_same_schema(self, tmp_path):
        """Published: `miniwell` uses an attribute that does not exist."""
        from sciops.data.mini import mini

        path = convert(FileSource(flow()), tmp_path / "a.hdf5", "the_well").path
        small = mini(path, tmp_path / "small.hdf5", samples=2, frames=3).converted.path
        assert open_layout(small).format == "the_well"
        assert open_layout(small).schema.variables == open_layout(path).schema.variables
        assert open_layout(small).lengths.tolist() == [3, 3]

    def test_trajectories_longer_than_the_shortest_are_whole(self, tmp_path):
        """Published: full trajectories are cut to the shortest (viscoelastic: 20 or 60 steps)."""
        rng = np.random.default_rng(0)
        for frames in (2, 6):
            layout = from_arrays(
                AXES, states={"u": rng.normal(size=(2, frames, 6, 4)).astype("f4")},
                times=np.arange(float(frames)), name="d",
            )  # fmt: skip
            (tmp_path / "data" / "train").mkdir(parents=True, exist_ok=True)
            convert(FileSource(layout), tmp_path / f"data/train/{frames}.hdf5", "the_well")
        layout = open_layout(tmp_path)
        assert layout.lengths.tolist() == [2, 2, 6, 6]
        assert len(Windows(layout, window=Window())) == 2 * 1 + 2 * 5

    def test_what_is_not_known_of_a_side_is_not_open(self):
        """Published: only periodic, wall and open padding; everything else becomes open."""
        layout = from_arrays({"x": (0, 1)}, states={"u": np.zeros((1, 2, 3))})
        assert layout.schema.boundary_kind("x", "lower") == "unknown"


class TestNeuraloperator:
    def test_the_standard_deviation_of_blocks_is_that_of_the_whole(self):
        """Published: `partial_fit` is off by sqrt(n / (n - 1)) (2.6838 against 2.6733)."""
        values = 2.7 * np.random.default_rng(0).normal(size=(128, 1))
        moments = Moments(1)
        for begin in range(0, 128, 7):
            moments.update(values[begin : begin + 7])
        assert moments.result().std[0] == pytest.approx(values.std(), rel=1e-14)

    def test_an_offset_of_1000_does_not_cancel(self):
        """Published: NaN, the square root of a negative number."""
        values = 1e3 + 1e-3 * np.random.default_rng(0).normal(size=(1000, 1))
        moments = Moments(1)
        for row in values.astype(np.float32).reshape(10, 100, 1):
            moments.update(row)
        assert moments.result().std[0] == pytest.approx(values.astype(np.float32).std(dtype=float))

    def test_points_outside_a_mask_do_not_count(self):
        """Published: the masked normaliser raises."""
        u = np.random.default_rng(0).normal(size=(2, 3, 6, 4))
        u[..., :2] = 1e6
        mask = np.ones((2, 6, 4), bool)
        mask[..., :2] = False
        layout = from_arrays(AXES, states={"u": u}, geometry={"mask": mask})
        found = Windows(layout, window=Window()).statistics()["u"]
        assert found.mean[0] == pytest.approx(u[..., 2:].mean())
        assert found.max[0] < 10

    def test_the_order_of_the_fields_is_the_same_in_every_process(self, tmp_path):
        """Published: iterates a `set()`, so the order of the channels changes between processes."""
        u = np.zeros((3, 5, 6, 4), np.float32)
        path = convert(FileSource(flow(b=u, a=u, z=u)), tmp_path / "a.hdf5", "the_well").path
        code = (
            "import sys; from sciops.data.open import open_layout;"
            "print([v.name for v in open_layout(sys.argv[1]).schema.variables])"
        )
        orders = {
            subprocess.run(
                [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True,
                env={"PYTHONHASHSEED": str(k), "PATH": ""},
            ).stdout
            for k in (1, 2)
        }  # fmt: skip
        assert orders == {"['u', 'b', 'a', 'z']\n"}

    def test_a_data_set_pickles_after_it_was_read(self, tmp_path):
        """Published: H5 data sets cannot be pickled once they were opened."""
        path = convert(FileSource(flow()), tmp_path / "a.hdf5").path
        windows = Windows(open_layout(path), window=Window())
        first = windows[0]
        again = pickle.loads(pickle.dumps(windows))[0]
        torch.testing.assert_close(again["inputs"], first["inputs"])


class TestPickle:
    def test_numbers_beside_pickled_metadata_are_read(self, tmp_path):
        """PhiFlow's .npz hold pickled metadata: the numeric members are read, nothing is run."""
        from sciops.data import containers

        meta = np.array({"type": "grid"}, dtype=object)
        np.savez(tmp_path / "a.npz", data=np.arange(6.0), meta=meta)
        assert set(containers.arrays(tmp_path / "a.npz")) == {"data"}

    def test_a_pickle_is_refused(self, tmp_path):
        torch.save({"x": [object]}, tmp_path / "a.pt")
        with pytest.raises(DataError, match="refused"):
            open_layout(tmp_path / "a.pt")
