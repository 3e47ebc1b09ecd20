"""Both views of the first phase's date: the network's, and that of comparable sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from firsttoken.build import model
from firsttoken.build.engine_place import FAR
from firsttoken.build.reference import Durations, ReferenceClassError, outside_view
from firsttoken.build.reference_pool import combined
from firsttoken.build.reference_sites import read_sites
from firsttoken.twin.dates import DAY
from firsttoken.twin.findings import Finding, Findings, TwinError
from firsttoken.twin.result_table import ResultTable

if TYPE_CHECKING:
    from firsttoken.build.kpi import Kpis
    from firsttoken.build.simulate import BuildResult
    from firsttoken.build.system import System
    from firsttoken.twin.twin import Twin

Floats = NDArray[np.float64]

MONTH = 365.25 / 12 * DAY
_GRID = (np.arange(1000) + 0.5) / 1000
_LONGEST = 100 * 365.25 * DAY


@dataclass(frozen=True, slots=True)
class Outlook:
    """Dates over R replications, in s from the twin's start.

    Attributes
    ----------
    begin : when what the sites' durations count from begins, [R].
    inside : end by the network, [R]; outside: by comparable sites, quantiles [1000]; both: by the
        two together, [R].
    sites, finished : how many comparable sites there are, and how many of them are finished.
    elapsed : time gone since the begin, s.
    """

    begin: Floats
    inside: Floats
    outside: Floats
    both: Floats
    sites: int
    finished: int
    elapsed: float

    @property
    def later(self) -> Floats:
        """How much later than by the network, [R] s; below 0 where it is earlier."""
        return self.both - self.inside


def comparable(
    twin: Twin,
    declared: model.Reference,
    findings: Findings,
    since: float = -np.inf,
    until: float | None = None,
) -> Durations:
    """What was to be seen of the comparable sites on the twin's day of knowledge.

    Parameters
    ----------
    findings : gets what cannot be read.
    since, until : seconds from 1970-01-01: sites begun since, and the last look if it is given.
    """
    file = None if declared.file is None else twin.folder / declared.file
    sites = read_sites(file, findings, until)
    return sites.durations(since, twin.as_of if until is None else min(until, twin.as_of))


def outlook(
    twin: Twin, declared: model.Build, system: System, found: BuildResult
) -> Outlook | None:
    """Both views of a simulated programme; None without a reference class.

    Raises
    ------
    TwinError
        If the sites cannot be read, or allow no forecast.
    """
    if declared.reference is None or system.view is None:
        return None
    view, fixed = system.view, system.medians()
    findings = Findings()
    since = -np.inf if view.since < 0 else float(fixed[view.since]) + twin.start
    until = None if view.until < 0 else float(fixed[view.until]) + twin.start
    sites = comparable(twin, declared.reference, findings, since, until)
    findings.raise_if_errors()
    try:
        outside = outside_view(sites, declared.reference.method)
    except ReferenceClassError as error:
        what = f"the reference class allows no forecast: {error}"
        raise TwinError(Finding(what, code="reference-class")) from None
    replications = len(found.first)
    begin = np.full(replications, float(fixed[system.network.begin]))
    if view.start:
        begin = found.start[list(view.start)].min(axis=0).astype(np.float64)
    inside = found.first
    if view.end:
        inside = found.finish[list(view.end)].max(axis=0).astype(np.float64)
    # The begin is certain where it lies in the past; time has gone without an end since then.
    now = system.network.status
    elapsed = max(now - float(begin[0]), 0.0) if begin.max() <= now < inside.min() else 0.0
    durations = np.minimum(inside - begin, _LONGEST)
    together = begin + combined(durations, outside, float(fixed[view.weight]), elapsed)
    theirs = np.minimum(outside.quantile(_GRID, elapsed), _LONGEST)
    return Outlook(
        begin,
        inside,
        float(np.median(begin)) + theirs,
        np.where(inside < FAR, together, inside),
        len(sites.time),
        int(sites.finished.sum()),
        elapsed,
    )


def outlook_table(kpis: Kpis, found: Outlook) -> ResultTable:
    """The date by each view, and how long that is."""
    rows = kpis.rows(
        "build_outlook",
        "The date that is compared, by the network, by comparable sites, and by both together.",
        ("view",),
        *("end", "p10", "p20", "p50", "p80", "p90", "months", "months_p80", "sites", "finished"),
    )
    levels = (0.1, 0.2, 0.5, 0.8, 0.9)
    for view, dates in (
        ("network", found.inside),
        ("comparable sites", found.outside),
        ("both", found.both),
    ):
        days = np.quantile(dates, levels, method="inverted_cdf")
        length = (days - float(np.median(found.begin))) / MONTH
        outside = view != "network"
        kpis.add(
            rows,
            view=view,
            end=_end(kpis),
            **{f"p{100 * p:.0f}": kpis.day(float(d)) for p, d in zip(levels, days, strict=True)},
            months=float(length[2]),
            months_p80=float(length[3]),
            sites=float(found.sites) if outside else np.nan,
            finished=float(found.finished) if outside else np.nan,
        )
    dated = dict.fromkeys(("p10", "p20", "p50", "p80", "p90"), "date")
    return rows.table({**dated, "months": "month", "months_p80": "month"})


def _end(kpis: Kpis) -> str:
    """What the compared durations end with, in words."""
    named = kpis.declared.reference.end if kpis.declared.reference is not None else None
    return named or ("first phase" if kpis.names.phases else "end of all")
