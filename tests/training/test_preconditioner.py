"""Training preconditioners in a folder: repeatable, resumed to the bit, and refused where wrong."""

from __future__ import annotations

import json
import math
import resource
import shutil
import signal

import numpy as np
import pytest
import torch
from torch import nn

from sciops.core.config import to_yaml, validate
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import (
    ConfigError,
    DataError,
    NotPositiveDefinite,
    ResumeError,
    SciopsError,
    ShapeError,
)
from sciops.core.linear import CallableMap
from sciops.data.weights import read_weights
from sciops.solvers import learned_multigrid, load
from sciops.training.descent import Descent, minimise
from sciops.training.directions import krylov
from sciops.training.loop import Diverged, Stopped
from sciops.training.matrices import Media
from sciops.training.preconditioner import (
    PreconditionerRun,
    described,
    iterations,
    train,
    unseen,
)

SMALL = {
    "preconditioner": {"kind": "learned_multigrid", "channels": 4, "depth": 1},
    "matrices": {"kind": "media", "shape": [17, 16], "stack": 2},
    "objective": {"kind": "krylov", "steps": 2},
    "training": {"steps": 6, "lr": 1e-2, "checkpoint_seconds": 1e-9},
    "unseen": 1,
}
PUBLISHED = {
    "preconditioner": {
        "kind": "dcdm",
        "network": {"kind": "published", "dimension": 2, "channels": 2, "pairs": [0, 1, 0]},
    },
    "matrices": {"kind": "media", "shape": [10, 9], "laws": ["constant"], "stack": 1},
    "objective": {"kind": "line_search", "ritz": 20, "right_hand_sides": 30},
    "training": {"steps": 4},
    "unseen": 1,
}


def run(**changes) -> PreconditionerRun:
    return validate(PreconditionerRun, SMALL | changes)


class Weights(nn.Module):
    """A diagonal preconditioner."""

    def __init__(self, *shape):
        super().__init__()
        self.log = nn.Parameter(torch.zeros(shape, dtype=torch.float64))

    def setup(self, A):
        return CallableMap(lambda r: self.log.exp() * r, A.shape, A.dtype)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_descent_is_repeatable_and_reports():
    a = torch.from_numpy(100.0 ** np.random.default_rng(0).random((6, 6)))
    A = DiffusionMap.from_coefficient(a, (1 / 6, 1 / 6), "cell")
    seen, losses = [], []
    for _ in range(2):
        model = Weights(6, 6)
        found, seconds = minimise(
            model,
            krylov(lambda g: A, 2, 3),
            Descent(steps=5, lr=0.1),
            seeded(),
            progress=lambda *p: seen.append(p),
        )
        losses.append(found)
        assert seconds > 0
    assert losses[0] == losses[1] and not model.training
    assert seen[:5] == [(k + 1, 5, {"loss": loss}) for k, loss in enumerate(losses[0])]
    assert losses[0][-1] < losses[0][0]


def test_what_is_stopped_without_a_folder_is_lost():
    def objective(model, generator):
        signal.raise_signal(signal.SIGTERM)
        return model.log.sum()

    with pytest.raises(Stopped, match="after step 1; nothing is kept"):
        minimise(Weights(6, 6), objective, Descent(steps=3), seeded())


def test_divergence_is_an_error():
    with pytest.raises(Diverged, match="step 0 of 3"):
        minimise(Weights(6, 6), lambda m, g: m.log.sum() * math.nan, Descent(steps=3), seeded())


@pytest.mark.parametrize("tree", [SMALL, PUBLISHED], ids=["learned_multigrid", "dcdm"])
def test_a_run_is_a_trained_folder_and_resumes_to_the_bit(tree, tmp_path):
    config = validate(PreconditionerRun, tree)
    whole = train(config, tmp_path / "whole")
    assert whole["status"] == "finished" and whole["params"] > 0

    def stop(done, steps, numbers):
        if done == 3:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="after step 3"):
        train(config, tmp_path / "parts", stop)
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    parts = train(config, tmp_path / "parts")
    assert parts["iterations"] == whole["iterations"] and parts["loss"] == whole["loss"]
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(first[k], second[k]) for k in first)
    lines = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, config.training.steps + 1))
    loaded = load(tmp_path / "whole")
    assert not loaded.training and whole["params"] == sum(p.numel() for p in loaded.parameters())
    assert train(config, tmp_path / "whole") == whole  # done already


class _Recorder(nn.Module):
    """Jacobi that remembers the matrices it was given."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.seen = []

    def setup(self, A):
        self.seen.append(A.diagonal().detach())
        inverse = self.weight / A.diagonal()
        return CallableMap(lambda r: inverse * r, A.shape, A.dtype, symmetric=True, positive=True)


def test_iterations_are_counted_on_matrices_that_training_has_not_seen():
    config, model = run(unseen=2), _Recorder()
    draw = config.matrices.source()
    minimise(model, krylov(draw, 1, 2), Descent(steps=8), seeded(config.seed))
    trained_on = len(model.seen)
    counted = iterations(model, config, draw)
    assert counted["trained"] == counted["jacobi"] and len(counted["multigrid"]) == 4
    new = model.seen[trained_on:]
    assert len(new) == 2
    assert not any(torch.equal(a, b) for a in new for b in model.seen[:trained_on])


def test_what_is_not_solved_is_not_a_count():
    config, model = run(unseen=1), _Recorder()
    with torch.no_grad():
        model.weight.fill_(torch.nan)
    counted = iterations(model, config, config.matrices.source())
    assert counted["trained"] == [None, None] and None not in counted["jacobi"]
    assert described(counted["trained"]) == ("-", "-", "-", "2 of 2")
    assert described([3, None, 5]) == ("3", "4.0", "5", "1 of 3")


def test_a_gradient_that_is_not_finite_ends_the_run():
    def objective(model, generator):
        return (model.log - model.log.detach()).abs().sum().sqrt()  # 0, with an infinite slope

    with pytest.raises(Diverged, match="gradient is nan"):
        minimise(Weights(3), objective, Descent(steps=2), seeded())


def test_a_network_that_does_not_fit_leaves_nothing_behind(tmp_path):
    wrong = {"kind": "learned_multigrid", "dimension": 3}
    with pytest.raises(ShapeError, match="3 dimensions"):
        train(run(preconditioner=wrong), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert train(run(), tmp_path / "a")["status"] == "finished"


def test_grids_too_small_to_be_coarsened_are_refused(tmp_path):
    tiny = {"kind": "media", "shape": [4, 4], "stack": 2}
    with pytest.raises(SciopsError, match="too small to be coarsened"):
        train(run(matrices=tiny), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_fixed_matrix_is_not_called_unseen(tmp_path):
    assert unseen(run()) == "matrices that it has not seen"
    constant = {"kind": "media", "shape": [9, 8], "laws": ["constant"], "stack": 2}
    assert "that it was trained on" in unseen(run(matrices=constant))
    train(run(matrices=constant), tmp_path / "a")
    card = (tmp_path / "a" / "README.md").read_text()
    assert "the matrix that it was trained on, other right-hand sides" in card


def test_refusals(tmp_path):
    with pytest.raises(ConfigError, match="no preconditioner 'unet' can be trained; known: dcdm"):
        train(run(preconditioner={"kind": "unet"}), tmp_path / "a")
    with pytest.raises(ConfigError, match="chanels"):
        train(run(preconditioner={"kind": "learned_multigrid", "chanels": 2}), tmp_path / "a")
    with pytest.raises(ConfigError, match="matrices.stack to 1"):
        train(run(objective={"kind": "line_search"}), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    train(run(), tmp_path / "b")
    with pytest.raises(ResumeError, match=r"another run \(seed: 0 there, 1 now\)"):
        train(run(seed=1), tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("")
    with pytest.raises(ResumeError, match="not empty"):
        train(run(), tmp_path / "c")
    with pytest.raises(DataError, match=r"nothing\.npz"):
        train(run(matrices={"kind": "file", "path": str(tmp_path / "nothing.npz")}), tmp_path / "d")
    lopsided = np.eye(3)
    lopsided[0, 1] = 1.0
    np.save(tmp_path / "A.npy", lopsided)
    with pytest.raises(NotPositiveDefinite, match="not symmetric positive definite"):
        train(run(matrices={"kind": "file", "path": str(tmp_path / "A.npy")}), tmp_path / "d")


def test_a_matrix_from_a_file(tmp_path):
    from scipy.sparse import save_npz

    A = Media(shape=(12, 11), stack=1).draw(seeded())
    save_npz(tmp_path / "A.npz", A.sparse().tocsr())
    matrices = {"kind": "file", "path": str(tmp_path / "A.npz"), "shape": [12, 11]}
    found = train(run(matrices=matrices), tmp_path / "run")
    assert set(found["iterations"]) == {"trained", "jacobi"}
    assert max(found["iterations"]["trained"]) < min(found["iterations"]["jacobi"])
    assert to_yaml(run(matrices=matrices)).count("A.npz") == 1


def test_laws_of_media():
    generator = seeded()
    for law in ("constant", "lognormal", "two_phase", "grains"):
        A = Media(shape=(24, 23), laws=(law,), contrast=100.0, stack=8).draw(generator)
        t = torch.cat([f[..., 1:-1, :].flatten(1) for f in A.conductances[:1]], 1)
        low, high = t.amin(1), t.amax(1)
        assert bool((low >= 1 - 1e-9).all()) and bool((high <= 100 * (1 + 1e-9)).all())
        assert bool((high > low).all()) == (law != "constant")
    two = Media(shape=(24, 23), laws=("two_phase",), stack=1).draw(generator)
    wall = two.conductances[0][0] / 2  # the coefficient itself
    assert len(wall.unique()) <= 2


def test_solid_cells_of_media():
    A = Media(shape=(20, 20), solid=0.5, stack=16, walls="neumann").draw(seeded())
    share = (A.diagonal() == 0).double().mean((-1, -2))
    assert 0 <= float(share.min()) < 0.1 and 0.3 < float(share.max()) <= 0.5
    assert A.kernel is not None


def test_settings_written_out_are_the_same_run(tmp_path):
    train(run(), tmp_path)
    network = SMALL["preconditioner"] | {"dimension": 2}
    before = (tmp_path / "run.json").read_bytes()
    train(run(preconditioner=network), tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before


def test_lost_weights_are_made_again_from_the_checkpoint(tmp_path):
    train(run(), tmp_path)
    before = weights(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        DataError, match=r"not a trained preconditioner: model\.safetensors missing"
    ):
        load(tmp_path)
    train(run(), tmp_path)
    assert all(torch.equal(t, before[k]) for k, t in weights(tmp_path).items())


@pytest.mark.parametrize("name", ["model", "optimizer", "rng", "losses"])
def test_a_checkpoint_without_a_file_is_damaged(tmp_path, name):
    train(run(), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    for checkpoint in (tmp_path / "checkpoints").iterdir():
        (checkpoint / f"{name}.safetensors").unlink()
    with pytest.raises(ResumeError, match="damaged checkpoint"):
        train(run(), tmp_path)


def test_the_run_of_an_operator_is_left_alone(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"run_id": "a", "settings": {"operator": {}}}))
    with pytest.raises(ResumeError, match="the run of an operator"):
        train(run(), tmp_path)
    with pytest.raises(DataError, match="not a trained preconditioner"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", '{"status": "running", "settings": null}'])
def test_a_damaged_record_is_no_training(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match="not a trained preconditioner"):
        load(tmp_path)


def test_settings_that_lie_allocate_nothing(tmp_path):
    """Weights of 4 channels under settings that ask for gigabytes."""
    train(validate(PreconditionerRun, PUBLISHED), tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    text = config.read_text()
    assert "channels: 2" in text
    config.write_text(text.replace("channels: 2", "channels: 1024").replace("- 1\n", "- 64\n"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="do not fit the settings"):
        load(tmp_path / "run")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB of 4 GB
    shutil.rmtree(tmp_path / "run")


def test_grids_of_one_point_are_refused():
    with pytest.raises(ConfigError, match="shape"):
        run(matrices={"kind": "media", "shape": [1]})


def test_weights_of_other_settings_are_refused(tmp_path):
    train(run(), tmp_path)
    other = learned_multigrid.Trained(channels=5, depth=1).build()
    with pytest.raises(DataError, match="do not fit"):
        read_weights(tmp_path / "model.safetensors", other)
