"""A training step of every operator of a suite: time, tensor memory, parameters.

    python benchmarks/speed/suite_steps.py SUITE [data=PATH ..] [--quick] [--threads 1]
                                           [--json PATH]

SUITE and settings are those of `sciops bench run`.  A step is forward, mean square, backward and
AdamW on the first batch of the training part, of the first operator's size for all.  The operators
take turns in one process, so that a ratio of two of them can be trusted where seconds of training,
taken one after the other on a machine with other work, cannot.  Ratios are to the first operator
that is trained.  Memory is what tensors hold at the peak of a step beyond what they held before, by
torch's own account.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from interleaved import Row, count, options, parse, row, seconds, show, tensor_memory, write
from torch import Tensor, nn

from sciops.bench.suite import find, read
from sciops.core.memory import keep_large_blocks
from sciops.data.task import load
from sciops.data.windows import collate


def main() -> None:
    """Build, time, print, write."""
    parser = options(__doc__)
    parser.add_argument("suite", help="name or YAML file")
    parser.add_argument("settings", nargs="*", metavar="a.b=value")
    given = parse(parser)
    keep_large_blocks()  # as `sciops train` does
    suite, jobs = read(find(given.suite), given.settings)
    configs = {job.label: job.config for job in reversed(jobs)}  # the first seed of each
    data = load(jobs[0].config.data)
    size = min(jobs[0].config.training.batch_size, len(data.train))
    batch = collate([data.train[i] for i in range(size)])
    steps: dict[str, Callable[[], None]] = {}
    counts: dict[str, int] = {}
    for label in suite.operators:
        torch.manual_seed(0)
        operator = configs[label].operator.build(data.schema).fit(data.train)
        if any(p.requires_grad for p in operator.parameters()):
            forward = partial(operator, batch["inputs"], batch["params"])
            steps[label] = step(operator, forward, batch["targets"].flatten(1, 2))
            counts[label] = count(operator)
    turns = 2 if given.quick else 9
    times = [{label: 1e3 * seconds(run) for label, run in steps.items()} for _ in range(turns + 1)]
    first = [turn[next(iter(steps))] for turn in times[1:]]
    rows: list[Row] = []
    for label, run in steps.items():
        found = row(f"{suite.name}, batch of {size}", first, label, [t[label] for t in times[1:]])
        found |= {"peer_memory_mb": tensor_memory(run), "peer_parameters": counts[label]}
        rows.append(show(found))
        print(f"{'':86s} {found['peer_memory_mb']:.1f} MB, {counts[label]:,} parameters")
    write(given.json, rows)


def step(module: nn.Module, forward: Callable[[], Tensor], y: Tensor) -> Callable[[], None]:
    """One step of training."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)

    def run() -> None:
        optimizer.zero_grad()
        out = forward()
        (out - y.reshape(out.shape)).square().mean().backward()
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
