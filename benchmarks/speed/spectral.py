"""Spectral layers and whole FNO steps: sciops against neuraloperator.

    python benchmarks/speed/spectral.py [--quick] [--threads 1] [--device cuda]
                                        [--json benchmarks/results/spectral_speed.json]

The layer is neuraloperator's SpectralConv and ours with the same weights; that outputs and
gradients agree is checked first (on axes of odd size, where neuraloperator 2.0.0 is wrong, against
a float64 transform written here).  The step is forward, backward and AdamW of two FNOs of equal
parameters.  Both take turns in one process.  On one thread of a CPU the clock is the CPU time of
the process, which other load on the machine disturbs less than wall time.  Peak memory is that of
a process of its own for each side, less that of the same process before its first step.  The case
`large blocks kept` runs after `sciops.core.memory.keep_large_blocks()`, in a process of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from interleaved import (
    Row,
    apart,
    count,
    forward,
    options,
    parse,
    race,
    row,
    show,
    tensor_memory,
    training_step,
    write,
)
from torch import Tensor, nn

from sciops.core.memory import keep_large_blocks
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.layers.spectral import Basis, Dense, SpectralMixer, Transform, from_neuralop
from sciops.operators.fno import Config

warnings.simplefilter("ignore")  # neuraloperator warns on import
PEER, FFT = "neuraloperator 2.0.0", "sciops, pruned FFT"
LAYERS = [  # batch, channels, sizes, modes
    (4, 32, (64, 64), 12),
    (4, 32, (64, 64), 14),
    (4, 32, (64, 64), 16),
    (4, 32, (128, 128), 12),
    (4, 32, (128, 128), 14),
    (4, 32, (128, 128), 16),
    (4, 32, (85, 85), 12),
    (4, 32, (141, 141), 12),
    (4, 32, (211, 211), 12),
    (4, 32, (256, 256), 16),
    (8, 32, (1024,), 16),
    (8, 32, (4096,), 32),
    (1, 16, (64, 64, 64), 12),
    (1, 32, (64, 64, 64), 16),
]
BACKENDS = [  # batch, channels, sizes, modes: products against the pruned FFT
    *((4, 32, (64, 64), m) for m in (16, 32, 48)),
    *((4, 32, (128, 128), m) for m in (16, 32, 48, 96)),
    *((4, 32, (256, 256), m) for m in (16, 32, 64, 128)),
    *((8, 32, (4096,), m) for m in (16, 64, 256)),
    (1, 16, (64, 64, 64), 12),
    (1, 16, (64, 64, 64), 24),
]
STEPS = [(64, 16), (85, 16), (128, 16)]  # points an axis, modes; batch 4, width 32, 4 blocks


def main() -> None:
    """Check, time, print, write."""
    given = parse(options(__doc__, device=True))
    repeats = 5 if given.quick else 25
    rows = []
    for batch, channels, sizes, modes in LAYERS[:3] if given.quick else LAYERS:
        rows += layer(batch, channels, sizes, modes, repeats, given.device)
    for n, modes in STEPS[:1] if given.quick else STEPS:
        rows += step(n, modes, repeats, given.device)
    for batch, channels, sizes, modes in [] if given.quick else BACKENDS:
        rows += backends(batch, channels, sizes, modes, repeats, given.device)
    if given.device == "cpu" and not given.quick:
        rows += apart(_with_large_blocks, 4, 32, (256, 256), 16, repeats)
        for n, modes in STEPS:
            rows += memory(n, modes)
    write(given.json, rows)


def layer(
    batch: int, channels: int, sizes: tuple[int, ...], modes: int, repeats: int, device: str
) -> list[Row]:
    """Forward alone, and forward with backward."""
    torch.manual_seed(0)
    peer, ours = pair(channels, len(sizes), modes, device)
    x = torch.randn(batch, channels, *sizes, device=device)
    agree(peer, ours, x)
    case = f"layer {batch}x{channels}x{'x'.join(map(str, sizes))}, {modes} modes"
    sides = {"": ours}
    if device == "cuda":
        sides[", ours compiled"] = torch.compile(ours)
    return [
        race(
            f"{case}, {what}{how}",
            partial(work, side, x),
            partial(work, peer, x),
            PEER,
            repeats,
            device,
        )
        for how, side in sides.items()
        for what, work in (("forward", forward), ("forward + backward", backward))
    ]


def backends(
    batch: int, channels: int, sizes: tuple[int, ...], modes: int, repeats: int, device: str
) -> list[Row]:
    """The layer by matrix products, and by the pruned FFT."""
    torch.manual_seed(0)
    bases = [Basis("fourier", modes)] * len(sizes)
    filter = Dense(Transform(bases).modes, channels, channels)
    sides = [SpectralMixer(Transform(bases, way), filter).to(device) for way in ("products", "fft")]
    x = torch.randn(batch, channels, *sizes, device=device)
    case = f"backends {batch}x{channels}x{'x'.join(map(str, sizes))}, {modes} modes"
    return [
        race(f"{case}, {what}", *(partial(work, side, x) for side in sides), FFT, repeats, device)
        for what, work in (("forward", forward), ("forward + backward", backward))
    ]


def pair(channels: int, dimension: int, modes: int, device: str) -> tuple[nn.Module, nn.Module]:
    """neuraloperator's layer and ours, with its weights."""
    from neuralop.layers.spectral_convolution import SpectralConv

    peer = SpectralConv(channels, channels, (modes,) * dimension, bias=False)
    transform = Transform([Basis("fourier", modes)] * dimension)
    filter = Dense(transform.modes, channels, channels)
    with torch.no_grad():
        filter.weight.copy_(from_neuralop(peer.weight.to_tensor()))
    return peer.to(device), SpectralMixer(transform, filter).to(device)


def agree(peer: nn.Module, ours: nn.Module, x: Tensor) -> None:
    """Output and input gradient are those of the peer, or on odd sizes of a float64 transform."""
    if any(n % 2 for n in x.shape[2:-1]):
        filter = ours.filter.weight.detach().double().cpu()
        expected, gradient = plain(x.double().cpu(), filter)
    else:
        expected, gradient = outputs(peer, x)
    got, slope = outputs(ours, x)
    for a, b in ((got, expected), (slope, gradient)):
        off = (a.cpu() - b.cpu()).abs().max() / b.abs().max()
        assert off < 1e-5, f"the layers differ by {off:.1e}"


def outputs(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """y, and the gradient of <y, y> / 2 with respect to x."""
    x = x.clone().requires_grad_(True)
    y = module(x)
    y.square().sum().div(2).backward()
    module.zero_grad()
    assert x.grad is not None
    return y.detach(), x.grad


def plain(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The layer by full FFTs in float64; weight as in `Dense`."""
    *modes, _, _, _ = weight.shape
    dims = list(range(2, x.ndim))

    def apply(x: Tensor) -> Tensor:
        z = torch.fft.rfftn(x, dim=dims, norm="forward")
        y = torch.zeros_like(z)
        w = torch.complex(weight[..., 0, :], weight[..., 1, :])  # (*modes, C_in, C_out)
        for index in torch.cartesian_prod(*(torch.arange(m) for m in modes)).reshape(-1, len(dims)):
            i = index.tolist()
            signed = [
                k if k < (m + 1) // 2 else (m + 1) // 2 - 1 - k
                for k, m in zip(i[:-1], modes[:-1], strict=True)
            ]
            at = (slice(None), slice(None), *signed, i[-1])
            y[at] = z[at] @ w[tuple(i)]
        return torch.fft.irfftn(y, s=x.shape[2:], dim=dims, norm="forward")

    x = x.clone().requires_grad_(True)
    y = apply(x)
    y.square().sum().div(2).backward()
    assert x.grad is not None
    return y.detach(), x.grad


def backward(module: nn.Module, x: Tensor) -> None:
    """Forward, and gradients of input and weights."""
    x = x.detach().requires_grad_(True)
    module.zero_grad()
    module(x).backward(x.detach())


def step(n: int, modes: int, repeats: int, device: str) -> list[Row]:
    """A training step, and inference, of the whole FNO."""
    peer, ours = fnos(n, modes)
    x, y = torch.randn(4, 1, n, n, device=device), torch.randn(4, 1, n, n, device=device)
    steps = [training_step(m.to(device), x, y) for m in (ours, peer)]
    calls = [partial(forward, m, x) for m in (ours, peer)]
    case = f"FNO 4x{n}x{n}, {modes} modes, width 32, {count(ours):,} / {count(peer):,} parameters"
    return [
        race(f"{case}, training step", *steps, PEER, repeats, device),
        race(f"{case}, forward", *calls, PEER, repeats, device),
    ]


def fnos(n: int, modes: int) -> tuple[nn.Module, nn.Module]:
    """neuraloperator's FNO and ours, of equal width, modes and number of blocks."""
    from neuralop.models import FNO

    grid = Grid(tuple(Axis.uniform(name, n, spacing="periodic") for name in ("x", "y")))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")))
    torch.manual_seed(0)
    return FNO((modes, modes), 1, 1, 32), Config(n_modes=modes).build(schema)


def _with_large_blocks(
    batch: int, channels: int, sizes: tuple[int, ...], modes: int, repeats: int
) -> list[Row]:
    torch.set_num_threads(1)
    assert keep_large_blocks()
    rows = layer(batch, channels, sizes, modes, repeats, "cpu")
    return [{**r, "case": f"{r['case']}, large blocks kept"} for r in rows]


def memory(n: int, modes: int) -> list[Row]:
    """Peak memory of training steps of either side, in processes of their own."""
    rows = []
    for what, peak in (("peak of tensor memory", _tensors), ("peak of resident memory", _resident)):
        turns = [[apart(peak, which, n, modes) for which in (1, 0)] for _ in range(3)]
        mine, theirs = zip(*turns, strict=True)
        case = f"FNO 4x{n}x{n}, {modes} modes, width 32, {what} in a training step"
        rows.append(show(row(case, mine, PEER, theirs, "mb")))
    return rows


def _ready(which: int, n: int, modes: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    module = fnos(n, modes)[which]
    run = training_step(module, torch.randn(4, 1, n, n), torch.randn(4, 1, n, n))
    with torch.no_grad():
        module(torch.randn(1, 1, n, n))  # whatever is made once
    return run


def _tensors(which: int, n: int, modes: int) -> float:
    return tensor_memory(_ready(which, n, modes))


def _resident(which: int, n: int, modes: int) -> float:
    run = _ready(which, n, modes)
    before = high_water()
    for _ in range(5):
        run()
    return high_water() - before


def high_water() -> float:
    """Largest resident memory of this process so far, MB.

    Linux' own count of this program: that of getrusage starts at the size of the parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
