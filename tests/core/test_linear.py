"""Linear maps: every source of a matrix acts like that matrix, and says what it knows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import LinearOperator

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.linear import CallableMap, DenseMap, DiagonalMap, SparseMap, as_linear_map

SHAPE = (3, 4)
MATRIX = np.random.default_rng(0).standard_normal((12, 12)) * (
    np.random.default_rng(1).random((12, 12)) < 0.4
)
SOURCES = {
    "dense numpy": lambda m: as_linear_map(m, SHAPE),
    "dense torch": lambda m: as_linear_map(torch.from_numpy(m), SHAPE),
    "torch csr": lambda m: as_linear_map(SparseMap.from_scipy(sp.csr_array(m)).matrix, SHAPE),
    "torch coo": lambda m: as_linear_map(torch.from_numpy(m).to_sparse_coo(), SHAPE),
    "scipy csc": lambda m: as_linear_map(sp.csc_array(m), SHAPE),
    "scipy coo matrix": lambda m: as_linear_map(sp.coo_matrix(m), SHAPE),
    "scipy operator": lambda m: as_linear_map(sp.linalg.aslinearoperator(m), SHAPE),
    "function": lambda m: as_linear_map(
        lambda x: (x.flatten(-2) @ torch.from_numpy(m).T).reshape(x.shape),
        SHAPE,
        dtype=torch.float64,
        diagonal=torch.from_numpy(m).diagonal().reshape(SHAPE),
    ),
}
CASTABLE = [name for name in SOURCES if name not in ("scipy operator", "function")]


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("source", SOURCES)
def test_acts_like_the_matrix_on_any_batch(source, batch):
    A = SOURCES[source](MATRIX)
    x = torch.randn(*batch, *SHAPE, dtype=torch.float64)
    y = A @ x
    expected = x.reshape(-1, 12).numpy() @ MATRIX.T
    assert y.shape == x.shape and y.dtype == torch.float64
    np.testing.assert_allclose(y.reshape(-1, 12).numpy(), expected, atol=1e-13)


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "scipy operator"])
def test_diagonal(source):
    d = SOURCES[source](MATRIX).diagonal()
    assert d.shape == SHAPE
    np.testing.assert_array_equal(d.numpy().ravel(), np.diagonal(MATRIX))


@pytest.mark.parametrize("source", CASTABLE)
def test_entries_and_cast(source):
    A = SOURCES[source](MATRIX)
    np.testing.assert_array_equal(A.sparse().toarray(), MATRIX)
    low = A.to(dtype=torch.float32)
    x = torch.randn(2, *SHAPE)
    assert low.dtype == (low @ x).dtype == torch.float32
    torch.testing.assert_close(low @ x, (A @ x.double()).float(), rtol=1e-5, atol=1e-5)
    assert A.to(dtype=torch.float64) is A


@pytest.mark.parametrize("source", SOURCES)
def test_round_trip_through_scipy(source):
    op = SOURCES[source](MATRIX).as_linear_operator()
    assert isinstance(op, LinearOperator) and op.shape == (12, 12) and op.dtype == np.float64
    x = np.random.default_rng(2).standard_normal((12, 3))
    np.testing.assert_allclose(op @ x[:, 0], MATRIX @ x[:, 0], atol=1e-13)
    np.testing.assert_allclose(op @ x, MATRIX @ x, atol=1e-13)


def test_only_symmetric_maps_have_a_transpose_in_scipy():
    m = MATRIX + MATRIX.T
    op = as_linear_map(m, SHAPE, symmetric=True).as_linear_operator()
    x = np.arange(12.0)
    np.testing.assert_allclose(op.T @ x, m @ x, atol=1e-12)
    with pytest.raises(NotImplementedError):
        as_linear_map(MATRIX).as_linear_operator().T @ x


def test_diagonal_map_reads_its_sign_and_may_be_a_stack():
    d = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert DiagonalMap(d).positive and not DiagonalMap(-d).positive
    assert not DiagonalMap(d - 1.0).positive
    stack = DiagonalMap(d, shape=(2,))
    assert stack.batch == (2,)
    torch.testing.assert_close(stack @ torch.ones(2, 2), d)
    with pytest.raises(SciopsError, match="stack"):
        stack.as_linear_operator()
    np.testing.assert_array_equal(DiagonalMap(d[0]).sparse().toarray(), [[1, 0], [0, 2]])
    assert DiagonalMap(d[0]).to(dtype=torch.float64).diagonal().dtype == torch.float64


def test_tags_are_promises_and_never_guessed():
    A = as_linear_map(np.eye(2))
    assert not A.symmetric and not A.positive
    tagged = as_linear_map(np.eye(2), symmetric=True, positive=True)
    assert tagged.symmetric and tagged.to(dtype=torch.float32).positive
    assert "positive" in repr(tagged) and as_linear_map(tagged) is tagged


def test_duplicate_entries_add_up_and_the_source_is_left_alone():
    m = sp.csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2, 2])), shape=(2, 2))
    A = SparseMap.from_scipy(m)
    assert A.matrix.values().tolist() == [3.0] and m.nnz == 2
    assert A.diagonal().tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: as_linear_map(np.ones((2, 3))), "square"),
        (lambda: as_linear_map(np.eye(4), shape=(3,)), "4 unknowns"),
        (lambda: as_linear_map("matrix"), "got str"),
        (lambda: as_linear_map(lambda x: x), "without `shape`"),
        (lambda: as_linear_map(np.eye(2, dtype=np.int64)), "floating"),
        (lambda: as_linear_map(np.eye(2)) @ torch.ones(3, dtype=torch.float64), r"\(3,\)"),
        (lambda: as_linear_map(np.eye(2)) @ torch.ones(2), "float32"),
        (lambda: as_linear_map(np.eye(2)) @ np.ones(2), "ndarray"),
        (lambda: CallableMap(lambda x: x[..., :1], (2,)) @ torch.ones(2), "keep the shape"),
        (lambda: DiagonalMap(torch.ones(0)), "non-empty"),
    ],
)
def test_misuse_is_told(make, words):
    with pytest.raises(ShapeError, match=words):
        make()


def test_what_a_function_cannot_do_is_told():
    A = CallableMap(lambda x: x, (2,))
    for ask in (A.diagonal, A.sparse, lambda: A.to(dtype=torch.float64)):
        with pytest.raises(SciopsError, match="known"):
            ask()


def test_gradients_pass_through_dense_and_sparse_maps():
    for kind in (DenseMap(torch.from_numpy(MATRIX)), SparseMap.from_scipy(sp.csr_array(MATRIX))):
        x = torch.randn(12, dtype=torch.float64, requires_grad=True)
        (kind @ x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), MATRIX.sum(0), atol=1e-13)
