"""Every spectral mixer keeps what all mixers keep, in one to three dimensions, in every basis."""

import copy
import importlib.util
import io

import pytest
import torch
from layers import mixer_checks
from layers.spectral.cases import (
    BASES,
    FILTERS,
    LINEAR,
    NODES,
    Field,
    complex_weight,
    mixer,
    off,
    waves,
)

from sciops.core.errors import ConfigError
from sciops.layers.spectral import (
    CP,
    AxialMixer,
    Basis,
    Dense,
    Gated,
    Modes,
    SpectralMixer,
    Transform,
    Tucker,
)

SIDES = {  # what a mixer of stencils calls the sides of an axis, as a basis
    "periodic": Basis("fourier", 5),
    "zeros": Basis("sine", 4, "cell"),
    "replicate": Basis("cosine", 4, "cell"),
}
ALL = (*FILTERS, "axial")


def made(name, bases, channels=4):
    """A new mixer."""
    if name == "axial":
        torch.manual_seed(0)
        return AxialMixer(bases, channels, channels)
    return mixer(name, bases, channels)


def trained(name, bases, channels=4):
    """At a random point of parameter space, in float64: AFF with a mask, gated with a gate."""
    layer = made(name, bases, channels)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return layer.double()


def make(name):
    """As `mixer_checks` asks for it."""

    def build(sides, channels):
        bases = [SIDES[side] for side in sides]
        if name == "axial":
            return AxialMixer(bases, channels, channels)
        modes = Modes(tuple(bases))
        return SpectralMixer(Transform(bases), FILTERS[name](modes, channels))

    return build


OF_FIELDS = [
    mixer_checks.check_shapes,
    mixer_checks.check_linear,
    mixer_checks.check_shifts,
    mixer_checks.check_samples_independent,
    mixer_checks.check_copies,
]
OF_PARAMETERS = [
    mixer_checks.check_gradients,
    mixer_checks.check_float32,
    mixer_checks.check_autocast,
    mixer_checks.check_transforms,
]


@pytest.mark.parametrize(
    ("name", "check"),
    [(name, check) for name in ALL for check in OF_FIELDS]
    + [(name, check) for name in ALL if name != "frozen" for check in OF_PARAMETERS],
    ids=lambda x: x if isinstance(x, str) else x.__name__.removeprefix("check_"),
)
def test_it_is_a_mixer(name, check):
    check(make(name))


def test_export():
    """torch.export with dynamic batch and sizes, down to twice the modes."""
    layer = mixer_checks.made(make("gated"), ("periodic", "replicate"))
    sizes = {d: torch.export.Dim(f"d{d}", min=1 if d == 0 else 10) for d in (0, 2, 3)}
    program = torch.export.export(layer, (torch.randn(2, 4, 16, 20),), dynamic_shapes=(sizes,))
    for shape in ((3, 4, 13, 30), (1, 4, 30, 11)):
        x = torch.randn(shape)
        mixer_checks.close(program.module()(x), layer(x))


def test_compile():
    mixer_checks.check_compile(make("tucker"))


@pytest.mark.skipif(
    not all(importlib.util.find_spec(p) for p in ("onnx", "onnxscript", "onnxruntime")),
    reason="onnx is not installed",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx():
    import onnxruntime

    layer = mixer_checks.made(make("dense"), ("periodic", "zeros")).eval()
    file, x = io.BytesIO(), torch.randn(2, 4, 16, 20)
    torch.onnx.export(layer, (x,), dynamo=True, verbose=False).save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    mixer_checks.close(torch.from_numpy(y), layer(x))


@pytest.mark.parametrize("kind", list(BASES))
def test_every_basis_differentiates(kind):
    """gradcheck by the field and the weights, once and twice, float32 near float64."""
    layer = made("dense", [BASES["even"], BASES[kind]], 2).double()
    n = len(NODES) if BASES[kind].nodes else 9
    x = torch.randn(1, 2, 5, n, dtype=torch.float64, requires_grad=True)
    w = layer.filter.weight.detach().requires_grad_()

    def f(x, w):
        return torch.func.functional_call(layer, {"filter.weight": w}, (x,))

    assert torch.autograd.gradcheck(f, (x, w), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(f, (x, w), fast_mode=True)
    g = torch.randn(1, 2, 5, n, dtype=torch.float64)
    exact = [f(x, w), *torch.autograd.grad(f(x, w), (x, w), g)]
    low = [t.detach().float().requires_grad_() for t in (x, w)]
    y = f(*low)
    for got, expected in zip([y, *torch.autograd.grad(y, low, g.float())], exact, strict=True):
        assert off(got.double(), expected) < 1e-5


GRIDS = {1: ((17,), (31,)), 2: ((33, 32), (85, 64), (31, 17)), 3: ((9, 10, 7), (8, 9, 11))}


@pytest.mark.parametrize("backend", ["products", "fft"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_odd_prime_and_unequal_sizes(dims, backend):
    """Any grid gives the same function of the same field, other channels out."""
    bases = [Basis("fourier", m) for m in (5, 4, 3)[:dims]]
    transform = Transform(bases, backend)
    torch.manual_seed(0)
    field = Field(bases, 1, channels=3, batch=1)
    for filter in (
        Dense(transform.modes, 3, 5),
        Tucker(transform.modes, 3, 5, 0.5),
        CP(transform.modes, 3, 5, 4),
        Gated(transform.modes, 3, 5, 3),
    ):
        layer = SpectralMixer(transform, filter).double()
        first, *others = GRIDS[dims]
        y = layer(field.on(*first))
        assert y.shape == (1, 5, *first)
        for other in others:
            assert off(layer(field.on(*first), other), layer(field.on(*other))) < 1e-12


@pytest.mark.parametrize("name", ALL)
def test_resolution(name):
    """A band-limited field on n, 2 n, 3 n / 2, odd n: the outputs agree on common points."""
    bases = [Basis("fourier", 5), Basis("fourier", 6)]
    layer = trained(name, bases)
    assert layer.resolution == "modes"
    field = Field(bases, 2)
    with torch.no_grad():
        y = layer(field.on(14, 22))
        assert off(layer(field.on(28, 44))[..., ::2, ::2], y) < 1e-12
        assert off(layer(field.on(21, 33))[..., ::3, ::3], y[..., ::2, ::2]) < 1e-12
        assert off(layer(field.on(7, 11)), y[..., ::2, ::2]) < 1e-12  # odd, and few
    spectrum = torch.fft.rfft2(y, norm="forward")
    assert spectrum.abs().amax((0, 1))[[1, 2, -1, -2], :3].min() > 1e-6  # both signs are there


@pytest.mark.parametrize("name", [n for n in ALL if n != "axial"])
@pytest.mark.parametrize("kind", ["cell", "cosine", "cosine_node", "sine", "chebyshev"])
def test_other_sizes_are_the_same_function_on_another_grid(name, kind):
    """Up, down, odd: `sizes` is the field's own value there, in every basis."""
    bases = [BASES[kind], Basis("fourier", 5)]
    layer = trained(name, bases)
    field = Field(bases)
    with torch.no_grad():
        for here, there in (((16, 12), (32, 33)), ((33, 20), (11, 9)), ((9, 9), (9, 9))):
            x, y = field.on(*here), layer(field.on(*there))
            if layer.filter.residual:  # cannot change its sizes
                z = layer.transform.analyse(layer(x))
                assert off(layer.transform.synthesise(z, there), y) < 1e-11
            else:
                assert off(layer(x, there), y) < 1e-11


@pytest.mark.parametrize("kind", list(BASES))
@pytest.mark.parametrize("name", [*LINEAR, "axial"])
def test_linear_mixers_have_adjoints(name, kind):
    """<A x, y> = <x, A^T y>, A^T by autograd, and superposition, in three dimensions."""
    bases = [BASES["cosine"], BASES[kind], BASES["even"]]
    layer = trained(name, bases)
    assert layer.linear
    n = len(NODES) if BASES[kind].nodes else 7
    x, v, y = torch.randn(3, 1, 4, 6, n, 5, dtype=torch.float64)
    x.requires_grad_()
    (transposed,) = torch.autograd.grad(layer(x), x, y)
    with torch.no_grad():
        assert (layer(v) * y).sum().item() == pytest.approx(
            (v * transposed).sum().item(), rel=1e-11
        )
        assert off(layer(2 * x - 3 * v), 2 * layer(x) - 3 * layer(v)) < 1e-12
        assert layer(torch.zeros_like(x)).abs().max() == 0


@pytest.mark.parametrize("name", ["dense", "gated", "axial", "diag"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_shifts_of_a_periodic_field(name, dims):
    """To rounding, by any number of points; and by a fraction of a point, as a field in space."""
    bases = [Basis("fourier", m) for m in (5, 4, 7)[:dims]]
    layer = trained(name, bases)
    assert layer.equivariant
    sizes, shift = (9, 10, 11)[:dims], (4, 3, 7)[:dims]
    x = torch.randn(2, 4, *sizes, dtype=torch.float64)
    axes = tuple(range(2, dims + 2))
    with torch.no_grad():
        assert off(layer(x.roll(shift, axes)), layer(x).roll(shift, axes)) < 1e-13
        fine = Field(bases, 1, seed=4)
        halves = fine.on(*(2 * n for n in sizes))  # the points between are the field moved by h/2
        moved = halves[(..., *[slice(1, None, 2)] * dims)]
        expected = layer(halves)[(..., *[slice(1, None, 2)] * dims)]
        assert off(layer(moved), expected) < 1e-12


def test_fields_between_walls_do_not_commute_with_shifts():
    layer = trained("dense", [BASES["cosine"]])
    x = torch.randn(1, 4, 9, dtype=torch.float64)
    assert off(layer(x.roll(3, 2)), layer(x).roll(3, 2)) > 0.1


def test_the_sine_basis_vanishes_on_the_walls_whatever_comes_in():
    for name in ("dense", "gated"):
        layer = trained(name, [BASES["sine"], BASES["cosine_node"]])
        y = layer(torch.randn(2, 4, 12, 13, dtype=torch.float64), (17, 40))
        assert y[:, :, [0, -1]].abs().max() < 1e-13 and y.abs().max() > 0.1
        fine = layer(torch.randn(1, 4, 12, 13, dtype=torch.float64), (5, 20001))
        slope = (fine[..., [1, -1]] - fine[..., [0, -2]]).abs().max() * 20000
        inside = (fine[..., 1:] - fine[..., :-1]).abs().max() * 20000
        assert slope < 0.01 * inside


def test_axial_is_the_sum_of_one_dimensional_filters():
    """Each by the loop over all lines of the grid."""
    bases = [Basis("fourier", 5), Basis("cosine", 4, "cell"), Basis("fourier", 4)]
    layer = trained("axial", bases, 3)
    x = torch.randn(1, 3, 7, 6, 8, dtype=torch.float64)
    expected = torch.zeros_like(x)
    for d, (basis, term) in enumerate(zip(bases, layer.terms, strict=True)):
        line = SpectralMixer(Transform([basis]), term.filter)
        lines = x.movedim(2 + d, -1)
        done = torch.stack([line(v) for v in lines.flatten(2, 3).unbind(2)], 2)
        expected += done.unflatten(2, lines.shape[2:4]).movedim(-1, 2 + d)
    assert off(layer(x), expected) < 1e-13


def test_axial_knows_no_first_axis():
    layer = trained("axial", [Basis("fourier", 5), Basis("fourier", 7)])
    turned = trained("axial", [Basis("fourier", 7), Basis("fourier", 5)])
    turned.terms[0].load_state_dict(layer.terms[1].state_dict())
    turned.terms[1].load_state_dict(layer.terms[0].state_dict())
    x = torch.randn(2, 4, 9, 12, dtype=torch.float64)
    assert off(turned(x.transpose(2, 3)).transpose(2, 3), layer(x)) < 1e-13


def test_a_dense_filter_knows_no_first_axis():
    """The multiplier of (k, l) moved to (l, k); of -k it is the conjugate, of (k, 0) the mean."""
    layer, turned = (trained("dense", [Basis("fourier", 5)] * 2) for _ in range(2))
    weight = complex_weight(layer.filter.weight)
    of = dict(zip(waves((5, 5)), weight, strict=True))
    of |= {(k, 0): (of[k, 0] + of[-k, 0].conj()) / 2 for k in (0, 1, 2)}
    of |= {(-k, -l): r.conj() for (k, l), r in of.items() if (l, k) > (0, 0)}
    moved = torch.stack([of[l, k] for k, l in waves((5, 5))])  # (K, C, C)
    parts = torch.stack([moved.real, moved.imag], 2).reshape(layer.filter.weight.shape)
    turned.filter.load_state_dict({"weight": parts})
    x = torch.randn(2, 4, 9, 12, dtype=torch.float64)
    assert off(turned(x.transpose(2, 3)).transpose(2, 3), layer(x)) < 1e-13


@pytest.mark.parametrize("name", ALL)
def test_a_new_mixer_keeps_the_size_of_a_smooth_field(name):
    """Output over input, both as standard deviations, within 0.3 and 3; gradients too."""
    for channels, n in ((32, 32), (128, 32), (32, 128)):
        bases = [Basis("fourier", 13), Basis("fourier", 13)]
        layer = made(name, bases, channels)
        x = Field(bases, channels=channels, batch=1).on(n, n).float()
        x = (x / x.std()).requires_grad_()
        y = layer(x)
        assert 0.3 < y.std().item() < 3, (channels, n, y.std().item())
        (g,) = torch.autograd.grad(y, x, torch.randn_like(y))
        assert torch.isfinite(g).all() and g.std() > 0.01


@pytest.mark.parametrize("name", ALL)
def test_nothing_comes_of_nothing(name):
    """A field of zeros, of tiny and of huge numbers: no NaN, forward nor backward."""
    layer = trained(name, [Basis("fourier", 5), BASES["cosine"]]).float()
    for size in (0.0, 1e-20, 1e15):
        x = (size * torch.randn(1, 4, 9, 9)).requires_grad_()
        y = layer(x)
        y.sum().backward()
        assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()
        assert all(torch.isfinite(p.grad).all() for p in layer.parameters())
    assert layer(torch.zeros(1, 4, 9, 9)).abs().max() == 0 or name in ("afno",)


@pytest.mark.parametrize("name", ["dense", "gated", "afno"])
def test_a_hessian_vector_product_by_mixed_modes(name):
    """jvp of grad against grad of grad, by field and weights."""
    layer = trained(name, [Basis("fourier", 3)], 2)
    names = [n for n, _ in layer.named_parameters()]
    x = torch.randn(1, 2, 6, dtype=torch.float64)
    point = (x, *(p.detach().clone() for p in layer.parameters()))
    along = tuple(torch.randn_like(p) for p in point)

    def energy(x, *w):
        return torch.func.functional_call(layer, dict(zip(names, w, strict=True)), (x,)).sin().sum()

    gradient = torch.func.grad(energy, tuple(range(len(point))))
    _, got = torch.func.jvp(gradient, point, along)
    point = tuple(p.clone().requires_grad_() for p in point)
    first = torch.autograd.grad(energy(*point), point, create_graph=True)
    product = sum((g * v).sum() for g, v in zip(first, along, strict=True))
    for a, b in zip(got, torch.autograd.grad(product, point), strict=True):
        assert off(a, b) < 1e-12


def test_a_module_in_training_and_in_inference_gives_the_same():
    """The nodes of training and the plain products of inference, to rounding."""
    for name in ALL:
        layer = made(name, [Basis("fourier", 5), BASES["cosine"]])
        x = torch.randn(2, 4, 12, 13)
        with torch.no_grad():
            y = layer(x)
        with torch.inference_mode():
            assert off(layer(x), y) < 1e-6
        assert off(layer(x.requires_grad_()).detach(), y) < 1e-6
        twin = copy.deepcopy(layer)
        assert off(twin(x), layer(x)) == 0.0


def test_strides_do_not_matter():
    layer = made("dense", [Basis("fourier", 5), BASES["cosine"]])
    x = torch.randn(4, 2, 13, 12).permute(1, 0, 3, 2)
    assert off(layer(x), layer(x.contiguous())) < 1e-6
    x = torch.randn(2, 4, 24, 26)[..., ::2, ::2]
    assert off(layer(x), layer(x.contiguous())) < 1e-6
    x = torch.randn(1, 4, 1, 13).expand(2, 4, 12, 13)
    assert off(layer(x), layer(x.contiguous())) < 1e-6


def test_an_axial_mixer_needs_bases():
    with pytest.raises(ConfigError, match="n_modes must be at least 1"):
        AxialMixer([Basis("fourier", 0)], 4, 4)
