"""Sites of a reference class: a table of starts and ends, the library's or one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.build.reference import Durations
from firsttoken.twin.dates import iso, parse_date
from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.library import SHIPPED
from firsttoken.twin.slots import nearest
from firsttoken.twin.tables import read_csv

Floats = NDArray[np.float64]

AI_DATA_CENTRES: Final = SHIPPED / "ai-hardware" / "sites.csv"
"""AI data centres, from land clearing to first power (Epoch AI, Frontier Data Centers)."""

_REQUIRED: Final = ("site", "start", "end")
_OPTIONAL: Final = ("seen", "note", "source")


@dataclass(frozen=True)
class Sites:
    """Sites of a class; times in seconds from 1970-01-01.

    Attributes
    ----------
    names : of the sites.
    start : [n] days on which they began.
    end : [n] days on which they were finished; nan: not yet.
    seen : the last day of which it is known whether they were; nan if the table does not say.
    """

    names: tuple[str, ...]
    start: Floats
    end: Floats
    seen: float

    def durations(self, since: float = -math.inf, until: float | None = None) -> Durations:
        """What was to be seen on day `until` of the sites begun since `since`.

        Parameters
        ----------
        until : the day of the last look; none, or later than the table's: the table's. What
            happened after it is not known; sites begun after it are left out.
        """
        last = self.seen if until is None else min(until, _known(self.seen))
        chosen = self.start >= since
        return Durations.seen(self.start[chosen], self.end[chosen], last)


def _known(seen: float) -> float:
    return math.inf if math.isnan(seen) else seen


def read_sites(file: Path | None, findings: Findings, until: float | None = None) -> Sites:
    """Read a table of sites.

    Parameters
    ----------
    file : CSV with `site, start, end`; `seen`: the day of the last look, if not finished. None:
        the library's AI data centres.
    findings : gets every row that cannot be read; such rows are left out.
    until : a day of the last look that is given elsewhere; then `seen` is not needed.
    """
    path = file or AI_DATA_CENTRES
    table = read_csv(path, findings)
    empty = Sites((), np.zeros(0), np.zeros(0), math.nan)
    if table is None:
        return empty
    for name, title in table.headers.items():
        if name not in _REQUIRED + _OPTIONAL:
            hint = nearest(name, _REQUIRED + _OPTIONAL)
            _report(findings, table.place(-1), f"column {title!r} is not used", hint, "warning")
    missing = [name for name in _REQUIRED if name not in table.columns]
    if missing:
        what = f"column {', '.join(missing)} is missing"
        _report(findings, table.place(-1), what, "columns: site, start, end, seen")
        return empty
    names: list[str] = []
    rows: list[tuple[float, float, float]] = []
    for row in range(len(table)):
        cells = {name: column[row] for name, column in table.columns.items()}
        times = _row(cells, table.place(row), findings)
        if times is not None and cells["site"] in names:
            _report(findings, table.place(row), f"site {cells['site']!r} stands twice", "keep one")
        elif times is not None:
            names.append(str(cells["site"]))
            rows.append(times)
    start, end, seen = np.array(rows, np.float64).reshape(-1, 3).T
    looks = seen[np.isnan(end)]
    if len(looks) and np.isnan(looks).any() and until is None:
        what = "the day of the last look at the sites not finished is missing"
        _report(findings, table.place(-1), what, "give a column 'seen', or until:")
    known = looks[~np.isnan(looks)]
    if len(known) and known.min() != known.max():
        what = f"sites were last seen on different days, {iso(known.min())} to {iso(known.max())}"
        hint = "the earliest counts for all: what happened later is left out"
        _report(findings, table.place(-1), what, hint, "warning")
    ends = end[~np.isnan(end)]
    if until is not None and len(known) < len(looks):
        known = np.append(known, until)
    last = known.min() if len(known) else ends.max() if len(ends) else math.nan
    return Sites(tuple(names), start, end, float(last))


def _row(
    cells: Mapping[str, Any], place: Place, findings: Findings
) -> tuple[float, float, float] | None:
    """Start, end and last look of one site; None if they cannot be read."""
    times = []
    for column in ("start", "end", "seen"):
        given = cells.get(column)
        if column == "start" and given is None:
            _report(findings, place, "the start is missing", "leave the site out")
            return None
        try:
            times.append(math.nan if given is None else parse_date(given))
        except ValueError as error:
            _report(findings, place, f"{column}: {error}", "write 2026-07-01")
            return None
    if not cells["site"]:
        _report(findings, place, "the site has no name", "name it")
        return None
    start, end, seen = times
    if end <= start:
        _report(findings, place, f"the end {iso(end)} is not after the start", "correct it")
        return None
    return start, end, seen


def _report(findings: Findings, place: Place, what: str, hint: str, severity: str = "") -> None:
    code = "reference-class"
    if severity == "warning":
        findings.add(Finding(what, "", hint, code=code, severity="warning", place=place))
    else:
        findings.add(Finding(what, "", hint, code=code, place=place))
