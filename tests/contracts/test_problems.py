"""Every problem of the library keeps the contracts, on cells and on nodes."""

from __future__ import annotations

import pytest
from contracts.problem_checks import CHECKS

from sciops.core import resolve

NAMES = resolve.names("problems")
VARIANTS = NAMES + [
    f"{name} on nodes"
    for name in NAMES
    if "centring" in resolve.find("problems", name).model_fields
]


def small(variant):
    """The problem on a coarse grid."""
    name, _, nodes = variant.partition(" on ")
    cls = resolve.find("problems", name)
    coarse = {"resolution": 17} if "resolution" in cls.model_fields else {}
    return cls(**coarse, **({"centring": "node"} if nodes else {}))


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", VARIANTS)
def test_contract(name, check):
    check(lambda: small(name))
