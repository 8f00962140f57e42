"""The command under torchrun: two processes, both strategies, stopped and continued."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.write import write_dataset

SETTINGS = """
data: {path: toy.hdf5}
operator: {kind: unet, width: 4, levels: 1}
training: {epochs: 2, batch_size: 8, lr: 3.0e-3}
"""


def command(folder, processes, *arguments):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), "-m", "sciops.cli", "train",
         "run.yaml", "--quiet", *arguments],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_write_the_run_of_one(tmp_path):
    grid = Grid((Axis.uniform("x", 8), Axis.uniform("y", 6)))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), name="toy")
    a = np.random.default_rng(0).normal(size=(40, 8, 6)).astype(np.float32)
    write_dataset(tmp_path / "toy.hdf5", schema, {"a": a, "u": a.cumsum(1)})
    (tmp_path / "run.yaml").write_text(SETTINGS)
    command(tmp_path, 1, "-o", "one")
    for kind in ("ddp", "fsdp"):
        command(tmp_path, 2, "-o", kind, f"training.distributed={kind}")
    weights = {
        k: load_file(tmp_path / k / "model/model.safetensors") for k in ("one", "ddp", "fsdp")
    }
    for kind in ("ddp", "fsdp"):
        run = json.loads((tmp_path / kind / "run.json").read_text())
        assert (run["status"], run["processes"]) == ("finished", 2)
        assert (tmp_path / kind / "errors.nc").is_file()
        for name, value in weights["one"].items():
            np.testing.assert_allclose(weights[kind][name], value, rtol=1e-2, atol=1e-3)
