"""Every format keeps the contracts; formats are never told from one another by their names."""

from __future__ import annotations

import shutil

import pytest
from contracts import format_checks

from sciops.core import resolve
from sciops.data.open import detect, get

FORMATS = resolve.names("formats")


@pytest.mark.parametrize("check", format_checks.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", FORMATS)
def test_contract(name, check, tmp_path):
    check(get(name), tmp_path)


@pytest.mark.slow  # every container is tried in workers by tests/data/test_order.py
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("name", FORMATS)
def test_windows_are_the_same_in_workers(name, method, tmp_path):
    format_checks.check_windows_in_workers(get(name), tmp_path, method)


@pytest.mark.parametrize("name", [n for n in FORMATS if not get(n).on_request])
def test_is_recognised_alone_and_under_any_name(name, tmp_path):
    path = get(name).write_tiny(tmp_path)
    renamed = tmp_path / "renamed.bin"
    shutil.move(path, renamed)
    found, reason = detect(renamed)
    assert found == name
    assert reason
