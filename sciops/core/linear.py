r"""Square linear maps A: R^N -> R^N on fields, from any source, with the tags that solvers need.

    (A x)[b] = A x[b],    x (*batch, *shape),  N = prod(shape)

A map acts on the trailing `shape` dimensions of a tensor and treats the leading ones as
independent right-hand sides.  It carries two promises of whoever made it: `symmetric`
(<A x, y> = <x, A y>) and `positive` (<x, A x> > 0 for x != 0, or for every x that is orthogonal to
its `kernel`).  Nothing is guessed; a promise that is not made is False, and methods that rely on it
refuse the map.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.kernel import Kernel


class LinearMap(ABC):
    """A square linear map on fields of one shape.

    Parameters
    ----------
    shape
        Shape (*shape) of one field x.
    dtype, device
        Type and place of the tensors that the map takes and gives.
    symmetric, positive
        Whether <A x, y> = <x, A y>, and whether <x, A x> > 0 for every x != 0.
    batch
        () for one map; otherwise the map is a stack of maps, one for each entry of the leading
        dimensions of x (one coefficient field a sample, for example).
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        symmetric: bool = False,
        positive: bool = False,
        batch: Sequence[int] = (),
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.batch = tuple(int(n) for n in batch)
        if not self.shape or min(self.shape) < 1:
            raise ShapeError(f"a linear map needs a non-empty field shape, got {self.shape}")
        if not dtype.is_floating_point:
            raise ShapeError(f"a linear map needs a real floating type, got {dtype}; cast it first")
        self.dtype, self.device = dtype, torch.device(device)
        self.symmetric, self.positive = bool(symmetric), bool(positive)

    @property
    def size(self) -> int:
        """Number of unknowns N of one field."""
        return math.prod(self.shape)

    @property
    def kernel(self) -> Kernel | None:
        """The null space, where there is one that is known; `positive` then holds beside it."""
        return None

    @abstractmethod
    def matvec(self, x: Tensor) -> Tensor:
        """A x without any check.  Shapes: (*batch, *shape) -> (*batch, *shape)."""

    def __call__(self, x: Tensor) -> Tensor:
        """A x.

        Raises
        ------
        ShapeError
            If x has other trailing dimensions, another type or another device than the map.
        """
        self.check(x, "x")
        return self.matvec(x)

    def __matmul__(self, x: Tensor) -> Tensor:
        return self(x)

    def check(self, x: Tensor, name: str) -> None:
        """Raise ShapeError unless `x` is a tensor (*batch, *shape) of the map's type and device."""
        if not isinstance(x, Tensor):
            raise ShapeError(f"{name} must be a torch tensor, got {type(x).__name__}")
        d = len(self.shape)
        if x.ndim < d or tuple(x.shape[-d:]) != self.shape:
            raise ShapeError(
                f"{name} must end in the shape {self.shape} of the fields of {self}, "
                f"got {tuple(x.shape)}; reshape it, leading dimensions are right-hand sides"
            )
        if x.dtype != self.dtype or x.device != self.device:
            raise ShapeError(
                f"{name} must be {self.dtype} on {self.device} like {self}, got {x.dtype} on "
                f"{x.device}; cast {name} or use A.to(...)"
            )

    def diagonal(self) -> Tensor:
        """The diagonal of A, shape (*shape) (stacks of maps: (*batch, *shape)).

        Raises
        ------
        SciopsError
            If the map does not know it.
        """
        raise SciopsError(
            f"the diagonal of {self} is not known; build it with as_linear_map(..., diagonal=d) "
            f"or from a sparse matrix"
        )

    def sparse(self) -> Any:
        """A as a scipy CSC array (N, N), fields numbered with the last axis fastest.

        Raises
        ------
        SciopsError
            If the map knows only its action.
        """
        raise SciopsError(
            f"the entries of {self} are not known, only its action; use an iterative solver such "
            f"as cg, or build the map from a sparse matrix"
        )

    def to(
        self, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> LinearMap:
        """The same map in another type or on another device.

        Raises
        ------
        SciopsError
            If the map cannot be moved (its action is a function that sciops cannot look into).
        """
        if dtype in (None, self.dtype) and (device is None or torch.device(device) == self.device):
            return self
        moved = self._moved(dtype or self.dtype, torch.device(device or self.device))
        if moved is None:
            raise SciopsError(
                f"{self} cannot be moved to {dtype or self.dtype} on {device or self.device}: it "
                f"is known by its action only; build it anew in that type"
            )
        return moved

    def _moved(self, dtype: torch.dtype, device: torch.device) -> LinearMap | None:
        """The map in that type and place, or None where that is not possible."""
        return None

    def as_linear_operator(self) -> Any:
        """A as a `scipy.sparse.linalg.LinearOperator` (N, N) on flattened numpy fields."""
        from scipy.sparse.linalg import LinearOperator

        if self.batch:
            raise SciopsError(
                f"{self} is a stack of {self.batch} maps; scipy takes one map at a time"
            )

        def matvec(x: Any) -> Any:
            return matmat(np.asarray(x).reshape(-1, 1))[:, 0]

        def matmat(x: Any) -> Any:
            rows = np.ascontiguousarray(x.T).reshape(-1, *self.shape)  # (k, *shape)
            y = self.matvec(torch.as_tensor(rows, dtype=self.dtype, device=self.device))
            return y.detach().cpu().numpy().reshape(len(rows), -1).T  # (N, k)

        kind = torch.empty(0, dtype=self.dtype).numpy().dtype
        return LinearOperator(
            (self.size, self.size),
            matvec=matvec,
            rmatvec=matvec if self.symmetric else None,
            matmat=matmat,
            dtype=kind,
        )

    def __repr__(self) -> str:
        tags = [t for t in ("symmetric", "positive") if getattr(self, t)]
        words = [str(self.shape), str(self.dtype).removeprefix("torch."), *tags]
        return f"{type(self).__name__}({', '.join(words)})"


@final
class CallableMap(LinearMap):
    """A map given by a function of (*batch, *shape) that is trusted to be linear.

    `diagonal` (*shape) is optional.  Such a map cannot be cast: residuals are then reported in its
    own type.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        shape: Sequence[int],
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        symmetric: bool = False,
        positive: bool = False,
        diagonal: Tensor | None = None,
    ) -> None:
        super().__init__(shape, dtype or torch.get_default_dtype(), device, symmetric, positive)
        if diagonal is not None:
            self.check(diagonal, "diagonal")
        self._function, self._diagonal = function, diagonal

    def matvec(self, x: Tensor) -> Tensor:
        y = self._function(x)
        if y.shape != x.shape:
            raise ShapeError(
                f"the function of {self} must keep the shape {tuple(x.shape)}, got {tuple(y.shape)}"
            )
        return y

    def diagonal(self) -> Tensor:
        return super().diagonal() if self._diagonal is None else self._diagonal


@final
class DiagonalMap(LinearMap):
    """x -> d * x with d (*shape); positive is read off the values."""

    def __init__(self, diagonal: Tensor, shape: Sequence[int] | None = None) -> None:
        shape = tuple(diagonal.shape) if shape is None else tuple(shape)
        batch = diagonal.shape[: diagonal.ndim - len(shape)]
        positive = bool((diagonal > 0).all())
        super().__init__(shape, diagonal.dtype, diagonal.device, True, positive, batch)
        self.check(diagonal, "diagonal")
        self._diagonal = diagonal

    def matvec(self, x: Tensor) -> Tensor:
        return self._diagonal * x

    def diagonal(self) -> Tensor:
        return self._diagonal

    def sparse(self) -> Any:
        from scipy.sparse import diags_array

        if self.batch:
            return super().sparse()
        return diags_array(self._diagonal.detach().cpu().numpy().ravel(), format="csc")

    def _moved(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        return DiagonalMap(self._diagonal.to(device=device, dtype=dtype), self.shape)


@final
class DenseMap(LinearMap):
    """A matrix (N, N) that acts on flattened fields."""

    def __init__(
        self,
        matrix: Tensor,
        shape: Sequence[int] | None = None,
        symmetric: bool = False,
        positive: bool = False,
    ) -> None:
        shape = field_shape(tuple(matrix.shape), shape)
        super().__init__(shape, matrix.dtype, matrix.device, symmetric, positive)
        self.matrix = matrix

    def matvec(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.size)  # (B, N)
        return (rows @ self.matrix.T).reshape(x.shape)

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal().reshape(self.shape)

    def sparse(self) -> Any:
        from scipy.sparse import csc_array

        return csc_array(self.matrix.detach().cpu().numpy())

    def _moved(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        matrix = self.matrix.to(device=device, dtype=dtype)
        return DenseMap(matrix, self.shape, self.symmetric, self.positive)


@final
class SparseMap(LinearMap):
    """A torch CSR matrix (N, N) that acts on flattened fields, with its kernel where one is known.

    One right-hand side goes through the matrix at a time: measured on a CPU (torch 2.13, N = 256^2,
    8 right-hand sides) that takes 2.4 ms, the sparse-times-dense product of torch 10.8 ms.
    """

    def __init__(
        self,
        matrix: Tensor,
        shape: Sequence[int] | None = None,
        symmetric: bool = False,
        positive: bool = False,
        kernel: Kernel | None = None,
    ) -> None:
        shape = field_shape(tuple(matrix.shape), shape)
        super().__init__(shape, matrix.dtype, matrix.device, symmetric, positive)
        self.matrix = matrix if matrix.layout is torch.sparse_csr else _csr_from_torch(matrix)
        self._kernel = kernel

    @property
    def kernel(self) -> Kernel | None:
        return self._kernel

    @classmethod
    def from_scipy(
        cls,
        matrix: Any,
        shape: Sequence[int] | None = None,
        symmetric: bool = False,
        positive: bool = False,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        kernel: Kernel | None = None,
    ) -> SparseMap:
        """From any scipy sparse matrix or array; explicit duplicates are added up."""
        csr = matrix.tocsr(copy=True)
        csr.sum_duplicates()
        index = np.int32 if csr.nnz < 2**31 else np.int64
        values = torch.from_numpy(np.ascontiguousarray(csr.data)).to(device=device, dtype=dtype)
        pointers = torch.from_numpy(csr.indptr.astype(index)).to(device)
        columns = torch.from_numpy(csr.indices.astype(index)).to(device)
        made = _csr(pointers, columns, values, csr.shape)
        return cls(made, shape, symmetric, positive, None if kernel is None else kernel.to(device))

    def matvec(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.size)  # (B, N)
        if len(rows) == 0:
            return x.clone()
        return torch.stack([self.matrix @ row for row in rows]).reshape(x.shape)

    def diagonal(self) -> Tensor:
        values = torch.from_numpy(np.ascontiguousarray(self.sparse().diagonal()))
        return values.to(self.device).reshape(self.shape)

    def sparse(self) -> Any:
        from scipy.sparse import csr_array

        parts = (self.matrix.values(), self.matrix.col_indices(), self.matrix.crow_indices())
        arrays = tuple(p.detach().cpu().numpy() for p in parts)
        return csr_array(arrays, shape=tuple(self.matrix.shape)).tocsc()

    def _moved(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        csr = self.matrix
        pointers, columns = csr.crow_indices().to(device), csr.col_indices().to(device)
        values = csr.values().to(device=device, dtype=dtype)
        moved = _csr(pointers, columns, values, csr.shape)
        kernel = None if self.kernel is None else self.kernel.to(device)
        return SparseMap(moved, self.shape, self.symmetric, self.positive, kernel)


@final
class ScipyMap(LinearMap):
    """A `scipy.sparse.linalg.LinearOperator` (N, N); it works in numpy on the CPU.

    It takes and gives tensors of `dtype`, the operator's own where not given; gradients do not pass
    through it.
    """

    def __init__(
        self,
        operator: Any,
        shape: Sequence[int] | None = None,
        symmetric: bool = False,
        positive: bool = False,
        dtype: torch.dtype | None = None,
        diagonal: Tensor | None = None,
    ) -> None:
        own = torch.from_numpy(np.empty(0, dtype=operator.dtype or np.float64)).dtype
        shape = field_shape(tuple(operator.shape), shape)
        super().__init__(shape, dtype or own, "cpu", symmetric, positive)
        if diagonal is not None:
            self.check(diagonal, "diagonal")
        self.operator, self._diagonal = operator, diagonal

    def matvec(self, x: Tensor) -> Tensor:
        columns = x.detach().reshape(-1, self.size).numpy().T  # (N, B)
        y = np.ascontiguousarray(self.operator.matmat(columns).T)
        return torch.from_numpy(y).to(self.dtype).reshape(x.shape)

    def diagonal(self) -> Tensor:
        return super().diagonal() if self._diagonal is None else self._diagonal


def as_linear_map(
    A: Any,
    shape: Sequence[int] | None = None,
    symmetric: bool = False,
    positive: bool = False,
    dtype: torch.dtype | None = None,
    diagonal: Tensor | None = None,
) -> LinearMap:
    """A linear map from whatever holds one.

    Parameters
    ----------
    A
        A LinearMap (comes back as it is), a torch matrix (dense, CSR, CSC, COO), a numpy matrix, a
        scipy sparse matrix or array, a scipy LinearOperator, or a function of tensors.
    shape
        Shape of one field; (N,) where it is not given.  A function needs it.
    symmetric, positive
        Promises about A; nothing checks them.
    dtype
        Type of the map; that of the matrix where not given (a function: torch's default).
    diagonal
        (*shape) diagonal of A, for a function or a LinearOperator, which do not know theirs.

    Raises
    ------
    ShapeError
        If A is none of these, is not square, or its size is not that of `shape`.
    """
    if isinstance(A, LinearMap):
        return A
    if isinstance(A, np.ndarray):
        A = torch.from_numpy(A)
    if isinstance(A, Tensor):
        A = A if dtype is None else A.to(dtype)
        kind = DenseMap if A.layout is torch.strided else SparseMap
        return kind(A, shape, symmetric, positive)
    if hasattr(A, "tocsr"):
        return SparseMap.from_scipy(A, shape, symmetric, positive, dtype)
    if hasattr(A, "matmat") and hasattr(A, "shape"):
        return ScipyMap(A, shape, symmetric, positive, dtype, diagonal)
    if callable(A) and shape is not None:
        return CallableMap(A, shape, dtype, "cpu", symmetric, positive, diagonal)
    what = "a function without `shape`" if callable(A) else type(A).__name__
    raise ShapeError(
        "expected a LinearMap, a torch, numpy or scipy matrix, a scipy LinearOperator or a "
        f"function with shape=(...), got {what}"
    )


def field_shape(matrix: tuple[int, ...], shape: Sequence[int] | None) -> tuple[int, ...]:
    """The field shape of a matrix, checked against its size."""
    if len(matrix) != 2 or matrix[0] != matrix[1]:
        raise ShapeError(f"a linear map needs a square matrix, got the shape {matrix}")
    if shape is None:
        return matrix[:1]
    if math.prod(shape) != matrix[0]:
        raise ShapeError(
            f"a matrix of {matrix[0]} unknowns cannot act on fields of the shape {tuple(shape)} "
            f"({math.prod(shape)} values)"
        )
    return tuple(shape)


def _csr_from_torch(matrix: Tensor) -> Tensor:
    with _quiet():
        return matrix.to_sparse_csr()


def _csr(pointers: Tensor, columns: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    with _quiet():
        return torch.sparse_csr_tensor(
            pointers, columns, values, tuple(shape), check_invariants=True
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch warns once that CSR tensors are in beta; the product used here is tested."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
        yield
