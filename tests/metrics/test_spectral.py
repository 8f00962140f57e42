"""The error spectrum: Parseval, single modes, and where it is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.metrics.pointwise import rmse
from sciops.metrics.spectral import error_spectrum, wavenumbers


def schema_on(*axes: Axis, components: tuple[int, ...] = ()) -> Schema:
    return Schema((Variable("u", Grid(axes), "target", components),))


def axis(name: str, n: int, length: float = 1.0, periodic: bool = True) -> Axis:
    return Axis.uniform(name, n, 0.0, length, "periodic" if periodic else "cell")


def random_fields(schema: Schema, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (batch, schema.target_channels, *schema.target_domain.shape)
    generator = torch.Generator().manual_seed(0)
    p, y = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return p, y


@pytest.mark.parametrize("sizes", [(8,), (9,), (8, 6), (7, 9), (4, 5, 6), (1, 8), (2, 1)])
@pytest.mark.parametrize("walls", [(), (0,), (-1,), (0, 1, 2)])
@pytest.mark.parametrize("components", [(), (2,)])
def test_parseval(sizes, walls, components):
    """The shells add up to the mean square error, for all sizes and kinds of axes."""
    walls = {w % len(sizes) for w in walls if w < len(sizes)}
    axes = [axis("zyx"[d], n, 1.0 + d, d not in walls) for d, n in enumerate(sizes)]
    schema = schema_on(*axes, components=components)
    p, y = random_fields(schema)
    spectrum = error_spectrum(p, y, schema)
    assert spectrum.shape == (2, 1, len(wavenumbers(schema.target_domain)))
    torch.testing.assert_close(spectrum.sum(-1), rmse(p, y, schema).square())


def test_parseval_with_a_mask():
    schema = schema_on(axis("y", 8), axis("x", 8), components=(2,))
    p, y = random_fields(schema)
    mask = torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5
    spectrum = error_spectrum(p, y, schema, mask)
    torch.testing.assert_close(spectrum.sum(-1), rmse(p, y, schema, mask).square())


@pytest.mark.parametrize("k", [(0, 0), (3, 0), (0, 3), (3, 4), (-3, 4), (5, -12), (8, 0), (0, 16)])
def test_a_fourier_mode_lands_in_its_shell_whatever_its_direction(k):
    """A cos of amplitude 2 has the power 2 (4 where it is constant or at the Nyquist mode)."""
    schema = schema_on(axis("y", 16, 2 * math.pi), axis("x", 32, 2 * math.pi))
    y, x = np.meshgrid(*(a.coordinates for a in schema.target_domain.axes), indexing="ij")
    e = torch.from_numpy(2 * np.cos(k[0] * y + k[1] * x))[None, None]
    spectrum = error_spectrum(e, torch.zeros_like(e), schema)[0, 0]
    shell = round(math.hypot(*k))
    assert wavenumbers(schema.target_domain)[shell] == pytest.approx(shell)
    power = 4.0 if k in {(0, 0), (8, 0), (0, 16)} else 2.0
    assert spectrum[shell].item() == pytest.approx(power)
    assert spectrum.sum().item() == pytest.approx(power)


def test_a_cosine_between_walls_lands_in_its_shell():
    schema = schema_on(axis("x", 32, 3.0, periodic=False))
    x = torch.from_numpy(schema.target_domain.axes[0].coordinates.copy())
    e = torch.cos(5 * math.pi * x / 3.0)[None, None]
    spectrum = error_spectrum(e, torch.zeros_like(e), schema)[0, 0]
    assert wavenumbers(schema.target_domain)[5] == pytest.approx(5 * math.pi / 3)
    assert spectrum[5].item() == pytest.approx(0.5)
    assert spectrum.sum().item() == pytest.approx(0.5)


def test_shells_are_physical_on_a_long_domain():
    """On 4 x 1 the mode (4, 1) has the wavenumber 2 pi (1, 1): direction does not matter."""
    schema = schema_on(axis("y", 32, 4.0), axis("x", 16, 1.0))
    y, x = np.meshgrid(*(a.coordinates for a in schema.target_domain.axes), indexing="ij")
    e = torch.from_numpy(np.cos(2 * np.pi * (y + x)))[None, None]
    spectrum = error_spectrum(e, torch.zeros_like(e), schema)[0, 0]
    assert spectrum.argmax().item() == 1 and spectrum[1].item() == pytest.approx(0.5)
    assert wavenumbers(schema.target_domain)[1] == pytest.approx(2 * math.pi)


def test_the_cosine_transform_is_the_one_of_scipy():
    from scipy.fft import dctn

    schema = schema_on(axis("y", 6, periodic=False), axis("x", 9, 1.5, periodic=False))
    p, y = random_fields(schema, batch=1)
    c = dctn((p - y)[0, 0].numpy(), type=2, norm="ortho") ** 2 / 54
    expected = error_spectrum(p, y, schema)[0, 0, 0]
    assert c[0, 0] == pytest.approx(expected.item())
    assert c.sum() == pytest.approx(error_spectrum(p, y, schema).sum().item())


def test_graded_axes_and_points_are_refused():
    bent = Axis("x", np.linspace(0, 1, 8) ** 2, 0.0, 1.0)
    for domain in (Grid((bent,)), Points(np.random.default_rng(0).random((8, 2)))):
        schema = Schema((Variable("u", domain, "target"),))
        with pytest.raises(SchemaError, match="interpolate"):
            error_spectrum(torch.zeros(1, 1, 8), torch.zeros(1, 1, 8), schema)
