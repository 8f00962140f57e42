"""Fourteen properties of a Fourier neural operator: sciops and neuraloperator, side by side.

    python benchmarks/correctness/spectral.py [--json PATH] [--markdown PATH]

Each row asks both libraries the same question, and the answer is a number: the relative error,
against a closed form, against numpy's FFT in float64, or between two ways that must agree.  Where a
library raises instead, its error is the answer.  `tests/layers/spectral/test_correctness_table.py`
runs our side of the same rows.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sciops.core import resolve
from sciops.core.errors import SchemaError
from sciops.core.operator import rollout
from sciops.data.arrays import from_arrays
from sciops.data.windows import Windows
from sciops.layers.spectral import Basis, Dense, SpectralMixer, Transform
from sciops.operators.fno import Config
from sciops.training.distributed import World
from sciops.training.loop import Loop, Training

PEER = "neuraloperator"
MODES = 12
SIZES = range(8, 66)
TOP = 5  # kept with both signs by 12 modes; of the next one, 6, one sign


@dataclass(frozen=True)
class Row:
    """One property; both sides give an error, which passes if it is not above the tolerance."""

    name: str
    what: str
    ours: Callable[[], float]
    theirs: Callable[[], float]
    tolerance: float
    precise: Callable[[], float] | None = None  # ours once more in float64, to 1e-12


def main() -> None:
    """Run both sides, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--markdown", type=Path)
    given = arguments.parse_args()
    results = [measured(row) for row in ROWS]
    page = table(results)
    print(page)
    if given.json:
        given.json.write_text(
            json.dumps({"versions": versions(), "rows": results}, indent=1) + "\n"
        )
    if given.markdown:
        given.markdown.write_text(page)


def measured(row: Row) -> dict[str, Any]:
    """Both sides of a row."""
    ours, theirs = answer(row.ours), answer(row.theirs)
    precise = None if row.precise is None else answer(row.precise)
    passes = passed(ours, row.tolerance) and (precise is None or passed(precise, 1e-12))
    return {
        "name": row.name,
        "what": row.what,
        "ours": ours,
        "ours_float64": precise,
        "neuraloperator": theirs,
        "tolerance": row.tolerance,
        "ours_passes": passes,
        "neuraloperator_passes": passed(theirs, row.tolerance),
    }


def answer(side: Callable[[], float]) -> float | str:
    """The error in numbers, or the class and first line of what is raised."""
    with quiet():
        try:
            return float(side())
        except Exception as error:  # whatever it is, it is the answer
            first = (str(error).strip().splitlines() or [""])[0].split(". ")[0]
            return f"{type(error).__name__}: {first}"[:120]


def passed(result: float | str, tolerance: float) -> bool:
    """Whether it is a number, and small enough (a NaN is not)."""
    return not isinstance(result, str) and result <= tolerance


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """neuraloperator warns on import, and prints."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def table(results: Sequence[dict[str, Any]]) -> str:
    """The rows as a page of markdown."""
    lines = [
        "# Correctness of the spectral layers",
        "",
        "Written by `python benchmarks/correctness/spectral.py`. Numbers are relative errors; "
        "in brackets ours",
        "in float64, to be at most 1e-12.",
        "",
        "| property | sciops | neuraloperator | at most | sciops | neuraloperator |",
        "|---|---|---|---|---|---|",
    ]
    for r in results:
        ours = text(r["ours"])
        ours += "" if r["ours_float64"] is None else f" ({text(r['ours_float64'])})"
        marks = ["pass" if r[f"{side}_passes"] else "**fail**" for side in ("ours", PEER)]
        cells = (r["name"], ours, text(r[PEER]), f"{r['tolerance']:.0e}", *marks)
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    count = [sum(r[f"{side}_passes"] for r in results) for side in ("ours", PEER)]
    total = len(results)
    lines.append(f"| **passed** | | | | **{count[0]} of {total}** | **{count[1]} of {total}** |")
    lines += ["", *(f"- {r['name']}: {r['what']}." for r in results), ""]
    lines += [", ".join(f"{name} {v}" for name, v in versions().items()) + "."]
    return "\n".join(lines) + "\n"


def text(result: float | str) -> str:
    """A number in two digits, or the error."""
    return result if isinstance(result, str) else f"{result:.1e}" if result else "0"


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    packages = {name: version(name) for name in ("sciops", "torch", PEER)}
    return {**packages, "python": platform.python_version(), "processor": platform.machine()}


# --------------------------------------------------------------------------- layers and fields


def ours(identity: bool, dtype: torch.dtype = torch.float32, precision: str = "full") -> Any:
    """Our layer of 12 x 12 modes: one channel of unit weights, or three of random ones."""
    transform = Transform([Basis("fourier", MODES)] * 2)
    torch.manual_seed(0)
    channels = 1 if identity else 3
    dense = Dense(transform.modes, channels, channels, precision)  # type: ignore[arg-type]
    if identity:
        with torch.no_grad():
            dense.weight[..., 0, :], dense.weight[..., 1, :] = 1.0, 0.0
    return SpectralMixer(transform, dense.to(dtype))


def theirs(identity: bool, **settings: Any) -> Any:
    """neuraloperator's layer with the same settings."""
    from neuralop.layers.spectral_convolution import SpectralConv

    torch.manual_seed(0)
    channels = 1 if identity else 3
    conv = SpectralConv(channels, channels, (MODES, MODES), bias=False, **settings)
    if identity:
        with torch.no_grad():
            conv.weight.tensor.fill_(1.0)
    return conv


def wave(k: tuple[int, int], sizes: tuple[int, int]) -> Tensor:
    """cos and sin of 2 pi (k_1 s + k_2 t), (1, 2, *sizes)."""
    s, t = (np.arange(n) / n for n in sizes)
    angle = 2 * np.pi * (k[0] * s[:, None] + k[1] * t)
    return torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)])[None])


def off(got: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest value; infinite for another shape."""
    if got.shape != expected.shape:
        return float("inf")
    return ((got.double() - expected.double()).abs().max() / expected.abs().max()).item()


# --------------------------------------------------------------------------- the rows


def low_pass(layer: nn.Module, odd: bool, dtype: torch.dtype = torch.float32) -> float:
    """Unit weights against numpy's FFT, its modes beyond |k| = 5 set to zero; the worst grid."""
    squares, others = [(n, n) for n in SIZES], [(n, (73 if odd else 72) - n) for n in SIZES]
    grids = [g for g in squares + others if any(n % 2 for n in g) == odd and min(g) >= SIZES[0]]
    worst = 0.0
    for sizes in grids:
        k = [np.abs(np.arange(n) - n * (2 * np.arange(n) > n)) for n in sizes]  # no Nyquist below
        everything = [(kd != TOP + 1) & (2 * kd < n) for kd, n in zip(k, sizes, strict=True)]
        low = [(kd <= TOP) & (2 * kd < n) for kd, n in zip(k, sizes, strict=True)]
        spectrum = np.fft.fft2(np.random.default_rng(0).normal(size=sizes))
        x, expected = (
            torch.from_numpy(np.fft.ifft2(spectrum * np.multiply.outer(*kept)).real[None, None])
            for kept in (everything, low)
        )
        with torch.no_grad():
            worst = max(worst, off(layer(x.to(dtype)), expected))
    return worst


def few_points(layer: nn.Module, dtype: torch.dtype = torch.float32) -> float:
    """Random weights; a field of |k| <= 4 on 9 x 9 and 11 x 11 against 64 x 64, by coefficients."""
    generator = np.random.default_rng(0)
    amplitudes = generator.normal(size=(3, 9, 9)) + 1j * generator.normal(size=(3, 9, 9))

    def coefficients(n: int) -> Tensor:
        spectrum = np.zeros((3, n, n), dtype=complex)
        k = np.arange(-4, 5)
        spectrum[:, k[:, None], k] = amplitudes
        x = np.fft.ifft2(spectrum).real * n**2
        with torch.no_grad():
            y = layer(torch.from_numpy(x[None]).to(dtype))
        return torch.from_numpy(
            np.fft.fft2(y[0].double().numpy(), norm="forward")[:, k[:, None], k]
        )

    fine = coefficients(64)
    return max(((coefficients(n) - fine).abs().max() / fine.abs().max()).item() for n in (9, 11))


GRIDS = (((16, 16), (32, 32)), ((32, 32), (16, 16)), ((16, 16), (24, 20)), ((32, 24), (16, 48)))


def our_mapped_mode(k: tuple[int, int], dtype: torch.dtype = torch.float32) -> float:
    """One mode on another grid, up and down."""
    layer = ours(True, dtype)
    with torch.no_grad():
        return max(
            off(layer(v[:, None], there), wave(k, there)[:, c, None])
            for here, there in GRIDS
            for c, v in enumerate(wave(k, here).to(dtype).unbind(1))
        )


def their_mapped_mode(k: tuple[int, int]) -> float:
    """By output_shape, and by resolution_scaling_factor where both axes have one."""
    layer, worst = theirs(True), 0.0
    for here, there in GRIDS:
        for c, v in enumerate(wave(k, here).float().unbind(1)):
            expected = wave(k, there)[:, c, None]
            with torch.no_grad():
                worst = max(worst, off(layer(v[:, None], output_shape=there), expected))
                scaled = theirs(
                    True,
                    resolution_scaling_factor=[b / a for a, b in zip(here, there, strict=True)],
                )
                worst = max(worst, off(scaled(v[:, None]), expected))
    return worst


RESAMPLED = ((1, 0), (2, 3), (-2, 3))


def our_resample(dtype: torch.dtype = torch.float32) -> float:
    """Analysis on 16 x 16, synthesis on 32 x 32."""
    transform = Transform([Basis("fourier", 15)] * 2)
    return max(
        off(
            transform.synthesise(transform.analyse(wave(k, (16, 16)).to(dtype)), (32, 32)),
            wave(k, (32, 32)),
        )
        for k in RESAMPLED
    )


def their_resample() -> float:
    """neuralop.layers.resample."""
    from neuralop.layers.resample import resample

    return max(
        off(resample(wave(k, (16, 16)).float(), 2, [2, 3]), wave(k, (32, 32))) for k in RESAMPLED
    )


def doubled(layer: nn.Module) -> float:
    """.double(), then a forward pass against the layer's own linearity at 1e-8 of the field.

    A map that is rounded to float32 anywhere does not see so small a change.
    """
    layer = layer.double()
    x, dx = torch.randn(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        change = (layer(x + 2**-27 * dx) - layer(x)) * 2**27
        return off(change, layer(dx)) * 2**-27


def our_low_precision() -> float:
    """The product over channels in bfloat16, and the layer under autocast."""
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    full, low = ours(False), ours(False, precision="bf16")
    with torch.no_grad():
        y = full(x)
        with torch.autocast("cpu", torch.bfloat16):
            cast = full(x)
        return max(off(low(x), y), off(cast, y))


def their_low_precision() -> float:
    """fno_block_precision "half" and "mixed"."""
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    y = theirs(False)(x)
    return max(off(theirs(False, fno_block_precision=p)(x), y) for p in ("half", "mixed"))


SMALL: dict[str, Any] = {"n_modes": 5, "hidden_channels": 8, "n_layers": 1}


def pairs(n: int = 12, grid: tuple[int, ...] = (12, 12)) -> Windows:
    """Random inputs and targets."""
    rng = np.random.default_rng(0)
    axes = {name: (0.0, 1.0) for name in "yx"[: len(grid)]}
    fields = [rng.normal(size=(n, *grid)).astype(np.float32) for _ in range(2)]
    layout = from_arrays(axes, inputs={"a": fields[0]}, targets={"u": fields[1]})
    return Windows(layout, range(n))


def our_model() -> Any:
    """One Fourier layer of ours, between lifting and projection."""
    torch.manual_seed(0)
    data = pairs()
    return Config(**SMALL).build(data.schema).fit(data).eval()


def their_model(**settings: Any) -> Any:
    """One Fourier layer of neuraloperator's, between lifting and projection."""
    from neuralop.models import FNO

    torch.manual_seed(0)
    return FNO((5, 5), 1, 1, 8, n_layers=1, **settings).eval()


def exported(model: nn.Module, sizes: dict[int, Any] | None, *shapes: tuple[int, ...]) -> float:
    """The exported graph against the model, on each shape."""
    kinds = None if sizes is None else {"a": sizes}
    example = torch.randn(2, 1, 12, 14)
    program = torch.export.export(model, (example,), dynamic_shapes=kinds).module()
    fields = [torch.randn(shape) for shape in shapes]
    with torch.no_grad():
        return max(off(program(x), model(x)) for x in fields)


def our_export() -> float:
    """With batch and sizes left open; on the example's grid and on two others."""
    sizes = {d: torch.export.Dim(f"n{d}", min=1 if d == 0 else 10) for d in (0, 2, 3)}
    return exported(our_model(), sizes, (2, 1, 12, 14), (3, 1, 21, 15), (1, 1, 10, 32))


def compiled(model: nn.Module) -> float:
    """torch.compile of the whole graph against the model, forward."""
    torch._dynamo.reset()
    x = torch.randn(2, 1, 12, 14)
    return off(torch.compile(model, fullgraph=True, backend="aot_eager")(x), model(x))


def loaded(make: Callable[[], nn.Module]) -> float:
    """State dict to a file and back, without unpickling anything but tensors."""
    model, file, x = make(), io.BytesIO(), torch.randn(2, 1, 12, 12)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
        torch.save(model.state_dict(), file)
        file.seek(0)
        other = make()
        other.load_state_dict(torch.load(file, weights_only=True))
        return off(other(x), model(x))


class Killed(Exception):
    """Stands for a process that is gone."""


def our_resume() -> float:
    """A run killed after the third of six steps and continued: distance to one that was not."""

    def run(folder: Path, stop: int | None = None) -> Tensor:
        def progress(step: int, steps: int, numbers: Any) -> None:
            if step == stop:
                raise Killed

        data, operator = pairs(), our_model()
        settings = Training(epochs=3, batch_size=6, checkpoint_seconds=1e-9)
        folder.mkdir(exist_ok=True)
        loop = Loop(operator, data, data, settings, 0, folder, World(), progress)
        with contextlib.suppress(Killed):
            loop.run()
        return torch.cat([p.detach().flatten() for p in operator.parameters()])

    with tempfile.TemporaryDirectory() as root:
        whole = run(Path(root, "whole"))
        assert not torch.equal(run(Path(root, "killed"), 3), whole)
        return off(run(Path(root, "killed")), whole)


def their_training(folder: Path, epochs: int, **settings: Any) -> Tensor:
    """Trainer.train on random pairs; the weights it ends with."""
    from neuralop import LpLoss, Trainer
    from neuralop.training import AdamW

    data = pairs()
    samples = [{"x": s["inputs"], "y": s["targets"][0]} for s in (data[i] for i in range(12))]
    model = their_model()
    optimizer = AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 100)
    loader = DataLoader(samples, batch_size=6)  # type: ignore[arg-type]
    loss = LpLoss(d=2)
    trainer = Trainer(model=model, n_epochs=epochs)
    trainer.train(
        loader, {"test": loader}, optimizer, scheduler, training_loss=loss,
        eval_losses={"l2": loss}, save_dir=folder, **settings,
    )  # fmt: skip
    return torch.cat([torch.view_as_real(p.detach() + 0j).flatten() for p in model.parameters()])


def their_resume() -> float:
    """Three epochs against two and one more, by save_every and resume_from_dir."""
    with tempfile.TemporaryDirectory() as root:
        whole = their_training(Path(root, "whole"), 3)
        their_training(Path(root, "part"), 2, save_every=1)
        return off(their_training(Path(root, "part"), 3, resume_from_dir=Path(root, "part")), whole)


def our_rollout() -> float:
    """Four steps by `rollout` against four calls of the operator."""
    states = np.random.default_rng(0).normal(size=(4, 3, 12, 12)).astype(np.float32)
    layout = from_arrays({"y": (0, 1), "x": (0, 1)}, states={"u": states}, times=np.arange(3.0))
    data = Windows(layout, range(4))
    torch.manual_seed(0)
    operator = Config(**SMALL).build(data.schema).fit(data).eval()
    sample = data[0]
    u, expected = sample["inputs"][None], []
    with torch.no_grad():
        frames = rollout(operator, {"inputs": u, "params": sample["params"][None]}, 4, data.schema)
        for _ in range(4):
            u = operator(u)
            expected.append(u)
    return off(frames, torch.stack(expected, 1))


def their_rollout() -> float:
    """Evaluation in the mode that the documentation of Trainer.train names."""
    with tempfile.TemporaryDirectory() as root:
        modes = {"test": "autoregressive"}
        their_training(Path(root), 1, eval_modes=modes, max_autoregressive_steps=2)
    return 0.0


def our_operators() -> float:
    """How many operators cannot be built with default settings, or give no finite field."""
    data, failed = pairs(), []
    for name in resolve.names("operators"):
        if name == "neuralop":
            continue  # the adapter to the other side
        try:
            operator = resolve.find("operators", name)().build(data.schema).fit(data)
            with torch.no_grad():
                y = operator(torch.stack([data[i]["inputs"] for i in range(2)]))
            if y.shape != (2, 1, 12, 12) or not torch.isfinite(y).all():
                failed.append(name)
        except SchemaError:
            continue  # it says that it is not made for these data
        except Exception:
            failed.append(name)
            traceback.print_exc()
    return float(len(failed))


def their_uno() -> float:
    """UNO of channels 8, 16, 16, 8 with default skips."""
    from neuralop.models import UNO

    model = UNO(
        1, 1, 8, uno_out_channels=[8, 16, 16, 8], uno_n_modes=[[4, 4]] * 4,
        uno_scalings=[[1.0, 1.0], [0.5, 0.5], [1.0, 1.0], [2.0, 2.0]],
    )  # fmt: skip
    return float(not torch.isfinite(model(torch.randn(2, 1, 12, 12))).all())


F64 = torch.float64
ROWS = [
    Row(
        "identity weights, even grid",
        "12 modes and unit weights are the ideal low-pass on even grids 8 .. 64, square or not, "
        "also of fewer points than modes",
        lambda: low_pass(ours(True), False),
        lambda: low_pass(theirs(True), False),
        1e-5,
        lambda: low_pass(ours(True, F64), False, F64),
    ),
    Row(
        "identity weights, odd grid",
        "the same on grids 8 .. 65 with at least one odd side",
        lambda: low_pass(ours(True), True),
        lambda: low_pass(theirs(True), True),
        1e-5,
        lambda: low_pass(ours(True, F64), True, F64),
    ),
    Row(
        "odd grid smaller than n_modes",
        "random weights give the same Fourier coefficients on 9 x 9, 11 x 11 and 64 x 64",
        lambda: few_points(ours(False)),
        lambda: few_points(theirs(False)),
        1e-5,
        lambda: few_points(ours(False, F64), F64),
    ),
    *(
        Row(
            f"output on another grid, mode k = ({k[0]:+d}, {k[1]})",
            "unit weights take the mode exactly to finer, coarser and non-square grids",
            partial(our_mapped_mode, k),
            partial(their_mapped_mode, k),
            1e-5,
            partial(our_mapped_mode, k, F64),
        )
        for k in ((2, 3), (-2, 3))
    ),
    Row(
        "resample 16 -> 32 of a single Fourier mode",
        "the layer's own way from one periodic grid to another",
        our_resample,
        their_resample,
        1e-5,
        partial(our_resample, F64),
    ),
    Row(
        ".double() then forward",
        "float64 throughout: a change of the field by 1e-8 comes out to the 16th digit",
        lambda: doubled(ours(False)),
        lambda: doubled(theirs(False)),
        1e-15,
    ),
    Row(
        "half and mixed precision on CPU",
        "ours: product in bfloat16, and autocast; theirs: fno_block_precision half and mixed; each "
        "against full precision",
        our_low_precision,
        their_low_precision,
        1e-2,
    ),
    Row(
        "torch.export",
        "an FNO of one layer against its exported graph; ours with open batch and sizes on three "
        "grids, theirs on that of the example",
        our_export,
        lambda: exported(their_model(), None, (2, 1, 12, 14)),
        1e-5,
    ),
    Row(
        "torch.compile(fullgraph=True)",
        "an FNO of one layer, backend aot_eager",
        lambda: compiled(our_model()),
        lambda: compiled(their_model()),
        1e-5,
    ),
    Row(
        "torch.load of the state dict",
        "with weights_only=True, the default since torch 2.6",
        lambda: loaded(our_model),
        lambda: loaded(their_model),
        0.0,
    ),
    Row(
        "resume of a training run",
        "weights after a killed and continued run against those of one that was not; theirs by "
        "Trainer.train(resume_from_dir=..)",
        our_resume,
        their_resume,
        0.0,
    ),
    Row(
        "autoregressive evaluation",
        "ours: four steps of rollout against four calls; theirs: eval_modes as documented",
        our_rollout,
        their_rollout,
        1e-6,
    ),
    Row(
        "default settings build",
        "ours: number of operators that do not build and run with their defaults; theirs: UNO of "
        "changing width with default skips",
        our_operators,
        their_uno,
        0.0,
    ),
]


if __name__ == "__main__":
    main()
