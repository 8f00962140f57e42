"""What a check of a data set found: code, severity, place, sentence, numbers.

    error    what is stored cannot be meant so; training on it would be wrong
    warning  something to look at, or that is missing and matters
    info     worth knowing; nothing to do

One fault that occurs in a thousand samples is one finding, with the first place and the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
ORDER: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    code
        Short name of the fault, the same in every version (``not-finite``).
    severity
        See above.
    where
        Variable, sample, frame, axis or file.
    message
        A sentence: what was expected, what came, what to do.
    numbers
        What the sentence speaks of, for programs.
    """

    code: str
    severity: Severity
    where: str
    message: str
    numbers: Mapping[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All findings of one data set, errors first."""

    path: str
    format: str
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        ordered = sorted(self.findings, key=lambda f: ORDER.index(f.severity))
        object.__setattr__(self, "findings", tuple(ordered))

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.count("error")

    def count(self, severity: Severity) -> int:
        """Number of findings of that severity."""
        return sum(f.severity == severity for f in self.findings)

    @property
    def codes(self) -> set[str]:
        """Codes of the errors and warnings."""
        return {f.code for f in self.findings if f.severity != "info"}

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "path": self.path,
            "format": self.format,
            "ok": self.ok,
            "findings": [asdict(f) | {"numbers": dict(f.numbers)} for f in self.findings],
        }


class Findings:
    """Collects findings while a data set is read."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def error(self, code: str, where: str, message: str, **numbers: float | int) -> None:
        """See `Finding`."""
        self.found.append(Finding(code, "error", where, message, numbers))

    def warning(self, code: str, where: str, message: str, **numbers: float | int) -> None:
        """See `Finding`."""
        self.found.append(Finding(code, "warning", where, message, numbers))

    def info(self, code: str, where: str, message: str, **numbers: float | int) -> None:
        """See `Finding`."""
        self.found.append(Finding(code, "info", where, message, numbers))
