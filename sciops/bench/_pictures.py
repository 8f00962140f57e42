"""The pictures of the report, each with a caption that says what is seen and of which data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sciops import plots
from sciops.bench import _shown_samples as samples
from sciops.bench._suite_folder import RunFolder, SuiteFolder, number, short
from sciops.bench._summary import sample_errors

CURVE_POINTS = 1000  # of a loss curve; longer ones are thinned
VARIABLES = 3  # of which fields are drawn
Looks = Mapping[str, plots.Line]
Group = Sequence[str]  # (data, split, resolution, variable)


class Picture(NamedTuple):
    """An image with its caption; `width` in CSS pixels; `operator` where it is about one only."""

    uri: str
    caption: str
    width: int
    operator: str = ""


def name_of(group: Group) -> str:
    """``data · split · resolution · variable``."""
    return " · ".join(filter(None, group))


def distribution(
    suite: SuiteFolder, operators: Sequence[str], group: Group, metric: str, looks: Looks
) -> Iterator[Picture]:
    """Error of every sample, best operator on top."""
    errors = {}
    for operator in operators:
        found = sample_errors(suite, operator, group, metric)
        if found:
            errors[operator] = np.concatenate([e.mean(axis=1) for e in found.values()])
    if errors:
        figure = plots.error_bars(errors, looks, label=short(metric))
        yield _picture(figure, f"{name_of(group)}: {short(metric)} of every sample, all seeds.")


def rollouts(
    suite: SuiteFolder, operators: Sequence[str], group: Group, metric: str, looks: Looks
) -> Iterator[Picture]:
    """Error against the lead time, where there are several."""
    errors = {}
    for operator in operators:
        found = list(sample_errors(suite, operator, group, metric).values())
        if found and found[0].shape[1] > 1 and len({e.shape[1] for e in found}) == 1:
            errors[operator] = np.concatenate(found)
    steps = {e.shape[1] for e in errors.values()}
    if len(steps) == 1:
        leads = np.arange(1, steps.pop() + 1)
        figure = plots.rollout_curves(leads, errors, looks, error_label=short(metric))
        yield _picture(figure, f"{name_of(group)}: {short(metric)} against the lead time.")


def losses(suite: SuiteFolder, data: str, looks: Looks) -> Iterator[Picture]:
    """Training and validation curves of every trained run on one data set."""
    train: dict[str, list[Any]] = {}
    valid: dict[str, list[Any]] = {}
    names: list[str] = []
    for job in suite.jobs:
        if job.operator not in looks or (job.data and job.data != data):
            continue
        lines = job.losses()
        points = [
            (number(e.get("step")), number(e["train_loss"])) for e in lines if "train_loss" in e
        ]
        _add(train, job.operator, points)
        scores = [
            (number(e.get("step")), e["valid"]) for e in lines if isinstance(e.get("valid"), dict)
        ]
        names += [k for _, score in scores for k in list(score)[:1]]
        points = [(s, number(next(iter(score.values())))) for s, score in scores if score]
        _add(valid, job.operator, points)
    if train or valid:
        label = f"validation {short(names[0])}" if len(set(names)) == 1 else "validation error"
        order = [o for o in looks if o in train or o in valid]
        sorted_curves = ({o: c[o] for o in order if o in c} for c in (train, valid))
        yield _picture(
            plots.loss_curves(*sorted_curves, looks, label), f"{data}: a line for each seed."
        )


def _add(curves: dict[str, list[Any]], operator: str, points: list[tuple[float, float]]) -> None:
    if points:
        thinned = points[:: -(-len(points) // CURVE_POINTS)]
        curves.setdefault(operator, []).append(tuple(zip(*thinned, strict=True)))


def fields(
    suite: SuiteFolder, operators: Sequence[str], data: str, split: str, looks: Looks
) -> Iterator[Picture | str]:
    """Fields of the median and the worst sample, for all operators and for each by itself."""
    stored = _stored(suite, operators, data, split)
    if not stored:
        return
    first = next(iter(stored.values()))
    shown = {o: [f for v in samples.variables(s) for f in samples.fields(s, v)] for o, s in
             stored.items()}  # fmt: skip
    for number_, like in enumerate(next(iter(shown.values()))[:VARIABLES]):
        same = {
            o: f[number_]
            for o, f in shown.items()
            if len(f) > number_ and _same(f[number_].truth.values, like.truth.values)
        }
        yield from (f"{o} keeps other samples of {like.label}." for o in shown if o not in same)
        errors = {o: samples.relative_errors(f) for o, f in same.items()}
        ranked = [e for o, e in errors.items() if o not in suite.baselines] or list(errors.values())
        median, worst = samples.median_and_worst(ranked)
        where = f"{data} · {split} · {like.label}{_lead(first)}"
        total = len(errors[next(iter(errors))])
        for what, index in _named(median, worst):
            caption = f"{where}: sample {index + 1} of the {total} stored, {what} error."
            yield _panels(first, same, index, caption, looks)
        for operator, one in same.items():
            for what, index in _named(*samples.median_and_worst([errors[operator]])):
                caption = f"{operator}, {where}: its own sample of {what} error ({index + 1})."
                picture = _panels(stored[operator], {operator: one}, index, caption, looks)
                yield picture._replace(operator=operator)


def _same(a: Any, b: Any) -> bool:
    """Whether two runs keep the same samples; they may have been stored in another precision."""
    size = np.nanmax(np.abs(b), initial=0.0)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6 * size, equal_nan=True)


def _named(median: int, worst: int) -> list[tuple[str, int]]:
    found = [("median", median), ("largest", worst)]
    return found if median != worst else found[:1]


def _lead(stored: Any) -> str:
    """Says which frame of a rollout is seen."""
    return f", lead {stored.sizes['lead']}" if stored.sizes.get("lead", 1) > 1 else ""


def _panels(
    stored: Any, shown: Mapping[str, samples.Shown], index: int, caption: str, looks: Looks
) -> Picture:
    like = next(iter(shown.values()))
    name, unit, a = samples.first_input(stored, index) or ("", "", None)
    predictions = {o: f.prediction.isel(sample=index) for o, f in shown.items()}
    figure = plots.field_panels(
        like.truth.isel(sample=index), predictions, a, name=like.label, unit=like.unit,
        input_name=name, input_unit=unit, looks=looks,
    )  # fmt: skip
    return _picture(figure, caption)


def spectra(
    suite: SuiteFolder, operators: Sequence[str], data: str, split: str, looks: Looks
) -> Iterator[Picture]:
    """Power of the error against the wavenumber, for each variable."""
    stored = _stored(suite, operators, data, split)
    names = samples.variables(next(iter(stored.values()))) if stored else []
    for variable in names[:VARIABLES]:
        found = {
            o: spectrum
            for o, s in stored.items()
            if variable in samples.variables(s) and (spectrum := samples.spectrum(s, variable))
        }
        if not found:
            continue
        first = next(iter(found.values()))
        power = {o: s.error for o, s in found.items() if s.error.shape == first.error.shape}
        figure = plots.spectra(
            first.wavenumbers, power, first.truth, looks, first.unit, first.length_unit
        )
        yield _picture(
            figure, f"{data} · {split} · {variable}{_lead(next(iter(stored.values())))}."
        )


def _stored(suite: SuiteFolder, operators: Sequence[str], data: str, split: str) -> dict[str, Any]:
    """Operator -> stored samples of its first finished seed."""
    found = {}
    for operator in operators:
        for job in _finished(suite, operator, data):
            if split in samples.splits(job):
                stored = samples.load(job, split)
                if samples.variables(stored) and stored.sizes.get("sample"):
                    found[operator] = stored
                    break
    return found


def _finished(suite: SuiteFolder, operator: str, data: str) -> list[RunFolder]:
    seeds = dict.fromkeys(r.seed for r in suite.results if (r.operator, r.data) == (operator, data))
    return [job for seed in seeds if (job := suite.job(operator, seed, data))]


def _picture(figure: Any, caption: str) -> Picture:
    return Picture(plots.to_png_data_uri(figure), caption, round(100 * figure.get_figwidth()))
