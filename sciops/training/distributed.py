"""One process or many: the environment of torchrun is the only contract.

    torchrun --nproc-per-node 4 -m sciops train run.yaml -o runs/a

Every rank holds the same data description and reads its own share of each batch; gradients are
averaged by DDP, or parameters are sharded by FSDP2 (``fully_shard``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sciops.core.errors import ConfigError


@dataclass(frozen=True)
class World:
    """Place of this process among all."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether it is set in any process; one exchange for all of them."""
        if self.size == 1:
            return flags
        counts = self.total(torch.tensor(flags, dtype=torch.float32, device=self.device))
        return tuple(count > 0 for count in counts.tolist())

    def gather(self, value: object) -> list[object]:
        """The values of all processes, in every process."""
        if self.size == 1:
            return [value]
        out: list[object] = [None] * self.size
        torch.distributed.all_gather_object(out, value)
        return out

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            torch.distributed.barrier()


def join(device: str = "auto") -> World:
    """Join the process group that torchrun describes, or stand alone.

    Parameters
    ----------
    device
        ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: expected auto, cpu or cuda, got {device!r}")
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError("device: cuda was asked for, but torch sees no GPU; try sciops doctor")
    gpu = has_gpu and device != "cpu"
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(place)
    if size > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if gpu else "gloo")
    return World(int(os.environ.get("RANK", "0")), size, place)


def leave() -> None:
    """Leave the process group, if there is one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def wrap(model: nn.Module, world: World, kind: str) -> nn.Module:
    """The model, wrapped for several processes: ``ddp`` replicates, ``fsdp`` shards parameters."""
    if world.size == 1 or not any(p.requires_grad for p in model.parameters()):
        return model
    if kind == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(world.device.type, (world.size,))
        return fully_shard(model, mesh=mesh)
    from torch.nn.parallel import DistributedDataParallel

    ids = [world.device.index] if world.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids)
