"""Every problem of the library keeps the contracts, on cells and on nodes."""

from __future__ import annotations

import pytest
from contracts import problem_checks

from sciops.core import resolve
from sciops.core.problem import Evolution


def variants():
    """(name, problem on a coarse grid, check) for all that must hold."""
    for name in resolve.names("problems"):
        cls = resolve.find("problems", name)
        fields, few = cls.model_fields, {}
        if issubclass(cls, Evolution):  # the grid still resolves the known case
            few = {"resolution": fields["resolution"].default // 2, "frames": 6}
        elif "resolution" in fields:
            few = {"resolution": 17}
        for more in [{}, {"centring": "node"}] if "centring" in fields else [{}]:
            for check in problem_checks.of(cls):
                label = "-".join([name, *more.values(), check.__name__])
                yield pytest.param(cls, few | more, check, id=label)


@pytest.mark.parametrize(("cls", "settings", "check"), list(variants()))
def test_contract(cls, settings, check):
    check(lambda: cls(**settings))
