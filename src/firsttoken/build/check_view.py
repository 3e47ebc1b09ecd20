"""What the checks of a programme look through: where to report, and what is known of values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from firsttoken.build import model
from firsttoken.twin.findings import Finding, Findings, Severity
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.schema import support
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import split_path
from firsttoken.twin.values import Constant, Distribution, Fact, Value

if TYPE_CHECKING:
    from firsttoken.twin.twin import Twin

Keys = tuple[str, ...]
Range = tuple[float, float]
"""(lowest, highest) outcome in SI; nan where it is not known before the run."""

UNKNOWN: Range = (math.nan, math.nan)


class View:
    """One programme, as its checks see it."""

    def __init__(self, twin: Twin, name: str, build: model.Build, findings: Findings) -> None:
        self.twin, self.name, self.build, self.findings = twin, name, build, findings
        self._said: set[tuple[Keys, str]] = set()

    def add(
        self,
        keys: Keys,
        what: str,
        why: str = "",
        hint: str = "",
        *,
        code: str,
        severity: Severity = "error",
    ) -> None:
        """Add a finding at keys below the programme; of one code only the first there."""
        if (keys, code) in self._said:
            return
        self._said.add((keys, code))
        whole = ("build", self.name, *keys)
        place = self.twin.sources.place(whole)
        self.findings.add(Finding(what, why, hint, ".".join(whole), code, severity, place))

    def unknown(self, keys: Keys, kind: str, name: str, known: Iterable[str]) -> bool:
        """Whether a name is not among the known ones; reports it."""
        names = list(known)
        if name in names:
            return False
        hint = nearest(name, names) or f"the programme declares no {kind}"
        self.add(keys, f"unknown {kind} {name!r}", "", hint, code="reference")
        return True

    def keys(self, path: str) -> Keys:
        """Keys below the programme of a dotted path below it."""
        return split_path(self.twin.data, f"build.{self.name}.{path}")[2:]

    def range(self, value: Value | None, unit: str) -> Range:
        """Lowest and highest outcome of a value that does not change with time, in SI."""
        found: Value | None = value
        if isinstance(value, Fact):
            try:
                found = self.twin.library.resolve(value.id, self.twin.as_of, unit)
            except ValueSyntaxError:
                return UNKNOWN
        return support(found) if isinstance(found, Constant | Distribution) else UNKNOWN
