import itertools

import numpy as np
import pytest
import torch

from sciops.core.errors import ConfigError
from sciops.layers.multigrid import Line, Scheme, transfers
from sciops.layers.multigrid.boundary import continued, extended
from sciops.layers.multigrid.transfers import _along, resample

CPU = torch.device("cpu")
WALLED = [
    Line(lower, upper, centring)
    for centring in ("cell", "node", "interior", "left")
    for lower, upper in itertools.product(("dirichlet", "neumann"), repeat=2)
]
PERIODIC = [Line("periodic", "periodic", centring) for centring in ("cell", "node")]
LINES = WALLED + PERIODIC
names = lambda line: f"{line.lower}-{line.upper}-{line.centring}"  # noqa: E731


def places(line, n):
    return (np.arange(n) + line.offsets[0]) / line.intervals(n)


@pytest.mark.parametrize(
    ("line", "n", "coarse"),
    [
        (Line(centring="cell"), 64, 32),
        (Line(centring="cell"), 85, 43),
        (Line(centring="interior"), 63, 31),
        (Line(centring="interior"), 64, 32),
        (Line(centring="node"), 65, 33),
        (Line(centring="node"), 64, 33),
        (Line(centring="left"), 64, 32),
        (Line("periodic", "periodic", "node"), 64, 32),
        (Line("periodic", "periodic", "node"), 63, 32),
    ],
)
def test_the_coarser_grid_has_half_the_intervals(line, n, coarse):
    assert line.coarse(n) == coarse
    assert line.intervals(coarse) == -(-line.intervals(n) // 2)


def test_a_ladder_ends_at_two_unknowns():
    assert Scheme().depth([Line(centring="interior")], (63,)) == 5  # 63, 31, 15, 7, 3
    assert Scheme().depth([Line(centring="node")], (65,)) == 5  # 65, 33, 17, 9, 5
    assert Scheme().depth([Line(), Line()], (64, 3)) == 6  # the short axis stays at 2


@pytest.mark.parametrize("line", LINES, ids=names)
@pytest.mark.parametrize("n", [7, 8, 13, 16, 33, 85])
def test_linear_functions_are_interpolated_exactly(line, n):
    """Away from walls that do not fit them; 1 everywhere that is not of Dirichlet type."""
    m = line.coarse(n)
    P = line.interpolation(m, n, CPU).numpy()
    inside = slice(3, n - 3)
    np.testing.assert_allclose((P @ places(line, m))[inside], places(line, n)[inside], atol=1e-14)
    if "dirichlet" not in (line.lower, line.upper):
        np.testing.assert_allclose(P.sum(1), 1, atol=1e-14)


@pytest.mark.parametrize("line", LINES, ids=names)
@pytest.mark.parametrize("n", [7, 8, 13, 16, 33, 85])
def test_means_are_means(line, n):
    """Constants stay, and so does the integral, each point counting by its cell."""
    m = line.coarse(n)
    R = line.averages(n, m, CPU)
    torch.testing.assert_close(R.sum(1), torch.ones(m, dtype=torch.float64))
    fine, coarse = (torch.subtract(*reversed(line._cells(k, CPU))) for k in (n, m))
    if 1.0 not in line.offsets or line.periodic:  # otherwise the outermost cells differ
        torch.testing.assert_close(coarse @ R, fine)


def test_nested_weights_are_the_textbook_ones():
    full = Line(centring="interior").averages(7, 3, CPU)
    torch.testing.assert_close(full[1], torch.tensor([0, 0, 1, 2, 1, 0, 0]).double() / 4)
    bilinear = Line(centring="interior").interpolation(3, 7, CPU)
    torch.testing.assert_close(bilinear[:3, 0], torch.tensor([0.5, 1, 0.5]).double())
    pair = Line(centring="cell").averages(8, 4, CPU)
    torch.testing.assert_close(pair[1], torch.tensor([0, 0, 1, 1, 0, 0, 0, 0]).double() / 2)
    cell = Line("dirichlet", "neumann", "cell").interpolation(4, 8, CPU)
    torch.testing.assert_close(cell[0], torch.tensor([0.5, 0, 0, 0]).double())
    torch.testing.assert_close(cell[2], torch.tensor([0.25, 0.75, 0, 0]).double())
    torch.testing.assert_close(cell[7], torch.tensor([0, 0, 0, 1]).double())


@pytest.mark.parametrize("line", LINES, ids=names)
@pytest.mark.parametrize("n", [7, 8, 12, 13, 85])
@pytest.mark.parametrize("small", [0, 10**6])
def test_transfers_are_their_matrices_and_have_their_transpose(line, n, small, monkeypatch):
    monkeypatch.setattr(transfers, "SMALL", small)
    m = line.coarse(n)
    for what, a, b in (("averages", n, m), ("interpolation", m, n)):
        matrix = getattr(line, what)(a, b, CPU)
        v = torch.randn(2, 3, a, dtype=torch.float64, requires_grad=True)
        w = _along(v, 2, line, b, what)
        torch.testing.assert_close(w, v @ matrix.T)
        g = torch.randn_like(w)
        (slope,) = torch.autograd.grad(w, v, g)
        torch.testing.assert_close(slope, g @ matrix)


def test_pooling_is_the_matrix_of_means():
    v = torch.randn(2, 3, 12, 10, dtype=torch.float64)
    lines = [Line("dirichlet", "neumann", "cell"), Line("periodic", "periodic", "cell")]
    R = [line.averages(n, n // 2, CPU) for line, n in zip(lines, (12, 10), strict=True)]
    expected = torch.einsum("ax,by,bcxy->bcab".replace("bc", "zc"), R[0], R[1], v)
    torch.testing.assert_close(transfers.restrict(v, lines, (6, 5)), expected)


def test_resampling_while_tracing_is_resampling(monkeypatch):
    v = torch.randn(2, 3, 20, 9, dtype=torch.float64)
    lines = [Line(centring="cell"), Line("neumann", "neumann", "node")]
    expected = resample(v, lines, (8, 17))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(resample(v, lines, (8, 17)), expected)


# ------------------------------------------------------------------------------ continuation


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (Line("dirichlet", "dirichlet", "cell"), [-1, 1, 2, 3, -3]),
        (Line("neumann", "neumann", "cell"), [1, 1, 2, 3, 3]),
        (Line("dirichlet", "dirichlet", "node"), [-2, 0, 2, 0, -2]),
        (Line("neumann", "neumann", "node"), [2, 1, 2, 3, 2]),
        (Line("dirichlet", "dirichlet", "interior"), [0, 1, 2, 3, 0]),
        (Line("dirichlet", "neumann", "left"), [-2, 0, 2, 3, 3]),
        (Line("periodic", "periodic", "cell"), [3, 1, 2, 3, 1]),
    ],
)
def test_fields_go_on_by_the_rule_of_the_wall(line, expected):
    v = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 3)
    assert extended(v, [line]).flatten().tolist() == expected


@pytest.mark.parametrize("first", LINES, ids=names)
@pytest.mark.parametrize("second", [Line(), Line("neumann", "neumann", "node"), PERIODIC[1]])
def test_axes_are_continued_one_by_one_and_transposed(first, second, monkeypatch):
    lines, shape = [first, second], (2, 3, 5, 4)
    v = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    E = []
    for line, n in zip(lines, shape[2:], strict=True):
        source, sign = continued(line, n)
        E.append(torch.zeros(n + 2, n, dtype=torch.float64))
        E[-1][torch.arange(n + 2), torch.from_numpy(source)] = torch.from_numpy(sign)
    wide = extended(v, lines)
    torch.testing.assert_close(wide, torch.einsum("ai,bj,zcij->zcab", *E, v))
    g = torch.randn_like(wide)
    kept = g.clone()
    (slope,) = torch.autograd.grad(wide, v, g)
    torch.testing.assert_close(slope, torch.einsum("ai,bj,zcab->zcij", *E, g))
    torch.testing.assert_close(g, kept, rtol=0, atol=0)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(extended(v, lines), wide)


def test_walls_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="periodic on both sides"):
        Line("periodic", "neumann")
    with pytest.raises(ConfigError, match="expected walls of"):
        Line("robin", "neumann")
