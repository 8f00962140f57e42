"""The adapter: its models, its settings, silence, and the odd grids on which the peer is wrong."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import torch
from contracts.operator_checks import SCHEMAS, example, fitted

from sciops.core.errors import ConfigError
from sciops.operators.neuralop import Config

DARCY, STEPPING = SCHEMAS["darcy_2d"], SCHEMAS["stepping_1d"]
SMALL = {"n_modes": 4, "hidden_channels": 8, "n_layers": 3}


def test_importing_the_file_imports_no_neuralop():
    code = "import sys, sciops.operators.neuralop; assert 'neuralop' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("model", ["fno", "tfno", "uno"])
@pytest.mark.parametrize("name", ["stepping_1d", "darcy_2d", "box_3d"])
def test_models(model, name, capfd):
    schema = SCHEMAS[name]
    before = list(warnings.filters)
    operator = Config(model=model, **SMALL).build(schema)
    assert warnings.filters == before
    for grow in (0, 4):
        a, params = example(schema, 2, grow=grow)
        y = operator(a, params)
        assert y.shape == (2, schema.target_channels, *a.shape[2:]) and torch.isfinite(y).all()
    out = capfd.readouterr()
    assert out.out == out.err == ""


def test_the_state_holds_tensors_only_also_inside_another_module():
    operator = Config(**SMALL).build(DARCY)
    for module in (operator, torch.nn.Sequential(operator)):
        assert all(isinstance(t, torch.Tensor) for t in module.state_dict().values())


def test_double_reaches_complex_weights_and_back():
    operator = Config(**SMALL).build(DARCY)
    weights = {n: p.clone() for n, p in operator.named_parameters()}
    operator.double()
    assert {p.dtype for p in operator.parameters()} == {torch.float64, torch.complex128}
    operator.float()
    for name, p in operator.named_parameters():
        assert torch.equal(p, weights[name])


def test_tfno_has_about_the_rank_of_the_parameters():
    fno, tfno = (
        sum(p.numel() for p in Config(model=m).build(DARCY).parameters()) for m in ("fno", "tfno")
    )
    assert tfno < 0.25 * fno


def test_parameters_come_in_as_constant_channels():
    operator = fitted(Config(**SMALL), STEPPING)
    a, params = example(STEPPING, 2)
    assert not torch.allclose(operator(a, params), operator(a, params + 1), atol=1e-3)


def test_modes():
    operator = Config(n_modes=99).build(DARCY)
    assert operator.model.n_modes == (12, 16)
    assert Config(n_modes=(4, 6)).build(DARCY).model.n_modes == (4, 6)
    with pytest.raises(ConfigError, match="n_modes: expected one number or 2"):
        Config(n_modes=(4,)).build(DARCY)
    with pytest.raises(ConfigError, match="at least 3"):
        Config(model="uno", n_layers=2).build(DARCY)


def test_the_note_on_odd_grids_still_holds():
    """neuraloperator 2.0.0 with identity weights shifts frequencies on an odd axis."""
    from neuralop.layers.spectral_convolution import SpectralConv

    layer, errors = SpectralConv(1, 1, (8, 8), bias=False), {}
    layer.weight.tensor.data.fill_(1.0)
    for n in (16, 17):
        x = torch.arange(n) / n
        v = torch.cos(2 * torch.pi * (2 * x[:, None] + 3 * x))[None, None]
        errors[n] = ((layer(v) - v).norm() / v.norm()).item()
    assert errors[16] < 1e-5 and errors[17] > 1.0
