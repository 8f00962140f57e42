r"""The block of an operator: a mixer over space, a local path, a perceptron over channels.

    u = W_1 (K v) + W_0 v                      K the mixer, W_0 the local path
    v <- v + W_2 gelu((1 + gamma(p)) u + beta(p))

Every mixer stands in the same place, so that two operators differ in their mixer only.  W_1 is left
out where the mixer mixes channels itself.  A mixer has three traits, plain attributes of its class:

    mixes_channels   whether W_1 would be a second map of the channels
    resolution       "modes" or "physical": the same operator on every grid; "fixed": stencils that
                     count points, for one spacing only
    equivariant      whether, on periodic axes, it commutes with shifts

gamma and beta condition on the scalar parameters p (FiLM).  There are no biases: the constant
channels that the lifting leaves in v give every W_0 v one.

Sources: Li et al., Fourier neural operator, 2021, arXiv 2010.08895; Tran et al., Factorized
Fourier neural operators, 2023, arXiv 2111.13802 (the residual outside the nonlinearity); Perez et
al., FiLM, 2018, arXiv 1709.07871; Yu et al., MetaFormer baselines for vision, 2022, arXiv
2210.13452 (one block for all mixers).
"""

from __future__ import annotations

from torch import Tensor, nn

from sciops.layers.mlp import ChannelMap


class Block(nn.Module):
    """One block around a mixer.

    Parameters
    ----------
    mixer
        Module (B, C, *N) -> (B, C, *N) with the traits above.
    channels
        C.
    embedding
        Numbers E that stand for the scalar parameters; 0 where there are none.

    Notes
    -----
    Shapes: v (B, C, *N), p (B, E) or None -> (B, C, *N).
    """

    def __init__(self, mixer: nn.Module, channels: int, embedding: int = 0) -> None:
        super().__init__()
        self.mixer = mixer
        self.local = ChannelMap(channels, channels, bias=False)
        mixes = bool(getattr(mixer, "mixes_channels", False))
        self.after = None if mixes else ChannelMap(channels, channels, bias=False)
        self.film = nn.Linear(embedding, 2 * channels) if embedding else None
        self.last = ChannelMap(channels, channels, bias=False)

    def forward(self, v: Tensor, p: Tensor | None = None) -> Tensor:
        """(B, C, *N) -> (B, C, *N)."""
        flat = v.flatten(2)  # (B, C, P)
        u = self.mixer(v).flatten(2)
        u = self.local(flat, u) if self.after is None else self.after(u, self.local(flat))
        if self.film is not None:
            gamma, beta = self.film(p)[:, :, None].chunk(2, dim=1)  # (B, C, 1)
            u = (1 + gamma) * u + beta
        return self.last.of_gelu(u, flat).unflatten(2, v.shape[2:])
