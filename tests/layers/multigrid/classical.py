"""The 5-point Laplacian, damped Jacobi and the standard transfers as weights of a cycle."""

import torch

from sciops.layers.multigrid import Scheme, Stencil, VCycle

DAMPING = 4 / 5


def laplacian(dimension):
    """-h^2 Laplace: 2 D in the centre, -1 at the 2 D neighbours."""
    kernel = torch.zeros((3,) * dimension, dtype=torch.float64)
    centre = (1,) * dimension
    kernel[centre] = 2 * dimension
    for d in range(dimension):
        for side in (0, 2):
            kernel[(*centre[:d], side, *centre[d + 1 :])] = -1
    return kernel


def set_weights(step, h, dimension):
    with torch.no_grad():
        if step.A is not None:
            step.A.convolution.weight.copy_(laplacian(dimension) / h**2)
        step.S.convolution.weight.zero_()
        centre = (0, 0, *(1,) * dimension)
        step.S.convolution.weight[centre] = DAMPING * h**2 / (2 * dimension)


def equation(line, dimension, n):
    """-Laplace on n points an axis."""
    A = Stencil(1, 1, [line] * dimension).double()
    with torch.no_grad():
        A.convolution.weight.copy_(laplacian(dimension) * line.intervals(n) ** 2)
    return A


def cycle(line, dimension, n, smoothing, transfers="fixed"):
    """V(smoothing, smoothing); the coarsest grid, of two unknowns an axis, is smoothed 30 times."""
    lines = [line] * dimension
    levels = Scheme(transfers=transfers).depth(lines, (n,) * dimension)
    steps = ((smoothing, smoothing),) * (levels - 1) + ((30, 0),)
    scheme = Scheme(steps=steps, transfers=transfers)
    made = VCycle(1, 1, lines, levels, scheme).double()
    h = 1 / line.intervals(n)
    for level in made.levels:
        for step in (*level.pre, *level.post):
            set_weights(step, h, dimension)
        if level.A is not None:
            with torch.no_grad():
                level.A.convolution.weight.copy_(laplacian(dimension) / h**2)
        if transfers == "strided" and level.coarsening is not None:
            set_strided(level.coarsening, dimension)
            h = 2 * h
        elif level.coarsening is not None:
            n = line.coarse(n)
            h = 1 / line.intervals(n)
    return made


def set_strided(way, dimension):
    """Full weighting and linear interpolation as convolutions of stride 2."""
    r, p = torch.tensor([1.0, 2.0, 1.0]) / 4, torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    with torch.no_grad():
        for weight, w in ((way.R.convolution.weight, r), (way.P.weight, p)):
            kernel = torch.ones(())
            for _ in range(dimension):
                kernel = kernel[..., None] * w
            weight.copy_(kernel)


def residual_factor(line, dimension, n, smoothing, cycles=14, transfers="fixed"):
    """By which a cycle reduces the residual of -Laplace u = 0, in the end."""
    W, A = cycle(line, dimension, n, smoothing, transfers), equation(line, dimension, n)
    generator = torch.Generator().manual_seed(0)
    u = torch.randn((1, 1, *[n] * dimension), dtype=torch.float64, generator=generator)
    weight = measure(line, dimension, n)
    norms = []
    with torch.no_grad():
        for _ in range(cycles):
            u = u * (weight > 0)
            r = -A(u) * (weight > 0)
            if "dirichlet" not in (line.lower, line.upper):
                r = r - (r * weight).sum() / weight.sum()
            norms.append(float(r.norm()))
            u = u + W(r)
            if "dirichlet" not in (line.lower, line.upper):
                u = u - (u * weight).sum() / weight.sum()
    return (norms[-1] / norms[-6]) ** (1 / 5)


def measure(line, dimension, n):
    """The cells of the points: half at a Neumann wall on a point, none on a Dirichlet wall."""
    w = torch.ones(n, dtype=torch.float64)
    for end, offset, sign in zip((0, n - 1), line.offsets, line.signs, strict=True):
        if offset == 0 and not line.periodic:
            w[end] = 0.5 if sign > 0 else 0
    weight = torch.ones((), dtype=torch.float64)
    for _ in range(dimension):
        weight = weight[..., None] * w
    return weight
