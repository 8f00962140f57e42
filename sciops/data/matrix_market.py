"""Matrix Market files (.mtx, .mtx.gz): one matrix or vector as text.

    %%MatrixMarket matrix coordinate|array real|integer|pattern general|symmetric|skew-symmetric
    % comments
    rows columns [entries]
    row column [value]        coordinate, numbered from 1; where symmetric, one triangle
    value                     array, column by column; where symmetric, from the diagonal down

The text is parsed by numpy: scipy's reader can crash the process on damaged files.
Source: R. F. Boisvert, R. Pozo, K. A. Remington, The Matrix Market exchange formats, NISTIR 5935
(1996).
"""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError, SciopsError
from sciops.data import budget
from sciops.data.damage import DAMAGE, said

MAGIC, GZIP = "%%matrixmarket", b"\x1f\x8b"
LINE = 1 << 10  # characters of a line of the header at most
COLUMNS = {"real": 3, "integer": 3, "pattern": 2}  # of an entry
SIGNS = {"general": 0, "symmetric": 1, "skew-symmetric": -1}  # of a_ji in terms of a_ij


class _Header(NamedTuple):
    layout: str
    field: str
    symmetry: str
    rows: int
    columns: int
    lines: int  # that follow


def is_matrix_market(path: Path) -> bool:
    """Whether it begins with the banner, after gunzip where it is gzipped."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP)) == GZIP
        with gzip.open(path) if packed else path.open("rb") as stream:
            return stream.read(len(MAGIC)).lower() == MAGIC.encode()
    except DAMAGE:
        return False


def read(path: Path) -> Any:
    """A scipy COO array (coordinate), or a numpy array (rows, columns) (array).

    Raises
    ------
    DataError
        If it is damaged, truncated or complex, or does not fit the memory budget.
    """
    try:
        with _text(path) as text:
            header = _header(path, text)
            width = COLUMNS[header.field] if header.layout == "coordinate" else 1
            budget.require((header.lines, width), 8, path, "the matrix")
            numbers = _numbers(text, header.lines + 1, width)  # (lines, width)
        if len(numbers) != header.lines:
            count = f"more than {header.lines}" if len(numbers) > header.lines else len(numbers)
            raise DataError(
                path, f"declares {header.lines} entries and holds {count}; truncated or damaged"
            )
        return _sparse(path, header, numbers) if width > 1 else _dense(path, header, numbers[:, 0])
    except DAMAGE as error:
        if isinstance(error, SciopsError):
            raise
        raise DataError(
            path, f"a damaged or truncated Matrix Market file ({said(error)})"
        ) from None


@contextmanager
def _text(path: Path) -> Iterator[io.TextIOWrapper]:
    """The lines; what is gzipped is inflated first, within the memory budget."""
    with path.open("rb") as raw:
        stream: Any = raw
        if raw.peek(len(GZIP))[: len(GZIP)] == GZIP:
            with gzip.open(raw) as packed:
                stream = io.BytesIO(packed.read(budget.budget()))
        yield io.TextIOWrapper(stream, encoding="latin-1")


def _header(path: Path, text: io.TextIOWrapper) -> _Header:
    words = text.readline(LINE).lower().split()
    kinds = (("coordinate", "array"), COLUMNS, SIGNS)
    if words[3:4] == ["complex"]:
        raise DataError(path, "a matrix of complex numbers; sciops solves real systems")
    if len(words) != 5 or any(w not in k for w, k in zip(words[2:], kinds, strict=True)):
        raise DataError(
            path,
            f"a Matrix Market file of the kind {' '.join(words[1:])!r}; expected matrix, "
            f"coordinate or array, {', '.join(COLUMNS)}, {', '.join(SIGNS)}",
        )
    line = "%"
    while line.startswith("%") or line.isspace():
        line = text.readline(LINE)
    layout, field, symmetry = words[2:]
    sizes = [int(w) for w in line.split()]
    if len(sizes) != (3 if layout == "coordinate" else 2) or min(sizes) < 0:
        raise DataError(path, f"a damaged Matrix Market file: sizes {line.strip()!r}")
    rows, columns = sizes[:2]
    if symmetry != "general" and rows != columns:
        raise DataError(path, f"a damaged Matrix Market file: {symmetry}, but {rows} x {columns}")
    if layout == "coordinate":
        return _Header(layout, field, symmetry, rows, columns, sizes[2])
    triangle = rows * (rows + SIGNS[symmetry]) // 2
    count = rows * columns if symmetry == "general" else triangle
    return _Header(layout, field, symmetry, rows, columns, count)


def _numbers(text: io.TextIOWrapper, most: int, width: int) -> NDArray[np.float64]:
    """The lines that follow, at most so many, (lines, width)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="loadtxt: input contained no data")
        warnings.filterwarnings("ignore", message="Input line .* contained no data")
        found = np.loadtxt(text, comments="%", ndmin=2, max_rows=most)
    if not found.size:
        return np.zeros((0, width))
    if found.shape[1] != width:
        raise ValueError(f"{found.shape[1]} numbers in a line, expected {width}")
    return found


def _sparse(path: Path, header: _Header, numbers: NDArray[np.float64]) -> Any:
    from scipy.sparse import coo_array

    place = numbers[:, :2].astype(np.int64) - 1
    size = np.array([header.rows, header.columns])
    if (place + 1 != numbers[:, :2]).any() or (place < 0).any() or (place >= size).any():
        raise DataError(path, f"an entry outside of the matrix of {size[0]} x {size[1]}")
    budget.require((header.rows + 1,), 8, path, "a vector for the matrix")
    data = numbers[:, 2] if numbers.shape[1] > 2 else np.ones(len(numbers))
    i, j = place.T
    if header.symmetry != "general":
        off = i != j
        data = np.concatenate([data, SIGNS[header.symmetry] * data[off]])
        i, j = np.concatenate([i, j[off]]), np.concatenate([j, i[off]])
    return coo_array((data, (i, j)), shape=(header.rows, header.columns))


def _dense(path: Path, header: _Header, values: NDArray[np.float64]) -> NDArray[np.float64]:
    n, sign = header.rows, SIGNS[header.symmetry]
    budget.require((n, header.columns), 8, path, "the matrix")
    if not sign:
        return values.reshape(n, header.columns, order="F")
    matrix = np.zeros((n, n))
    j, i = np.triu_indices(n, 0 if sign > 0 else 1)  # down the columns of the lower triangle
    matrix[j, i], matrix[i, j] = sign * values, values
    return matrix
