"""The contract of metrics, over every metric of the library and one from outside."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from contracts.metric_checks import CHECKS, pair, task

from sciops import metrics
from sciops.core.errors import NotFound

OUTSIDE = "outside_metrics.errors:mean_error"


@metrics.metric(perfect=0.0, units="of the variable")
def mean_error(pred, truth, schema, mask=None):
    """Mean |p - y|, as somebody else would write it on top of ours."""
    from sciops.metrics._pooling import fields

    f = fields(pred, truth, schema, mask)
    return f.mean(f.error.abs())


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    package = types.ModuleType("outside_metrics")
    module = types.ModuleType("outside_metrics.errors")
    module.mean_error, module.unmarked = mean_error, lambda p, y, s, m=None: p
    monkeypatch.setitem(sys.modules, "outside_metrics", package)
    monkeypatch.setitem(sys.modules, "outside_metrics.errors", module)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", [*metrics.names(), OUTSIDE])
def test_contract(name, check):
    check(metrics.find(name))


def test_names_and_short_names():
    names = metrics.names()
    assert names == sorted(names)
    assert {"pointwise:relative_l2", "spectral:error_spectrum"} <= set(names)
    assert "pointwise:metric" not in names and "pointwise:fields" not in names
    assert metrics.find("relative_l2") is metrics.find("pointwise:relative_l2")


def test_unknown_names_are_refused_with_the_nearest():
    for name, nearest in (("relativ_l2", "relative_l2"), ("pointwise:rmsee", "pointwise:rmse")):
        with pytest.raises(NotFound, match=f"Did you mean '{nearest}'"):
            metrics.find(name)
    with pytest.raises(NotFound, match="cannot load"):
        metrics.find("no_such_package.module:function")
    with pytest.raises(NotFound, match="cannot load"):
        metrics.find("outside_metrics.errors:absent")
    with pytest.raises(NotFound, match="decorate it"):
        metrics.find("outside_metrics.errors:unmarked")


def test_a_short_name_that_two_files_have_is_refused(monkeypatch):
    monkeypatch.setattr(metrics, "names", lambda: ["a:rmse", "b:rmse"])
    with pytest.raises(NotFound, match="a:rmse, b:rmse"):
        metrics.find("rmse")


def test_the_package_is_light():
    import subprocess

    code = "import sys, sciops.metrics; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_checks_notice_broken_metrics():
    """Each mistake is caught by at least one check."""
    rmse = metrics.find("rmse")
    mistakes = {
        "mean over the batch": lambda p, y, s, m=None: rmse(p, y, s, m).mean(0).expand(len(p), -1),
        "hides NaN": lambda p, y, s, m=None: rmse(p.nan_to_num(), y, s, m),
        "ignores the mask": lambda p, y, s, m=None: rmse(p, y, s),
        "not a mean": lambda p, y, s, m=None: rmse(p, y, s, m) * p[0, 0].numel() ** 0.5,
        "wrong unit": lambda p, y, s, m=None: rmse(p, y, s, m) ** 2,
        "float32": lambda p, y, s, m=None: rmse(p, y, s, m).float(),
    }
    for mistake, function in mistakes.items():
        broken = metrics.metric(perfect=0.0, units="of the variable")(function)
        broken.__doc__ = mistake
        failed = [check.__name__ for check in CHECKS if not _passes(check, broken)]
        assert failed, mistake


def _passes(check, metric) -> bool:
    try:
        check(metric)
    except (AssertionError, pytest.fail.Exception):
        return False
    return True


def test_pair_is_reproducible():
    for a, b in zip(pair(task()), pair(task()), strict=True):
        torch.testing.assert_close(a, b)
