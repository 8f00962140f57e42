"""Every operator of ``sciops/operators`` keeps every contract, or declares and still has the break.

Tracing a graph with symbolic sizes takes seconds to a minute, so export and compile look at one
schema each here and at all of them in the slow tests.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import traceback
from collections.abc import Mapping

import pytest
import torch
from contracts.operator_checks import CHECKS, DISTRIBUTED, SCHEMAS, SLOW, distributed

from sciops.core import resolve
from sciops.core.errors import SchemaError
from sciops.core.operator import OperatorConfig

NAMES = resolve.names("operators")
OUTSIDE = "contracts.outside:Config"
SMALL = {  # the contracts do not depend on the size of a network, the time they take does
    "unet": {"levels": 1, "width": 8},
    "deeponet": {"trunk_depth": 2, "trunk_width": 32, "basis": 16},
    "mgno": {"width": 6, "n_layers": 2, "levels": 2},
    "neuralop": {"n_modes": 4, "hidden_channels": 8, "n_layers": 2},
    **dict.fromkeys(
        ("fno", "ffno", "gated_fno", "aff", "afno", "control"),
        {"n_modes": 5, "hidden_channels": 8, "n_layers": 2, "projection_channels": 8},
    ),
    **dict.fromkeys(
        ("lka", "globalconv", "axial"),
        {"hidden_channels": 8, "n_layers": 2, "projection_channels": 8},
    ),
}
TWINS = {"ffno", "gated_fno", "aff", "afno", "control"}  # of `fno`: traced in the slow tests
LONG = {
    ("mgno", "compile"),
    ("globalconv", "compile"),
    ("axial", "compile"),
}  # more than ten seconds
TRACED = {  # the schemas that these look at outside the slow tests
    "export": ("stepping_1d", "darcy_2d"),
    "onnx": ("stepping_1d", "darcy_2d"),
    "compile": ("stepping_1d",),
}
ONNX = all(importlib.util.find_spec(p) for p in ("onnx", "onnxscript", "onnxruntime"))
FAULTS_ON_TWO = ("none", "trains_on_a_copy", "mixes_samples")
pytestmark = [
    # torch.export of torch 2.13 itself calls what it has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore::FutureWarning:torch"),
]


@functools.cache
def config_of(name: str) -> OperatorConfig:
    """The operator's settings."""
    return resolve.find("operators", name)(**SMALL.get(name, {}))


@functools.cache
def refusal(name: str, schema: str) -> str | None:
    """Why the operator cannot serve the schema; None where it can."""
    try:
        config_of(name).build(SCHEMAS[schema])
    except SchemaError as error:
        return str(error)
    return None


def breaks(name: str) -> Mapping[str, str]:
    """The contracts that the operator declares it cannot keep."""
    return config_of(name).breaks


@pytest.fixture(scope="module")
def on_two_processes() -> dict[tuple[str, str], dict[str, str | None]]:
    """(operator, schema) -> contract -> failure, from one pair of processes for all of them.

    Faults of the plug-in from outside stand under (fault, "darcy_2d").
    """
    cases = [(n, s) for n in NAMES for s in SCHEMAS if refusal(n, s) is None]
    built = [(config_of(n), SCHEMAS[s]) for n, s in cases]
    plug_in = resolve.find("operators", OUTSIDE)
    faulty = [(plug_in(fault=f), SCHEMAS["darcy_2d"]) for f in FAULTS_ON_TWO]
    failures = distributed(built + faulty)
    return dict(zip([*cases, *((f, "darcy_2d") for f in FAULTS_ON_TWO)], failures, strict=True))


def failure(name: str, schema: str, contract: str, request: pytest.FixtureRequest) -> str | None:
    """What goes wrong when the contract is checked; None where it is kept."""
    if contract in DISTRIBUTED:
        return request.getfixturevalue("on_two_processes")[name, schema][contract]
    try:
        CHECKS[contract](config_of(name), SCHEMAS[schema])
    except Exception:
        return traceback.format_exc()
    return None


def _is_slow(name: str, contract: str, schema: str) -> bool:
    traced = contract in TRACED
    long = contract in SLOW or (name, contract) in LONG
    return long or (traced and (name in TWINS or schema not in TRACED[contract]))


CASES = [
    pytest.param(n, c, s, marks=[pytest.mark.slow] if _is_slow(n, c, s) else [])
    for n in NAMES
    for c in CHECKS
    for s in SCHEMAS
]


@pytest.fixture(autouse=True)
def quick_tracing():
    """One thread, since the work is in Python; and no log records of each traced tensor."""
    threads, trace = torch.get_num_threads(), logging.getLogger("torch.__trace")
    propagate, trace.propagate = trace.propagate, False
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    trace.propagate = propagate


@pytest.mark.parametrize(("name", "contract", "schema"), CASES)
def test_contract(name, contract, schema, request):
    if (why := refusal(name, schema)) is not None:
        pytest.skip(f"{name} refuses {schema}: {why}")
    if contract in breaks(name):
        pytest.skip(f"declared: {breaks(name)[contract]}")
    if contract in DISTRIBUTED:
        assert (wrong := failure(name, schema, contract, request)) is None, wrong
    else:
        CHECKS[contract](config_of(name), SCHEMAS[schema])


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_declared_breaks_are_still_there(name, slow, request):
    served = [s for s in SCHEMAS if refusal(name, s) is None]
    for contract in breaks(name):
        if contract == "onnx" and not ONNX or (contract in SLOW) != slow:
            continue
        assert any(failure(name, s, contract, request) for s in served), (
            f"{name} keeps {contract} now: take it out of `breaks`"
        )


@pytest.mark.parametrize("name", NAMES)
def test_breaks_are_contracts_with_reasons(name):
    for contract, reason in breaks(name).items():
        assert contract in CHECKS, f"{contract!r} is no contract; known: {sorted(CHECKS)}"
        assert len(reason.split()) >= 3, f"{contract}: the reason is missing"


@pytest.mark.parametrize("name", NAMES)
def test_every_operator_serves_some_schema_and_says_why_not(name):
    reasons = [refusal(name, s) for s in SCHEMAS]
    assert None in reasons
    assert all(len(r.split()) >= 8 for r in reasons if r is not None)


LOCAL = [c for c in CHECKS if c not in (*DISTRIBUTED, *SLOW)]


@pytest.mark.parametrize("contract", LOCAL)
def test_a_sound_plug_in_from_outside_passes(contract):
    CHECKS[contract](resolve.find("operators", OUTSIDE)(), SCHEMAS["darcy_2d"])


FAULTS = [
    ("real_parameters", "complex"),
    ("asked_points", "ignores_at"),
    ("samples_independent", "mixes_samples"),
    ("gradients", "idle_parameter"),
    ("double", "rounds"),
    ("autocast", "float32_only"),
    ("safetensors", "extra_state"),
    ("weights_only", "extra_state"),
    ("copies", "lambda"),
    ("export", "fixed_size"),
    ("onnx", "branches_on_data"),
    ("compile", "branches_on_data"),
    ("forward_derivative", "no_jvp"),
    ("vmap", "no_vmap"),
    pytest.param("gpu", "cpu_only", marks=pytest.mark.gpu),
]


@pytest.mark.parametrize(("contract", "fault"), FAULTS)
def test_a_fault_is_noticed(contract, fault):
    config = resolve.find("operators", OUTSIDE)(fault=fault)
    with pytest.raises(Exception) as caught:
        CHECKS[contract](config, SCHEMAS["darcy_2d"])
    if caught.type.__name__ == "Skipped":
        raise caught.value


def test_faults_on_two_processes_are_noticed(on_two_processes):
    """A sound one, one that computes something else on each rank, one that mixes samples."""
    sound, *faulty = (on_two_processes[f, "darcy_2d"] for f in FAULTS_ON_TWO)
    assert sound == {"ddp": None, "fsdp": None}
    for found in faulty:
        assert all(found[c] is not None for c in DISTRIBUTED)


def test_a_gpu_is_said_to_be_missing_and_not_silently_passed():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(pytest.skip.Exception, match="no CUDA device"):
        CHECKS["gpu"](config_of("mean"), SCHEMAS["darcy_2d"])
