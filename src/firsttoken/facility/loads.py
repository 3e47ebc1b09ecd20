"""What the racks of a site do over time: traces and jobs as events of groups and of racks.

A trace sets the level of a whole group; a job adds to the racks whose nodes it runs on.  Both are
read once and become lists of events in time, so that the simulation touches nothing that does not
change.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.time_files import (
    Column,
    find_missing,
    folded,
    moments,
    numbers,
    read_rows,
    read_time_file,
    report,
)
from firsttoken.twin.findings import Findings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARE: Final = 0
POWER: Final = 1
TRACE_SHARE: Final = 2
TRACE_POWER: Final = 3
JOBS: Final = 4
"""How the load of a group is told: by a series or a trace, as a share or as power; by jobs."""

_GRAIN: Final = 2.0**-30
"""Loads of jobs are multiples of it: sums of such numbers are exact, whatever comes and goes."""

TRACE: Final = {
    "load": Column(("load", "utilisation", "utilization"), "", "1", 0.0, 1.0),
    "power": Column(("power", "power_w"), "W", "W", 0.0),
}
_NODES: Final = re.compile(r"\d+(-\d+)?([ ;]+\d+(-\d+)?)*")


class LoadTable(NamedTuple):
    """Loads of all groups; usable in compiled functions.

    Attributes
    ----------
    kind : SHARE .. JOBS, shape [G].
    series : series of SHARE and POWER, shape [G].
    start : events of group g are ``start[g]`` to ``start[g + 1]``, shape [G + 1].
    time, value : when the level of a trace changes (s from the start), and to what, ascending.
    period : time after which a trace begins again, s; 0: it ends, shape [G].
    job_time, job_row, job_change : when the load of a rack row changes, and by how much.
    """

    kind: Ints
    series: Ints
    start: Ints
    time: Floats
    value: Floats
    period: Floats
    job_time: Floats
    job_row: Ints
    job_change: Floats


@dataclass(frozen=True)
class Trace:
    """The level of a group over time, s from the start; of one rack, W or a share."""

    time: Floats
    value: Floats
    is_power: bool
    period: float


def read_trace(
    path: Path,
    start: float,
    repeat: bool,
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> Trace | None:
    """Read a CSV file of `time` and `load` or `power` of one rack.

    Parameters
    ----------
    start : twin's start in seconds from 1970-01-01.
    repeat : whether it begins again after its end: one interval after its last row.
    utc_offset : site's clock minus UTC in s; None: not known.
    at : path of the field.

    Returns
    -------
    None, and findings, if it cannot be used.
    """
    found = read_time_file(path, TRACE, start, utc_offset, findings, at)
    if found is None:
        return None
    is_power = "load" not in found.columns
    if is_power and find_missing(found, ("power",), path, findings, at):
        return None
    value = found.columns["power" if is_power else "load"]
    blank = np.flatnonzero(np.isnan(value))
    if blank.size:
        line = int(found.lines[blank[0]])
        report(findings, path, line, "the load is missing", "", "give it, or drop the row", at)
        return None
    period = 0.0
    if repeat:
        last = found.time[-1] - found.time[-2] if len(value) > 1 else 0.0
        period = float(found.time[-1] - found.time[0] + last)
        if period <= 0.0:
            report(findings, path, 2, "a trace of one moment cannot repeat", at=at)
            return None
    return Trace(found.time - start, value, is_power, period)


@dataclass(frozen=True)
class Jobs:
    """Jobs of a group of racks, one an element of each array.

    Attributes
    ----------
    begin, end : s from the start of the twin.
    nodes : how many nodes, or which, as ranges [low, high).
    load : share of full load.
    lines : line of the file.
    """

    begin: Floats
    end: Floats
    nodes: tuple[int | tuple[tuple[int, int], ...], ...]
    load: Floats
    lines: Ints


def read_jobs(path: Path, start: float, findings: Findings, at: str) -> Jobs | None:
    """Read a CSV file of jobs: `start`, `end`, `nodes` and, if not full, `load`.

    `nodes` is how many, or which ones: `0-15;32`.  Nodes are numbered from 0, those of a rack one
    after the other.

    Returns
    -------
    None, and findings, if it cannot be used.
    """
    before = len(findings.errors)
    read = read_rows(path, findings, at)
    if read is None:
        return None
    titles = [folded(title)[0] for title in read[0]]
    missing = [name for name in ("start", "end", "nodes") if name not in titles]
    if missing:
        report(findings, path, 1, f"{path.name} has no column {', '.join(missing)}", at=at)
        return None
    cells = dict(zip(titles, zip(*read[1], strict=True), strict=True))
    begin = moments(path, cells["start"], start, findings, at)
    end = moments(path, cells["end"], start, findings, at)
    load: Floats = np.ones(len(read[1]))
    if "load" in cells:
        given = folded(read[0][titles.index("load")])[1] or "1"
        load = numbers(path, cells["load"], TRACE["load"], given, findings, at)
        load = np.where(np.isnan(load), 1.0, load)
    nodes = [_nodes(path, row, cell, findings, at) for row, cell in enumerate(cells["nodes"], 2)]
    if begin is None or end is None or len(findings.errors) > before:
        return None
    wrong = np.flatnonzero(end < begin)
    if wrong.size:
        report(findings, path, int(wrong[0]) + 2, "the job ends before it starts", at=at)
        return None
    lines = np.arange(2, len(load) + 2)
    return Jobs(begin - start, end - start, tuple(nodes), load, lines)


def _nodes(
    path: Path, line: int, cell: str, findings: Findings, at: str
) -> int | tuple[tuple[int, int], ...]:
    text = cell.strip()
    if text.isdigit():
        return int(text)
    if not _NODES.fullmatch(text):
        hint = "write how many, 16, or which, 0-15;32"
        report(findings, path, line, f"{cell!r} says no nodes", "", hint, at)
        return 0
    ends = [[int(end) for end in part.split("-")] for part in re.split(r"[ ;]+", text)]
    return tuple((low_high[0], low_high[-1] + 1) for low_high in ends)


class _Free:
    """Nodes that are free, as ranges [low, high), ascending."""

    def __init__(self, count: int) -> None:
        self.ranges: list[tuple[int, int]] = [(0, count)] if count else []
        self.count = count

    def take(self, wanted: int) -> list[tuple[int, int]]:
        """The `wanted` nodes of lowest number."""
        taken: list[tuple[int, int]] = []
        self.count -= wanted
        while wanted:
            low, high = self.ranges[0]
            cut = min(high, low + wanted)
            taken.append((low, cut))
            wanted -= cut - low
            if cut == high:
                self.ranges.pop(0)
            else:
                self.ranges[0] = (cut, high)
        return taken

    def take_these(self, low: int, high: int) -> bool:
        """Whether the nodes [low, high) were all free; then they are no more."""
        place = bisect_left(self.ranges, (low + 1, 0)) - 1
        if place < 0 or self.ranges[place][1] < high:
            return False
        first, last = self.ranges.pop(place)
        rest = [(a, b) for a, b in ((first, low), (high, last)) if b > a]
        self.ranges[place:place] = rest
        self.count -= high - low
        return True

    def give(self, low: int, high: int) -> None:
        """Free the nodes [low, high)."""
        self.count += high - low
        place = bisect_left(self.ranges, (low, high))
        if place < len(self.ranges) and self.ranges[place][0] == high:
            high = self.ranges.pop(place)[1]
        if place and self.ranges[place - 1][1] == low:
            place -= 1
            low = self.ranges.pop(place)[0]
        self.ranges.insert(place, (low, high))


@dataclass
class Placement:
    """Changes of the load of racks: time, rack of the group, change of its share of full load."""

    time: list[float] = field(default_factory=list)
    rack: list[Ints] = field(default_factory=list)
    change: list[Floats] = field(default_factory=list)

    def add(self, moment: float, nodes: Sequence[tuple[int, int]], per: int, load: float) -> None:
        """Add `load` on each of the nodes, `per` of which are a rack."""
        for low, high in nodes:
            first, last = low // per, (high - 1) // per
            racks = np.arange(first, last + 1)
            share = np.minimum((racks + 1) * per, high) - np.maximum(racks * per, low)
            self.time.append(moment)
            self.rack.append(racks)
            self.change.append(share * (round(load / per / _GRAIN) * _GRAIN))


def place_jobs(
    jobs: Jobs, racks: int, per: int, path: Path, findings: Findings, at: str
) -> tuple[Floats, Ints, Floats] | None:
    """Put jobs on nodes, in order of their start; a job takes the free nodes of lowest number.

    Parameters
    ----------
    racks, per : racks of the group, and nodes of each.

    Returns
    -------
    Times (s), racks and changes of their load, ascending in time; None, and a finding, if a job
    finds less nodes than it needs.
    """
    free, placed = _Free(racks * per), Placement()
    held: dict[int, list[tuple[int, int]]] = {}
    order = [(float(t), 0, job) for job, t in enumerate(jobs.end)]
    order += [(float(t), 1, job) for job, t in enumerate(jobs.begin)]
    # A job that ends makes room for one that starts; one without any time needs none.
    for moment, starts, job in sorted(order):
        if jobs.begin[job] == jobs.end[job]:
            continue
        if not starts:
            placed.add(moment, held[job], per, -float(jobs.load[job]))
            for low, high in held.pop(job):
                free.give(low, high)
            continue
        taken = _take(free, jobs.nodes[job])
        if taken is None:
            line = int(jobs.lines[job])
            what = f"the job finds no free nodes: {free.count} of {racks * per} are free"
            hint = "give the group more racks, or nodes a rack"
            report(findings, path, line, what, "", hint, at, "jobs")
            return None
        held[job] = taken
        placed.add(moment, taken, per, float(jobs.load[job]))
    if not placed.time:
        return np.empty(0), np.empty(0, np.int64), np.empty(0)
    counts = [len(racks) for racks in placed.rack]
    times = np.repeat(np.array(placed.time), counts)
    return times, np.concatenate(placed.rack), np.concatenate(placed.change)


def _take(free: _Free, wanted: int | tuple[tuple[int, int], ...]) -> list[tuple[int, int]] | None:
    if isinstance(wanted, int):
        return free.take(wanted) if wanted <= free.count else None
    for number, (low, high) in enumerate(wanted):
        if not free.take_these(low, high):
            for done in wanted[:number]:
                free.give(*done)
            return None
    return list(wanted)
