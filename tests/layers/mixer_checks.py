"""What every mixer of the operator block keeps, each a plain function ``check_xxx(make)``.

``make(sides, channels)`` builds the mixer; its other settings are the caller's.

    from layers.mixer_checks import CHECKS
    for check in CHECKS:
        check(make)
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.convolution import Side

Make = Callable[[Sequence[Side], int], Any]
PERIODIC: tuple[Side, ...] = ("periodic",) * 3
MIXED: tuple[Side, ...] = ("periodic", "zeros", "replicate")
SHAPES = [(1, 4, 31), (2, 4, 17), (2, 4, 1), (1, 4, 33, 20), (3, 4, 7, 13), (2, 4, 5, 6, 3)]


def made(make: Make, sides: Sequence[Side], channels: int = 4, seed: int = 0) -> Any:
    """A mixer at a seeded random point of parameter space."""
    torch.manual_seed(seed)
    mixer = make(sides, channels)
    with torch.no_grad():
        for p in mixer.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return mixer


def close(got: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """|got - expected| <= tolerance |expected| in the maximum norm, and all of it finite."""
    assert got.shape == expected.shape and torch.isfinite(got).all()
    off = (got - expected).abs().max().item() / max(expected.abs().max().item(), 1e-30)
    assert off <= tolerance, f"off by {off:.2e} of the largest value"


def check_shapes(make: Make) -> None:
    """One to three axes of any size, one sample, any mix of sides; traits; zeros in, no NaN out."""
    for shape in SHAPES:
        for sides in (PERIODIC, MIXED):
            mixer = made(make, sides[: len(shape) - 2])
            x = torch.randn(shape)
            y = mixer(x)
            assert y.shape == x.shape and y.dtype == x.dtype and torch.isfinite(y).all()
            assert torch.isfinite(mixer(torch.zeros(shape))).all()
            torch.testing.assert_close(mixer(x), y, rtol=0, atol=0)  # the same every time
    assert isinstance(mixer.linear, bool) and isinstance(mixer.equivariant, bool)
    assert mixer.resolution in ("modes", "physical", "fixed")
    assert not any(t.is_complex() for t in mixer.state_dict().values())


def check_gradients(make: Make) -> None:
    """gradcheck in float64 by the field and all parameters, backward, forward and twice."""
    for sides, shape in ((("zeros",), (2, 2, 5)), (("periodic", "replicate"), (1, 2, 3, 4))):
        mixer = made(make, sides, 2).double()
        names = list(dict(mixer.named_parameters()))

        def f(x: Tensor, *values: Tensor, names: list[str] = names, mixer: nn.Module = mixer):
            return torch.func.functional_call(mixer, dict(zip(names, values, strict=True)), (x,))

        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        inputs = (x, *(p.detach().requires_grad_() for p in mixer.parameters()))
        assert torch.autograd.gradcheck(f, inputs, check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(f, inputs, fast_mode=True)


def check_float32(make: Make) -> None:
    """float32 is float64 to 1e-5: the output, and the gradients by field and parameters."""
    mixer = made(make, MIXED[:2])
    x, g = torch.randn(2, 4, 17, 12), torch.randn(2, 4, 17, 12)

    def found(mixer: nn.Module, dtype: torch.dtype) -> list[Tensor]:
        a = x.to(dtype).requires_grad_()
        y = mixer(a)
        return [y, *torch.autograd.grad(y, [a, *mixer.parameters()], g.to(dtype))]

    single = found(mixer, torch.float32)
    for got, expected in zip(single, found(mixer.double(), torch.float64), strict=True):
        assert expected.dtype == torch.float64
        close(got.double(), expected)


def check_linear(make: Make) -> None:
    """The trait: superposition holds where it is claimed, and fails where it is not."""
    mixer = made(make, MIXED[:2])
    x, y = torch.randn(2, 4, 9, 8), torch.randn(2, 4, 9, 8)
    with torch.no_grad():
        combined, expected = mixer(2 * x - 3 * y), 2 * mixer(x) - 3 * mixer(y)
    off = ((combined - expected).norm() / expected.norm()).item()
    assert off < 1e-5 if mixer.linear else off > 1e-2, off


def check_shifts(make: Make) -> None:
    """The trait: equivariant to circular shifts of periodic axes, and of no others."""
    for sides, equivariant in ((PERIODIC[:2], True), (("zeros", "zeros"), False)):
        mixer = made(make, sides)
        x, shift = torch.randn(2, 4, 13, 10), (5, 3)
        with torch.no_grad():
            moved, expected = mixer(x.roll(shift, (2, 3))), mixer(x).roll(shift, (2, 3))
        off = ((moved - expected).norm() / expected.norm()).item()
        assert off < 1e-5 if equivariant and mixer.equivariant else off > 1e-3, off


def check_samples_independent(make: Make) -> None:
    """A sample's output does not change with the rest of the batch."""
    mixer, x = made(make, MIXED[:2]).train(), torch.randn(3, 4, 9, 8)
    y = mixer(x)
    close(mixer(x[1:2]), y[1:2])
    other = 7 * torch.randn(3, 4, 9, 8) + 3
    other[0] = x[0]
    close(mixer(other)[0], y[0])


def check_copies(make: Make) -> None:
    """State dict, deepcopy and pickle give an equal mixer that shares nothing."""
    mixer, x = made(make, MIXED[:2]), torch.randn(2, 4, 9, 8)
    y, other = mixer(x), made(make, MIXED[:2], seed=1)
    assert not torch.allclose(other(x), y)
    other.load_state_dict(mixer.state_dict())
    for copied in (other, copy.deepcopy(mixer), pickle.loads(pickle.dumps(mixer))):
        torch.testing.assert_close(copied(x), y, rtol=0, atol=0)
        with torch.no_grad():
            for t in copied.state_dict().values():
                t.zero_()
        torch.testing.assert_close(mixer(x), y, rtol=0, atol=0)


def check_autocast(make: Make) -> None:
    """bf16 autocast stays within bf16's precision, backward too, inside it and outside."""
    mixer, x = made(make, MIXED[:2]), torch.randn(2, 4, 9, 8)
    y = mixer(x)
    for inside in (True, False):
        mixer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = mixer(x)
            assert ((low.float() - y).norm() / y.norm()).item() < 0.03
            if inside:
                low.float().square().mean().backward()
        if not inside:
            low.float().square().mean().backward()
        assert all(torch.isfinite(p.grad).all() for p in mixer.parameters())
    low = copy.deepcopy(mixer).bfloat16()(x.bfloat16())
    assert ((low.float() - y).norm() / y.norm()).item() < 0.1


def check_start(make: Make) -> None:
    """A new mixer keeps the size of a random and of a smooth field, to a factor of 3."""
    for channels, n in ((32, 32), (128, 32), (32, 128)):
        torch.manual_seed(0)
        for sides in (("periodic",), ("zeros",), ("periodic", "zeros")):
            shape = (1, channels, n, 9)[: 2 + len(sides)]
            white = torch.randn(shape)
            smooth = torch.fft.irfft(torch.fft.rfft(white, dim=2)[:, :, :5], n=n, dim=2)
            for x in (white, smooth / smooth.std()):
                with torch.no_grad():
                    y = make(sides, channels)(x)
                assert 0.3 < y.std().item() < 3, (channels, n, sides, y.std().item())


def check_errors(make: Make) -> None:
    """Unknown sides, and fields of other channels or axes, are said clearly."""
    for sides in ((), ("zeros",) * 4, ("reflect",)):
        with pytest.raises(ConfigError, match="one to three of"):
            make(sides, 4)
    mixer = make(("zeros", "zeros"), 4)
    for shape in ((2, 4, 5), (2, 3, 5, 5), (4, 5, 5)):
        with pytest.raises(ShapeError, match=r"expected a field \(B, 4, \*N\) with 2 axes"):
            mixer(torch.zeros(shape))


def check_export(make: Make) -> None:
    """torch.export with dynamic batch and sizes."""
    mixer = made(make, ("periodic", "zeros"))
    sizes = {d: torch.export.Dim(f"d{d}", min=1 if d == 0 else 4) for d in (0, 2, 3)}
    program = torch.export.export(mixer, (torch.randn(2, 4, 8, 10),), dynamic_shapes=(sizes,))
    for shape in ((3, 4, 13, 9), (1, 4, 30, 5)):
        x = torch.randn(shape)
        close(program.module()(x), mixer(x))


def check_compile(make: Make) -> None:
    """torch.compile(fullgraph=True, dynamic=True), forward and backward, at two sizes.

    One axis here, since tracing is slow, and `check_export` has two; together all kinds of sides.
    """
    torch._dynamo.reset()
    mixer = made(make, ("replicate",))
    compiled = torch.compile(mixer, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((3, 4, 8), (2, 4, 13)):
        x = torch.randn(shape)
        y, expected = compiled(x), mixer(x)
        close(y, expected)
        parameters = list(mixer.parameters())
        got = torch.autograd.grad(y, parameters, torch.cos(x))
        for g, e in zip(got, torch.autograd.grad(expected, parameters, torch.cos(x)), strict=True):
            close(g, e, 1e-4)


def check_transforms(make: Make) -> None:
    """jvp agrees with differences; vmap over fields and over ensembles of parameters; both."""
    mixer = made(make, MIXED[:2]).double()
    x, dx = torch.randn(2, 3, 4, 7, 6, dtype=torch.float64).unbind(0)
    y, dy = torch.func.jvp(mixer, (x,), (dx,))
    close(y, mixer(x), 1e-12)
    h = 1e-5
    close(dy, (mixer(x + h * dx) - mixer(x - h * dx)) / (2 * h), 1e-7)
    close(torch.func.vmap(lambda v: mixer(v[None])[0])(x), mixer(x), 1e-12)

    ensemble = [made(make, MIXED[:2], seed=s).double() for s in (1, 2)]
    parameters, buffers = torch.func.stack_module_state(ensemble)

    def f(p: dict[str, Tensor], v: Tensor) -> Tensor:
        return torch.func.functional_call(mixer, (p, buffers), (v,))

    close(torch.func.vmap(f, (0, None))(parameters, x), torch.stack([m(x) for m in ensemble]))
    grads = torch.func.vmap(torch.func.grad(lambda p, v: f(p, v).sin().sum()), (0, None))
    for name, g in grads(parameters, x).items():
        for m, member in zip(ensemble, g, strict=True):
            (expected,) = torch.autograd.grad(m(x).sin().sum(), [m.get_parameter(name)])
            close(member, expected, 1e-10)


CHECKS: list[Callable[[Make], None]] = [
    check_shapes,
    check_gradients,
    check_float32,
    check_linear,
    check_shifts,
    check_samples_independent,
    check_copies,
    check_autocast,
    check_start,
    check_errors,
    check_export,
    check_compile,
    check_transforms,
]
