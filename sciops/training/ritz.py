r"""Right-hand sides made of Ritz vectors, the published data of DCDM, within a memory budget.

    Lanczos from q_1 = A x / ||A x||, x ~ N(0, 1):    A Q = Q T + (one vector),    T tridiagonal (m)
    T = Y diag(theta) Y^T,    Ritz vectors Q Y,    b = Q Y c / ||Q Y c||
    c_i ~ 9 N(0, 1) for the m/2 + s lowest Ritz values above zero,    ~ N(0, 1) for the others

Every new Lanczos vector is made orthogonal to all before.  The basis Q (m fields) is the large
thing: 21 GB for the published m = 10,000 at 64^3.  Where it is over the budget it lies in a
temporary file.  The orthogonalisation and the sums Q (Y c) go through it block by block, each block
being read once for all that is done with it: m (m + 1) / 2 fields are read in all for Lanczos
(twice that in the rare case that a second pass is needed) and m for each chunk of right-hand sides.
That is a matter of minutes for thousands of fields at 32^3; at 64^3 the
published m needs the basis in memory to be done in reasonable time.  The file shows in the page
cache, which the system takes back at will; it is removed with the tensor.

Blocks are of one size, so that a seed gives the same bits whatever the budget: Lanczos amplifies
rounding until nothing is alike.

Source: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, A deep conjugate direction method
for iteratively solving linear systems, ICML 2023, arXiv 2205.10763; the recipe as read off the
authors' ayano721/2023_DCDM, src/datasetcreate.py (m = 10,000, s = 500, 20,000 right-hand sides).
Second pass: J. W. Daniel, W. B. Gragg, L. Kaufman, G. W. Stewart, Math. Comp. 30 (1976).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import SciopsError
from sciops.core.linear import LinearMap
from sciops.data.budget import budget, readable

EMPHASIS = 9.0  # weight of the lowest Ritz vectors
AGAIN = 0.7  # of its norm that a vector must keep in the first pass
BLOCK = 32 << 20  # bytes of the basis that are worked on at a time


@dataclass(frozen=True)
class Ritz:
    """Ritz pairs of a symmetric A.

    Parameters
    ----------
    values
        (m,) float64: Ritz values, ascending.
    mixing
        (m, m) float64: Y; column i holds Ritz vector i in terms of the basis.
    basis
        (m, N): the Lanczos vectors as rows, in A's type; in a file where they are over the budget.
    shape
        (*shape) of a field.
    device
        Where A is; blocks of the basis are brought there.
    memory
        The budget in bytes.
    """

    values: Tensor
    mixing: Tensor
    basis: Tensor
    shape: tuple[int, ...]
    device: torch.device
    memory: int

    def combined(self, weights: Tensor) -> Tensor:
        """sum_i weights[i, k] (Ritz vector i), weights (m, k) -> (k, *shape)."""
        inside = (self.mixing @ weights.to(self.mixing)).to(self.basis.dtype)  # Y c, (m, k)
        total = self.basis.new_zeros(weights.shape[1], self.basis.shape[1], device=self.device)
        for rows, block in _blocks(self.basis, self.device):
            total.addmm_(inside[rows].T.to(self.device), block)
        return total.reshape(-1, *self.shape)


def lanczos(
    A: LinearMap,
    m: int,
    generator: torch.Generator,
    memory: int | None = None,
    folder: str | Path | None = None,
) -> Ritz:
    """m Ritz pairs of A by Lanczos with full re-orthogonalisation.

    Parameters
    ----------
    A
        Symmetric; one map.  With a kernel the pairs are those of its complement.
    m
        Number of Lanczos vectors; fewer come back where they span an invariant space before.
    generator
        On the CPU; decides x.
    memory
        Bytes for basis, blocks and Y together; `sciops.data.budget` where not given.  It decides
        what lies on disk, and no number.
    folder
        Where the temporary file goes; the system's folder for such files where not given.

    Raises
    ------
    SciopsError
        If A is not tagged symmetric or is a stack, if m is not between 1 and N, or if the (m, m)
        eigenvectors or a few blocks of the basis are over the budget, or the disk is full.
    """
    memory = budget() if memory is None else memory
    _check(A, m, memory)
    basis = _storage(m, A.size, A.dtype, A.device, memory // 2, folder)
    x = torch.randn(A.shape, dtype=torch.float64, generator=generator).to(A.device, A.dtype)
    q = A.matvec(x).flatten()
    q = q / q.norm()
    alpha, beta = torch.zeros(m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    for j in range(m):
        basis[j] = q
        w = A.matvec(q.reshape(A.shape)).flatten()
        size = float(w.norm())
        alpha[j] = float(q @ w)
        w = w - float(alpha[j]) * q
        if j:
            w = w - float(beta[j - 1]) * basis[j - 1].to(A.device)
        w = _orthogonal(w, basis[: j + 1], A.device)
        beta[j] = float(w.norm())
        if not beta[j] > 100 * torch.finfo(A.dtype).eps * size:
            break
        q = w / float(beta[j])
    if not bool(alpha.isfinite().all()):
        raise SciopsError(f"{A} gives NaN or infinity; look for missing values in it")
    from scipy.linalg import eigh_tridiagonal

    values, mixing = eigh_tridiagonal(alpha[: j + 1].numpy(), beta[:j].numpy())
    mixing *= np.where(mixing[0] < 0, -1.0, 1.0)  # else rounding would decide the signs
    tensors = torch.from_numpy(values), torch.from_numpy(mixing)
    return Ritz(*tensors, basis[: j + 1], A.shape, A.device, memory)


def right_hand_sides(
    ritz: Ritz,
    count: int,
    generator: torch.Generator,
    extra: int | None = None,
    folder: str | Path | None = None,
) -> Tensor:
    """The published data (formula: top of this file).

    Parameters
    ----------
    ritz
        Of `lanczos`.
    count
        How many; the first ones of one seed are the same for every count.
    generator
        On the CPU; decides c.
    extra
        s; m / 20 where not given (published: 500 of 10,000).
    folder
        Where the temporary file goes if the data is over the budget.

    Returns
    -------
    (count, *shape) float32 of unit norm, in a file where it is over an eighth of the budget.
    """
    size, item = ritz.basis.shape[1], ritz.basis.element_size()
    m = len(ritz.values)
    lowest, extra = _first_positive(ritz), m // 20 if extra is None else extra
    scale = torch.ones(m, dtype=torch.float64)
    scale[:lowest] = 0.0
    scale[lowest : lowest + m // 2 + extra] = EMPHASIS
    data = _storage(count, size, torch.float32, torch.device("cpu"), ritz.memory // 8, folder)
    rows = max(1, BLOCK // max(size * item, 3 * 8 * m))
    for start in range(0, count, rows):
        chunk = data[start : start + rows]
        # One draw for each, so that they do not depend on the size of the chunks.
        c = [torch.randn(m, dtype=torch.float64, generator=generator) for _ in range(len(chunk))]
        b = ritz.combined(torch.stack(c, 1) * scale[:, None]).flatten(1)
        chunk.copy_(b.div_(b.norm(dim=1, keepdim=True)))
    return data.reshape(count, *ritz.shape)


def _first_positive(ritz: Ritz) -> int:
    """Number of Ritz values that are zero up to rounding (the published bound is 1e-8)."""
    eps = torch.finfo(ritz.basis.dtype).eps
    return int((ritz.values <= len(ritz.values) * eps * ritz.values.abs().max()).sum())


def _orthogonal(w: Tensor, basis: Tensor, device: torch.device) -> Tensor:
    """w less its parts along the rows of `basis`, block after block; again where little is left."""
    for _ in range(2):
        before = w.norm()
        for _, block in _blocks(basis, device):
            w = torch.addmv(w, block.T, block @ w, alpha=-1.0)
        if bool(w.norm() >= AGAIN * before):
            break
    return w


def _blocks(basis: Tensor, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """The rows of `basis` on `device`, as many at a time as `BLOCK` holds."""
    height = max(1, BLOCK // (basis.shape[1] * basis.element_size()))
    for start in range(0, len(basis), height):
        rows = slice(start, start + height)
        yield rows, basis[rows].to(device)


def _storage(
    rows: int,
    columns: int,
    dtype: torch.dtype,
    device: torch.device,
    memory: int,
    folder: str | Path | None,
) -> Tensor:
    """An empty (rows, columns) in memory, or on disk where it is larger than `memory`."""
    item = torch.empty(0, dtype=dtype).element_size()
    if rows * columns * item <= memory:
        return torch.empty(rows, columns, dtype=dtype, device=device)
    kind = torch.empty(0, dtype=dtype).numpy().dtype
    with tempfile.TemporaryFile(dir=folder) as file:  # without a name: it ends with the mapping
        _reserve(file.fileno(), rows * columns * item, str(folder or tempfile.gettempdir()))
        return torch.from_numpy(np.memmap(file, kind, "w+", shape=(rows, columns)))


def _reserve(handle: int, size: int, folder: str) -> None:
    """Take the bytes of a file now: a mapping of a full disk would kill the process later."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        raise SciopsError(
            f"{folder}: {readable(size)} of vectors do not fit there ({error.strerror}); set "
            f"TMPDIR to a folder with more space, or ask for fewer"
        ) from None


def _check(A: LinearMap, m: int, memory: int) -> None:
    if not A.symmetric or A.batch:
        raise SciopsError(
            f"Ritz vectors need one symmetric map, got {A}; tag it if it is symmetric"
        )
    if not 1 <= m <= A.size:
        raise SciopsError(f"m must be between 1 and the {A.size} unknowns, got {m}")
    item = torch.empty(0, dtype=A.dtype).element_size()
    row = A.size * item
    needed = max(8 * 8 * m * m, 8 * max(min(BLOCK, m * row), row))
    if needed > memory:
        raise SciopsError(
            f"{m} Ritz vectors of {A.size} unknowns need a budget of {readable(needed)} even with "
            f"their basis on disk, got {readable(memory)}; ask for fewer or raise `memory`"
        )
