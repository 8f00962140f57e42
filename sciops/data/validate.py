"""Is a data set sound?  Every fault has a code, a severity, a place and a sentence.

    schema, unreadable                         the file contradicts itself, or a part is damaged
    not-finite, negative, mask-values          values that cannot be meant
    constant-*, repeated-*, precision,         values that teach nothing, stand twice, are too
      magnitude                                coarse for their type
    coordinates, graded-axis, domain-ends      where the points lie
    time-order, time-step, time-gap,           when the frames are
      time-uneven, frame-count
    boundary-*, periodic-endpoint              what happens at the ends
    mass-drift, energy-drift, integral-drift,  what the equation keeps, as far as it is known
      divergence
    parameter-*, shared-parameters             the numbers of a sample
    leakage, split-*                           the parts
    manifest, statistics-*                     the files beside the data
    note, not-checked                          what the format's reader says, what was left out

All values are read once, in blocks: memory does not grow with the file.  Thresholds stand, with
their reasons, in `sciops.data.checks`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sciops.core.errors import DataError, SchemaError
from sciops.core.schema import Grid, Variable
from sciops.data.checks import boundary, coordinates, damage, parameters, sidecars, splits
from sciops.data.checks.boundary import PeriodicEnds
from sciops.data.checks.conservation import ENERGIES, MASSES, Drift, weights
from sciops.data.checks.divergence import Divergence, claimed, fits
from sciops.data.checks.fields import Check, scan
from sciops.data.checks.repeats import Repeats
from sciops.data.checks.values import Constant, Finite, Mask, Range, sign
from sciops.data.findings import Findings, Report
from sciops.data.formats._structure import structure
from sciops.data.layout import Layout
from sciops.data.open import detect, get
from sciops.data.source import FileSource
from sciops.data.stats import MASK

Progress = Callable[[int, int], None]
GRIDS = ("", "cartesian")  # values of the attribute grid_type whose cells are boxes


def validate(
    path: str | Path,
    format: str | None = None,
    statistics: bool = False,
    incompressible: bool | None = None,
    progress: Progress | None = None,
) -> Report:
    """Look for everything that is wrong with a data set.

    Parameters
    ----------
    path
        File or folder.
    format
        Name of the format; None to recognise it by structure.
    statistics
        Whether ``stats.json`` is recomputed, which reads the training part a second time.
    incompressible
        Whether the velocity should be free of divergence; None to believe what the file says.
    progress
        Called with (samples done, samples).

    Returns
    -------
    Report
        Its findings, errors first; `Report.ok` where there is no error.

    Raises
    ------
    DataError
        If there is nothing at `path`, or nothing that any format recognises.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(path, "no such file or folder")
    with structure(path):
        name = detect(path)[0] if format is None else format
    findings = Findings()
    try:
        with structure(path):
            layout = get(name).layout(path)
    except (DataError, SchemaError) as error:
        damage.explain(path, error, findings)
        return Report(str(path), name, tuple(findings.found))
    if incompressible is None:
        incompressible = claimed(layout)
    for note in layout.notes:
        findings.info("note", name, note)
    source = FileSource(layout)
    damage.two_views(path, layout, findings)
    coordinates.check(layout, findings)
    boundary.check(layout, findings)
    parameters.check(layout, findings)
    parts = splits.parts_of(path, layout, findings)
    splits.parameters(parts, layout, findings)
    sidecars.manifest(path, findings)
    repeats = Repeats(source, parts)
    chosen = {
        v.name: [*checks_of(v, layout, source, incompressible, findings), repeats]
        for v in layout.schema.variables
        if v.role != "param"
    }
    scan(source, chosen, findings, progress)
    broken = {"unreadable", "not-finite", "parameter-not-finite", "split-damaged"}
    readable = not broken & {f.code for f in findings.found}
    sidecars.statistics(path, source, parts, statistics and readable, findings, progress)
    return Report(str(path), name, tuple(findings.found))


def checks_of(
    v: Variable, layout: Layout, source: FileSource, incompressible: bool, findings: Findings
) -> list[Check]:
    """What is looked for in one variable."""
    names = {o.name.lower() for o in layout.schema.variables if o.time_varying}
    dtype = source.dtype(v.name)
    chosen: list[Check] = [Finite(v), Range(v, dtype, sign(v, names, incompressible))]
    if v.name == MASK or (v.role == "geometry" and MASK in v.name.lower()):
        return [*chosen, Mask(v)]
    if v.role != "geometry":
        chosen.append(Constant(v))
    if isinstance(v.domain, Grid) and any(a.periodic for a in v.domain.axes):
        chosen.append(PeriodicEnds(v))
    return chosen + _physics(v, layout, source, incompressible, findings)


def _physics(
    v: Variable, layout: Layout, source: FileSource, incompressible: bool, findings: Findings
) -> list[Check]:
    """Integrals and divergence, where cells are boxes and the field evolves."""
    velocity = v.name.lower() == "velocity" and v.rank == 1
    if not v.time_varying or (v.rank and not velocity) or source.dtype(v.name).kind not in "fiu":
        return []
    if layout.attributes.get("grid_type", "") not in GRIDS:
        findings.info(
            "not-checked", v.name, f"no integrals on a {layout.attributes['grid_type']} grid"
        )
        return []
    chosen: list[Check] = []
    axes = v.domain.axes if isinstance(v.domain, Grid) else None
    closed = None if axes is None else boundary.closed(layout.schema, axes, v.name)
    w = weights(v)
    named = v.name.lower() in (*MASSES, *ENERGIES) or velocity
    if w is not None and (closed or (closed is None and named)):
        chosen.append(Drift(v, w, closed))
    if fits(v):
        chosen.append(Divergence(v, layout.lengths, incompressible))
    return chosen
