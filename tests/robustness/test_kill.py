"""SIGKILL at 20 random moments of a training run: the weights end as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.write import write_dataset

KILLS = 20
STEPS = 1200  # 60 epochs of 20 batches
SETTINGS = """
data: {path: toy.hdf5}
operator: {kind: unet, width: 8, levels: 2}
training: {epochs: 60, batch_size: 8, lr: 3.0e-3, ema: 0.99, checkpoint_seconds: 0.05}
"""


def command(folder: str, cwd: Path) -> subprocess.Popen:
    with (cwd / f"{folder}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "sciops.cli", "train", "run.yaml", "-o", folder, "--quiet"],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )


def newest_step(run: Path) -> int:
    return max((int(p.name[5:]) for p in (run / "checkpoints").glob("step-*")), default=0)


def wait_for(process: subprocess.Popen, run: Path, step: int, seconds: float) -> int | None:
    """Until the run has passed a step (or `seconds` have gone); its exit code if it ended first."""
    end = time.monotonic() + seconds
    while process.poll() is None and newest_step(run) < step and time.monotonic() < end:
        time.sleep(0.003)
    return process.poll()


def every_file_is_whole(run: Path) -> None:
    for path in run.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(run).parts) or path.is_dir():
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            load_file(path)


@pytest.mark.slow
def test_a_run_that_is_killed_20_times_ends_with_the_same_bits(tmp_path):
    grid = Grid((Axis.uniform("x", 24), Axis.uniform("y", 16)))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), name="toy")
    a = np.random.default_rng(0).normal(size=(200, 24, 16)).astype(np.float32)
    write_dataset(tmp_path / "toy.hdf5", schema, {"a": a, "u": a.cumsum(1)})
    (tmp_path / "run.yaml").write_text(SETTINGS)

    started = time.monotonic()
    alone, run = command("alone", tmp_path), tmp_path / "killed"
    wait_for(alone, tmp_path / "alone", 1, 300)
    start_up = time.monotonic() - started
    assert alone.wait(600) == 0, (tmp_path / "alone.log").read_text()

    moments, steps = random.Random(0), []
    for kill in range(KILLS):
        process = command("killed", tmp_path)
        if kill % 3 == 2:  # somewhere in the start-up
            code = wait_for(process, run, 1 << 30, moments.uniform(0.2, 1.0) * start_up)
        else:  # somewhere in the training: during a step, a checkpoint or a validation
            ahead = round(moments.uniform(0.1, 1.4) * STEPS / KILLS)
            code = wait_for(process, run, newest_step(run) + ahead, 300)
            time.sleep(moments.uniform(0.0, 0.1))
        assert code is None, (tmp_path / "killed.log").read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()
        if run.is_dir():
            every_file_is_whole(run)
            steps.append(newest_step(run))
    assert command("killed", tmp_path).wait(600) == 0, (tmp_path / "killed.log").read_text()
    assert len(set(steps)) > KILLS / 2, "the kills must have hit the training"
    for name in ("alone", "killed"):
        assert json.loads((tmp_path / name / "run.json").read_text())["status"] == "finished"
    one, other = (
        load_file(tmp_path / n / "model" / "model.safetensors") for n in ("alone", "killed")
    )
    assert set(one) == set(other)
    for key, value in one.items():
        assert torch.equal(value, other[key]), key
    assert not list(run.rglob(".*.tmp"))
