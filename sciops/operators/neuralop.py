r"""Adapter to the operators of the neuraloperator package: FNO, TFNO and U-NO.

    v <- gelu(W v + F^{-1} (R . F v)),  |k_d| <= n_modes / 2,   between a lifting and a projection,

wrapped so that they meet the contracts of this library as far as they can: the state dict holds
tensors only, ``.double()`` reaches the complex weights, scalar parameters come in as constant
channels, and asked points other than the grid are interpolated to.  What cannot be kept is listed
in `Config.breaks`, each with the reason as it was measured on neuraloperator 2.0.0, torch 2.13.

On an axis of odd size, all but the last, neuraloperator 2.0.0 applies its weights to shifted
frequencies (it undoes ``fftshift`` by ``fftshift``); a model is then not the same operator on odd
and even grids.  Use even sizes, or the operators of this library.

Sources: Li et al., Fourier neural operator for parametric partial differential equations, 2021
(arXiv:2010.08895); Kossaifi et al., Multi-grid tensorized Fourier neural operator, 2024
(arXiv:2310.00120); Rahman, Ross, Azizzadenesheli, U-NO, 2022 (arXiv:2204.11127);
https://github.com/neuraloperator/neuraloperator (MIT).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sciops.core.errors import ConfigError
from sciops.core.operator import At, Operator, OperatorConfig
from sciops.core.schema import Schema
from sciops.operators._domains import grid_of


class Config(OperatorConfig):
    """The few settings that matter; the rest are neuraloperator's defaults."""

    breaks: ClassVar[Mapping[str, str]] = {
        "real_parameters": "the spectral weights are complex64 parameters",
        "double": "SpectralConv collects its spectrum in a complex64 buffer, so that a float64 "
        "model is rounded to float32 in every Fourier layer",
        "fsdp": "FSDP2 expects one dtype of all parameters and finds float32 and complex64",
        "export": "torch.export specialises batch and sizes to those of the example",
        "onnx": "the slice_scatter of the spectrum into its complex buffer does not decompose",
        "compile": "Dynamo cannot trace str.join over a generator in the tensor contraction",
        "inductor": "Dynamo cannot trace str.join over a generator in the tensor contraction",
        "vmap": "the spectrum is written in place into a buffer without the mapped dimension",
    }

    model: Literal["fno", "tfno", "uno"] = "fno"
    n_modes: PositiveInt | tuple[PositiveInt, ...] = 16  # kept per axis, both signs; <= its points
    hidden_channels: PositiveInt = 32  # width of the Fourier layers
    n_layers: Annotated[int, Field(ge=1)] = 4  # Fourier layers; uno: at least 3
    rank: Annotated[float, Field(gt=0, le=1)] = 0.1  # tfno: parameters, of those of the dense FNO

    def build(self, schema: Schema) -> NeuralOp:
        """The operator for data of `schema`; SchemaError where the inputs are not on a grid."""
        return NeuralOp(self, schema)


class NeuralOp(Operator):
    """A model of neuraloperator on the grid of its input."""

    def __init__(self, config: Config, schema: Schema) -> None:
        super().__init__(config, schema)
        grid = grid_of(schema, "neuralop")
        modes = _modes(config, grid.shape)
        with _quiet():
            self.model = _model(config, modes, schema)
        self.register_state_dict_post_hook(_drop_metadata)

    def evaluate(self, a: Tensor, params: Tensor, at: At) -> Tensor:
        """(B, C, *N), (B, P) -> (B, C', *shape of `at`)."""
        if params.shape[1]:
            shape = (*params.shape, *([1] * (a.ndim - 2)))
            constant = params.reshape(shape).to(a.dtype).expand(-1, -1, *a.shape[2:])
            a = torch.cat([a, constant], 1)  # (B, C + P, *N)
        return self.sample_input(self.model(a), at)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> NeuralOp:
        """Casts and moves see a complex weight as pairs of real numbers; .double() reaches it."""

        def through_pairs(t: Tensor) -> Tensor:
            return torch.view_as_complex(fn(torch.view_as_real(t))) if t.is_complex() else fn(t)

        return super()._apply(through_pairs, recurse)


def _modes(config: Config, shape: tuple[int, ...]) -> tuple[int, ...]:
    """n_modes of each axis, not more than the axis has points."""
    modes = config.n_modes
    if isinstance(modes, int):
        modes = (modes,) * len(shape)
    if len(modes) != len(shape):
        raise ConfigError(f"n_modes: expected one number or {len(shape)}, got {modes}")
    return tuple(min(m, n) for m, n in zip(modes, shape, strict=True))


def _model(config: Config, modes: tuple[int, ...], schema: Schema) -> nn.Module:
    """The bare model of neuraloperator."""
    from neuralop import models

    common: dict[str, Any] = {
        "in_channels": schema.input_channels + len(schema.params),
        "out_channels": schema.target_channels,
        "hidden_channels": config.hidden_channels,
        "n_layers": config.n_layers,
    }
    if config.model == "fno":
        return models.FNO(n_modes=modes, **common)
    if config.model == "tfno":
        return models.TFNO(n_modes=modes, rank=config.rank, **common)
    if config.n_layers < 3:
        raise ConfigError(f"n_layers: uno needs at least 3, got {config.n_layers}")
    inner = config.n_layers - 2
    half = tuple(max(m // 2, 1) for m in modes)
    return models.UNO(
        uno_out_channels=[config.hidden_channels] * config.n_layers,
        uno_n_modes=[modes, *[half] * inner, modes],
        uno_scalings=[[0.5] * len(modes), *[[1.0] * len(modes)] * inner, [2.0] * len(modes)],
        lifting_channels=2 * config.hidden_channels,
        projection_channels=2 * config.hidden_channels,
        channel_mlp_skip="linear",  # its default fails where channels change, at the last layers
        **common,
    )


@contextlib.contextmanager
def _quiet() -> Any:
    """neuraloperator warns and changes the warning filters on import, and U-NO prints."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _drop_metadata(
    module: nn.Module, state: dict[str, Any], prefix: str, _: dict[str, Any]
) -> None:
    """BaseModel puts its constructor arguments beside the tensors, as ``_metadata``."""
    state.pop("_metadata", None)
