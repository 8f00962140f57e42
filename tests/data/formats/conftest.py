"""Which formats take a path: exactly one may."""

from __future__ import annotations

import pytest

from sciops.core import resolve
from sciops.data.open import get


@pytest.fixture(scope="session")
def recognised_by():
    """A function: path -> names of all formats that recognise it; the formats are found once."""
    formats = {name: get(name) for name in resolve.names("formats")}
    return lambda path: [name for name, f in formats.items() if f.recognises(path) is not None]
