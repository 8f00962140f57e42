"""Trajectories as data sets: from the problem to one-step tasks, and on the command line."""

from __future__ import annotations

import json
import sys

import h5py
import numpy as np
import pytest
import torch

from sciops.cli import main
from sciops.core.errors import SchemaError
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows, collate
from sciops.problems._generate import generate
from sciops.problems._worker import block_of
from sciops.problems.burgers import Burgers
from sciops.problems.navier_stokes import NavierStokes
from sciops.training.objectives import relative_l2

FLOW = NavierStokes(resolution=16, viscosity=2e-3, frames=5, interval=0.5, burn_in=0.5)
WAVE = Burgers(resolution=32, viscosity=0.05, frames=4)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    return generate(FLOW, 5, 3, tmp_path_factory.mktemp("flow") / "flow.hdf5", workers=1, block=5)


def test_any_number_of_workers_and_a_second_start_give_the_same_bytes(flow, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done:
            raise Stop

    path = tmp_path / "flow.hdf5"
    with pytest.raises(Stop):
        generate(FLOW, 5, 3, path, workers=2, block=2, progress=stop)
    generate(FLOW, 5, 3, path, workers=2, block=2)
    with h5py.File(flow) as one, h5py.File(path) as other:
        found = []
        one.visititems(lambda name, x: found.append(name) if isinstance(x, h5py.Dataset) else None)
        assert all(one[name][()].tobytes() == other[name][()].tobytes() for name in found)


@pytest.mark.parametrize(("problem", "name"), [(FLOW, "vorticity"), (WAVE, "u")])
def test_file_says_what_the_problem_said(problem, name, tmp_path):
    path = generate(problem, 3, 0, tmp_path / "x.hdf5", workers=1, dtype="float64")
    layout = open_layout(path)
    assert layout.schema == problem.schema() and layout.schema.dt == problem.interval
    assert all(axis.periodic for axis in layout.schema[name].domain.axes)
    np.testing.assert_array_equal(layout.lengths, problem.frames)
    windows = Windows(layout, window=Window(horizon=problem.frames - 1), dtype=torch.float64)
    assert len(windows) == 3
    window, expected = windows[2], block_of(problem, 0, 0, 3, "float64")[name][2]
    np.testing.assert_array_equal(window["inputs"].numpy()[0], expected[0])
    np.testing.assert_array_equal(window["targets"].numpy()[:, 0], expected[1:])
    np.testing.assert_allclose(window["time"].numpy(), problem.times(), rtol=1e-12)


def test_one_step_task_with_feedback(flow):
    windows = Windows(open_layout(flow), window=Window(history=1, horizon=1))
    assert len(windows) == 5 * 4 and windows.schema.dt == 0.5
    assert windows.schema.feedback == (("vorticity", "vorticity"),)
    sample = windows[1]
    assert sample["inputs"].shape == (1, 16, 16) and sample["targets"].shape == (1, 1, 16, 16)
    torch.testing.assert_close(sample["inputs"], windows[0]["targets"][0], rtol=0, atol=0)


def test_an_operator_trains_on_it(flow):
    from sciops.operators.persistence import Config

    windows = Windows(open_layout(flow), window=Window(horizon=2))
    operator = Config().build(windows.schema)
    operator.fit(windows)
    batch = collate(windows.__getitems__([0, 1, 2]))
    loss, _ = relative_l2(operator, batch, torch.Generator())
    assert 0.01 < float(loss) < 1.0


def test_the_last_frame_from_the_first(tmp_path):
    """Windows with a stride as long as the trajectory: u(0) -> u(T)."""
    path = generate(WAVE, 2, 0, tmp_path / "x.hdf5", workers=1)
    windows = Windows(open_layout(path), window=Window(stride=3))
    assert len(windows) == 2 and windows.schema.dt == pytest.approx(0.3)
    expected = block_of(WAVE, 0, 0, 2, "float32")["u"]
    np.testing.assert_array_equal(windows[1]["targets"].numpy()[0, 0], expected[1, 3])


def test_frames_that_are_missing_are_told():
    sample = FLOW.sample(np.random.default_rng(0))
    with pytest.raises(SchemaError, match=r"\(5, 16, 16\).* got .*\(4, 16, 16\)"):
        FLOW.check_sample({"vorticity": sample["vorticity"][1:]})


@pytest.mark.parametrize(
    ("problem", "settings"),
    [
        ("navier_stokes", ("viscosity=1e-3", "forcing=kolmogorov", "frames=3", "burn_in=0.5")),
        ("burgers", ("viscosity=0.02", "frames=3")),
    ],
)
def test_on_the_command_line(problem, settings, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    command = ("data", "generate", problem, *settings, "--samples", "4", "--resolution", "32")
    for arguments in (
        (*command, "--workers", "1", "-o", "x.hdf5"),
        ("data", "inspect", "x.hdf5", "--here", "--json"),
    ):
        monkeypatch.setattr(sys, "argv", ["sciops", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert not end.value.code, out + err
    tree = json.loads(out)
    assert tree["samples"] == 4 and "state" in json.dumps(tree)
    with h5py.File("x.hdf5") as file:
        recipe = json.loads(file.attrs["recipe"])["problem"]
    assert recipe["kind"] == problem and recipe["frames"] == 3 and recipe["resolution"] == 32


def test_the_default_step_serves_a_box_of_any_length():
    """Velocities grow with the length, so that the step must not."""
    length = 2 * np.pi
    flow = NavierStokes(resolution=32, length=length, frames=2)
    w = flow.sample(np.random.default_rng(0))["vorticity"]
    fine = flow.model_copy(update={"step": 1.6 / 32 / 8})
    expected = fine.sample(np.random.default_rng(0))["vorticity"]
    assert np.linalg.norm(w - expected) < 1e-3 * np.linalg.norm(expected)
