"""Ritz vectors and the published right-hand sides: eigenpairs, weights, seeds, memory."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch.utils._python_dispatch import TorchDispatchMode

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import SciopsError
from sciops.core.linear import DenseMap
from sciops.training import ritz as ritz_module
from sciops.training.ritz import lanczos, right_hand_sides


def medium(n=12, **settings):
    a = torch.from_numpy(10.0 ** np.random.default_rng(0).random((n, n + 1)))
    return DiffusionMap.from_coefficient(a, (1 / n, 1 / n), "cell", **settings)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def is_file(t):
    """Whether a tensor's memory is a mapping of a (nameless) file."""
    start = t.untyped_storage().data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(x, 16) for x in line.split()[0].split("-"))
        if first <= start < last:
            return "(deleted)" in line
    return False


class Largest(TorchDispatchMode):
    """The largest tensor that any operation made anew, in bytes."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            given = [a.untyped_storage().data_ptr() for a in args if isinstance(a, torch.Tensor)]
            if out.untyped_storage().data_ptr() not in given:
                self.bytes = max(self.bytes, out.numel() * out.element_size())
        return out


def test_extreme_pairs_are_those_of_eigsh():
    A = medium()
    ritz = lanczos(A, 70, seeded())
    values, vectors = eigsh(A.sparse(), k=2, which="LM")
    np.testing.assert_allclose(ritz.values[-2:], values, rtol=1e-9)
    found = ritz.combined(torch.eye(70, dtype=torch.float64)[:, -2:]).flatten(1)
    overlap = np.abs(vectors.T @ found.numpy().T)
    np.testing.assert_allclose(overlap, np.eye(2), atol=1e-6)


def test_all_of_them_are_all_eigenpairs():
    A = medium(8)
    ritz = lanczos(A, A.size, seeded())
    exact = torch.linalg.eigvalsh(torch.from_numpy(A.sparse().toarray()))
    torch.testing.assert_close(ritz.values, exact, rtol=1e-9, atol=0)
    V = ritz.combined(torch.eye(A.size, dtype=torch.float64))
    torch.testing.assert_close(A @ V, ritz.values[:, None, None] * V, rtol=1e-6, atol=1e-6)


def test_the_basis_stays_orthogonal():
    basis = lanczos(medium(), 150, seeded()).basis
    torch.testing.assert_close(basis @ basis.T, torch.eye(150, dtype=torch.float64))


def test_an_invariant_space_ends_it():
    d = torch.tensor([1.0, 1.0, 2.0, 2.0, 5.0, 5.0], dtype=torch.float64)
    ritz = lanczos(DenseMap(torch.diag(d), None, True, True), 6, seeded())
    torch.testing.assert_close(ritz.values, torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64))


def coefficients(ritz, data):
    """(m, count): the parts of right-hand sides along the Ritz vectors."""
    V = ritz.combined(torch.eye(len(ritz.values), dtype=torch.float64)).flatten(1)
    return V @ data.flatten(1).double().T


@pytest.mark.parametrize(("extra", "lowest"), [(None, 44), (6, 46)])
def test_the_lowest_weigh_nine_times(extra, lowest):
    """m = 80: the lowest m/2 + m/20, or m/2 + s."""
    ritz = lanczos(medium(), 80, seeded())
    data = right_hand_sides(ritz, 400, seeded(1), extra)
    assert data.shape == (400, 12, 13) and data.dtype == torch.float32
    torch.testing.assert_close(data.flatten(1).norm(dim=1), torch.ones(400))
    size = coefficients(ritz, data).square().mean(1).sqrt()
    low, high = size[:lowest], size[lowest:]
    assert (low.mean() / high.mean()).item() == pytest.approx(9.0, rel=0.03)
    assert low.min() > 4 * high.max()


def test_the_null_space_has_no_part():
    A = medium(walls="neumann")
    ritz = lanczos(A, A.size, seeded())
    data = right_hand_sides(ritz, 5, seeded(1)).double()
    assert data.mean((1, 2)).abs().max() < 1e-7


def test_a_budget_sends_the_basis_to_disk(tmp_path, monkeypatch):
    """The same bits, and no tensor larger than a block; 300 steps of Lanczos amplify rounding."""
    A, m, count = medium(64), 300, 200
    whole = m * A.size * 8
    budget = 2 * whole // 3
    monkeypatch.setattr(ritz_module, "BLOCK", budget // 16)
    rich = lanczos(A, m, seeded())
    expected = right_hand_sides(rich, count, seeded(1))
    with Largest() as largest:
        poor = lanczos(A, m, seeded(), budget, tmp_path)
        data = right_hand_sides(poor, count, seeded(1), folder=tmp_path)
    assert largest.bytes <= budget // 8
    assert is_file(poor.basis) and is_file(data) and not is_file(rich.basis)
    assert not any(tmp_path.iterdir())  # files without a name
    assert torch.equal(poor.values, rich.values) and torch.equal(data, expected)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(ritz_module, "BLOCK", 1000)
    with pytest.raises(SciopsError, match="of vectors do not fit there"):
        lanczos(medium(24), 40, seeded(), 130_000, tmp_path)


def test_one_seed_one_set():
    A = medium()
    one, two = (right_hand_sides(lanczos(A, 30, seeded()), 4, seeded(1)) for _ in range(2))
    assert torch.equal(one, two)
    more = right_hand_sides(lanczos(A, 30, seeded()), 9, seeded(1))
    torch.testing.assert_close(more[:4], one)
    assert not torch.equal(right_hand_sides(lanczos(A, 30, seeded()), 4, seeded(2)), one)


def test_float32_matrix():
    A = medium()
    single = lanczos(A.to(dtype=torch.float32), 70, seeded())
    assert single.basis.dtype == torch.float32
    torch.testing.assert_close(
        single.values[-3:], lanczos(A, 70, seeded()).values[-3:], rtol=1e-5, atol=0
    )


def test_misuse_is_told():
    A = medium()
    with pytest.raises(SciopsError, match="between 1 and the 156 unknowns, got 157"):
        lanczos(A, 157, seeded())
    with pytest.raises(SciopsError, match="one symmetric map"):
        lanczos(DenseMap(torch.eye(3)), 2, seeded())
    with pytest.raises(SciopsError, match="fewer or raise `memory`"):
        lanczos(A, 100, seeded(), memory=100_000)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1, 1] = math.nan
    with pytest.raises(SciopsError, match="NaN or infinity"):
        lanczos(DenseMap(matrix, None, True, True), 2, seeded())
