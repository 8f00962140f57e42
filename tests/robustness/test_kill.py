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
SETTINGS = """
data: {path: toy.hdf5}
operator: {kind: unet, width: 8, levels: 2}
training: {epochs: 60, batch_size: 8, lr: 3.0e-3, ema: 0.99, checkpoint_seconds: 0.05}
"""


def command(folder: str, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "sciops.cli", "train", "run.yaml", "-o", folder, "--quiet"],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


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
    alone = command("alone", tmp_path)
    assert alone.wait() == 0, alone.stderr.read()
    seconds = time.monotonic() - started

    moments = random.Random(0)
    done, kills, steps = None, 0, []
    while done is None:
        process = command("killed", tmp_path)
        # Early ones hit the start-up, late ones training, checkpoints and evaluation.
        wait = moments.uniform(0.3, 1.0) * seconds / 4 if kills < KILLS else None
        try:
            done = process.wait(wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            if (tmp_path / "killed").is_dir():
                every_file_is_whole(tmp_path / "killed")
                steps += [p.name for p in (tmp_path / "killed" / "checkpoints").glob("step-*")]
    assert done == 0, process.stderr.read()
    assert kills == KILLS
    assert len(set(steps)) > 5, "the kills must have hit the training, not only the start"
    for name in ("alone", "killed"):
        assert json.loads((tmp_path / name / "run.json").read_text())["status"] == "finished"
    one, other = (
        load_file(tmp_path / n / "model" / "model.safetensors") for n in ("alone", "killed")
    )
    assert set(one) == set(other)
    for key, value in one.items():
        assert torch.equal(value, other[key]), key
    assert not list((tmp_path / "killed").rglob(".*.tmp"))
