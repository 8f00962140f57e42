"""The loop: it learns, resumes to the bit, chooses on valid, and stops in order."""

from __future__ import annotations

import json
import math
import os
import signal

import numpy as np
import pytest
import torch

from sciops.core.errors import ResumeError
from sciops.core.schema import Grid
from sciops.data.arrays import from_arrays
from sciops.data.windows import Windows
from sciops.operators.deeponet import Config
from sciops.training import checkpoint
from sciops.training.distributed import World
from sciops.training.loop import Diverged, Loop, Stopped, Training, rate_factor

SMALL = {"epochs": 3, "batch_size": 4, "lr": 1e-2, "checkpoint_seconds": 1e-9}


def parts():
    """u = cumulative integral of a, on 8 cells."""
    a = np.random.default_rng(0).normal(size=(20, 8))
    layout = from_arrays({"x": (0, 1)}, inputs={"a": a}, targets={"u": a.cumsum(1) / 8})
    return Windows(layout, range(16)), Windows(layout, range(16, 20))


def loop(folder, settings=None, seed=0, progress=None, objective=None):
    train, valid = parts()
    assert isinstance(train.schema.input_domain, Grid)
    torch.manual_seed(seed)
    operator = Config(basis=8, trunk_width=16, trunk_depth=1).build(train.schema).fit(train)
    made = Loop(
        operator,
        train,
        valid,
        Training(**{**SMALL, **(settings or {})}),
        seed,
        folder,
        World(),
        progress,
    )
    if objective is not None:
        made.objective = objective
    return made


def noisy(model, batch, generator):
    """An objective that draws random numbers from both generators."""
    from sciops.training.objectives import mse

    loss, _ = mse(model, batch, generator)
    return loss * (1 + 0.1 * torch.rand((), generator=generator) + 0.1 * torch.rand(())), {}


def weights(made):
    return {k: p.detach().clone() for k, p in made.parameters.items()}


class Killed(BaseException):
    """Stands for a process that is gone: nothing after it runs."""


@pytest.mark.parametrize(
    "settings", [{}, {"ema": 0.9, "clip": 1.0}, {"accumulate": 2, "workers": 1}]
)
@pytest.mark.parametrize("at", [1, 4, 6, 12])
def test_a_killed_run_ends_with_the_same_bits(tmp_path, settings, at):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = loop(tmp_path / "a", settings, objective=noisy)
    torch.manual_seed(7)
    summary = whole.run()

    def kill(step, steps, numbers):
        if step == at:
            raise Killed

    first = loop(
        tmp_path / "b", {**settings, "checkpoint_seconds": 1e-9}, progress=kill, objective=noisy
    )
    torch.manual_seed(7)
    with pytest.raises(Killed):
        first.run()
    again = loop(tmp_path / "b", settings, objective=noisy)
    torch.manual_seed(7 if at == 1 else 99)  # nothing was saved before the first step
    resumed = again.run()
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(again)[name]), name
    drop = ("train_seconds",)
    assert {k: v for k, v in resumed.items() if k not in drop} == {
        k: v for k, v in summary.items() if k not in drop
    }
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if k != "time"}
            for line in (tmp_path / f / "metrics.jsonl").read_text().splitlines()
        ]
        for f in "ab"
    ]
    assert logs[0] == logs[1]


def test_it_learns(tmp_path):
    loop(tmp_path, {"epochs": 30}).run()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    losses = [x["train_loss"] for x in map(json.loads, lines) if "train_loss" in x]
    assert losses[-1] < 0.2 * losses[0]


def test_the_best_epoch_is_in_place_at_the_end(tmp_path):
    from sciops.training.validation import validate

    made = loop(tmp_path, {"lr": 0.3, "schedule": "constant", "warmup": 0.0, "epochs": 8})
    best = made.run()
    scores = [
        json.loads(line)["valid"]["relative_l2"]
        for line in (tmp_path / "metrics.jsonl").read_text().splitlines()
        if "valid" in line
    ]
    assert best["value"] == min(scores)
    assert best["epoch"] == 1 + scores.index(min(scores))
    again = validate(made.model, made.valid, made.settings, World())
    assert again["relative_l2"] == best["value"]


def test_a_batch_in_parts_has_the_same_gradient(tmp_path):
    gradients = []
    for accumulate in (1, 2, 3):
        made = loop(tmp_path, {"accumulate": accumulate, "objective": "mse"})
        batch = next(iter(made._batches(0, 0)))
        made._step(batch)
        gradients.append(torch.cat([p.grad.flatten() for p in made.parameters.values()]))
    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2])


def test_every_epoch_sees_every_sample_once_in_another_order(tmp_path):
    made = loop(tmp_path)
    orders = [[int(i) for b in made._batches(e, 0) for i in b["id"][:, 0]] for e in range(3)]
    assert all(sorted(o) == list(range(16)) for o in orders)
    assert len({tuple(o) for o in orders}) == 3
    rest = [int(i) for b in made._batches(1, 2) for i in b["id"][:, 0]]
    assert rest == orders[1][8:]


def test_a_signal_ends_with_a_checkpoint(tmp_path):
    def send(step, steps, numbers):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGTERM after step 5") as error:
        loop(tmp_path, {"checkpoint_seconds": 1e9}, progress=send).run()
    assert error.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert checkpoint.latest(tmp_path / "checkpoints").name == "step-000000005"


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path):
    def explode(model, batch, generator):
        return model(batch["inputs"]).sum() * math.inf, {}

    with pytest.raises(Diverged, match=r"step 0 of 12.*smaller training\.lr"):
        loop(tmp_path, objective=explode).run()


def test_a_shorter_log_than_the_checkpoint_says_is_refused(tmp_path):
    loop(tmp_path).run()
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(ResumeError, match="shorter than the checkpoint"):
        loop(tmp_path).run()


def test_a_damaged_checkpoint_is_named(tmp_path):
    loop(tmp_path).run()
    newest = checkpoint.latest(tmp_path / "checkpoints")
    (newest / "model.safetensors").write_bytes(b"\0" * 40)
    with pytest.raises(ResumeError, match="damaged checkpoint"):
        loop(tmp_path).run()


def test_bf16(tmp_path):
    assert loop(tmp_path, {"precision": "bf16", "epochs": 20}).run()["value"] < 0.5


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_schedules_rise_and_fall(schedule):
    rates = np.array([rate_factor(k, 100, schedule, 0.3) for k in range(100)])
    top = rates.argmax()
    assert rates.max() == pytest.approx(1.0, abs=1e-3)
    assert 25 <= top <= 32
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert rates[-1] == 1.0 if schedule == "constant" else rates[-1] < 1e-3


def test_one_cycle_is_that_of_torch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    peer = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=50, cycle_momentum=False)
    for k in range(50):
        assert rate_factor(k, 50, "one_cycle", 0.3) == pytest.approx(
            peer.get_last_lr()[0], abs=1e-12
        )
        optimizer.step()
        if k < 49:
            peer.step()
