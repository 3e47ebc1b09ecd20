"""From a declared site and a scenario to a `System`: names become integers here only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firsttoken.facility import system
from firsttoken.facility.cooling_compile import compile_cooling
from firsttoken.facility.cooling_system import CoolingSystem
from firsttoken.facility.disrupt import build_effects
from firsttoken.facility.grid_events import EventReader, GridEvents, LoadTarget, timeline
from firsttoken.facility.grid_targets import Targets
from firsttoken.facility.loads import (
    JOBS,
    POWER,
    SHARE,
    TRACE_POWER,
    TRACE_SHARE,
    LoadTable,
    place_jobs,
    read_jobs,
    read_trace,
)
from firsttoken.facility.market import CARBON, PRICE, read_market
from firsttoken.facility.power_compile import compile_power
from firsttoken.facility.power_system import Attachment, PowerSystem
from firsttoken.facility.rack_rows import RackRow, largest, rack_rows
from firsttoken.facility.slots import Slots
from firsttoken.facility.weather import Climate, read_climate, standard_climate
from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.kernel.streams import entity_key
from firsttoken.twin.dates import report_edges
from firsttoken.twin.effects import Effects
from firsttoken.twin.findings import Finding, Findings, TwinError
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Constant

Ints = system.Ints
Floats = system.Floats
NONE = system.NONE

HOUR = 3600.0
MOST_KEPT = 20_000_000
"""Steps of feeds with load targets that are kept: 16 bytes each."""


def compile_site(twin: Twin, name: str, resolve: Resolve) -> system.System:
    """Compile one site of a twin under the twin's active scenario.

    Parameters
    ----------
    name : instance under `facility`.
    resolve : looks facts and ports of other rooms up.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, a name is not declared, or a file cannot be read.
    """
    build = ParameterBuilder(twin.start, resolve)
    slots = Slots(twin, name, build, resolve)
    site = slots.site
    effects = build_effects(twin, name, site, build)
    racks = rack_rows(slots, site.detail)
    power = compile_power(slots, site.detail)
    cooling = compile_cooling(slots, site.detail, racks)
    files = Files(slots)
    loads = _Loads(slots, racks, power, cooling, files)
    table = loads.compile()
    groups = [*(("racks", key) for key in site.racks), *power.groups, *cooling.groups]
    fleet, mtbf, mttr = _fleet(slots, groups, racks, power, cooling, effects)
    rack_fields = _rack_fields(slots)
    own = slots.own
    scalars = {key: own.scalar(key) for key in ("step", "demand_charge", "water_price")}
    series = {"warmer": own.series("warmer"), "water_limit": own.series("water_limit")}
    climate, price, carbon = files.climate(), files.market("price"), files.market("carbon")
    heard = files.events()
    files.findings.raise_if_errors()
    assert climate is not None
    parameters, table_of_series = build.tables()
    expected = fixed_parameters(parameters)
    horizon = twin.end - twin.start
    return system.System(
        names=system.Names(name, tuple(groups), tuple(site.overheads)),
        parameters=parameters,
        series=table_of_series,
        fleet=fleet,
        loads=table,
        racks=racks,
        rack_fields=rack_fields,
        power=power,
        cooling=cooling,
        shaving=_shaving(slots, power),
        mtbf=mtbf,
        mttr=mttr,
        warmer=series["warmer"],
        water_limit=series["water_limit"],
        demand_charge=scalars["demand_charge"],
        water_price=scalars["water_price"],
        climate=climate,
        price=price,
        carbon=carbon,
        start=twin.start,
        horizon=horizon,
        step=float(min(expected[scalars["step"]], horizon)),
        edges=np.array(report_edges(twin.start, twin.end, site.report)),
        months=np.array(report_edges(twin.start, twin.end, "month")),
        targets=_targets(heard, power),
        events=_events(slots, heard, files.utc_offset, expected) if heard else None,
        inputs=build.inputs,
        users=build.users,
    )


def _shaving(slots: Slots, power: PowerSystem) -> Ints:
    """Rows of the batteries that shave peaks."""
    names = [name for name, item in slots.site.batteries.items() if item.use == "peak"]
    rows = [row for name in names for row in power.rows(name)]
    return np.array(rows, np.int64)


def _rack_fields(slots: Slots) -> dict[str, Ints]:
    """Parameters of the racks' fields by group."""
    sheets = [slots.sheet("racks", name) for name in slots.site.racks]
    found = {
        name: np.array([sheet.scalar(name) for sheet in sheets], np.int64)
        for name in system.RACK_FIELDS
    }
    for name in system.LAW_FIELDS:
        laws = [sheet.below("flow_law") for sheet in sheets]
        rows = [law.scalar(name) if law is not None else NONE for law in laws]
        found[f"flow_law.{name}"] = np.array(rows, np.int64)
    return found


class Files:
    """The files that a site names, read once."""

    def __init__(self, slots: Slots) -> None:
        self.slots, self.findings = slots, Findings()
        twin = slots.twin
        self.span = (twin.start, twin.end)
        self.folder = twin.folder
        self.utc_offset = self._fixed("utc_offset")
        self.altitude = self._fixed("altitude")

    def _fixed(self, name: str) -> float | None:
        found = self.slots.own.value(name)
        return found.value if isinstance(found, Constant) else None

    def climate(self) -> Climate | None:
        """The weather; standard air where none is named."""
        given = self.slots.site.weather
        if not given:
            return standard_climate(self.altitude or 0.0)
        names = [given] if isinstance(given, str) else given
        at = self.slots.own.at("weather")
        return read_climate(
            names, self.folder, self.span, self.altitude, self.utc_offset, self.findings, at
        )

    def market(self, what: str) -> Climate | None:
        """Hourly `price` or `carbon`; None where no file is named."""
        site = self.slots.site
        field = "energy_prices" if what == "price" else "carbon_intensity"
        name = site.energy_prices if what == "price" else site.carbon_intensity
        if name is None:
            return None
        column = PRICE if what == "price" else CARBON
        at = self.slots.own.at(field)
        return read_market(name, column, self.folder, self.span, self.utc_offset, self.findings, at)

    def events(self) -> list[LoadTarget]:
        """Load targets of the grid, in the order in which they were sent."""
        name = self.slots.site.grid_events
        if name is None:
            return []
        feeds, at = list(self.slots.site.feeds), self.slots.own.at("grid_events")
        path = self.folder / name
        reader = EventReader(path, self.span[0], self.utc_offset, feeds, self.findings, at)
        return reader.read()


def _targets(found: Sequence[LoadTarget], power: PowerSystem) -> Targets:
    """Targets by row of the chain; the rows of a feed share its target equally."""
    rows: list[int] = []
    counts: list[int] = []
    segments: list[tuple[float, float, float]] = []
    for feed in dict.fromkeys(target.feed for target in found):
        own = power.rows(feed)
        told = [
            (part.begin, part.target.power / len(own), float(part.target.best_effort))
            if part.target is not None
            else (part.begin, np.inf, 0.0)
            for part in timeline(found, feed)
        ]
        for row in own:
            rows.append(int(row))
            counts.append(len(told))
            segments += told
    time, level, gentle = np.array(segments, np.float64).reshape(-1, 3).T.copy()
    start = np.cumsum([0, *counts]).astype(np.int64)
    return Targets(np.array(rows, np.int64), start, time, level, gentle)


def _events(
    slots: Slots, heard: Sequence[LoadTarget], utc_offset: float | None, expected: Floats
) -> GridEvents:
    """Events with what the site's answers say of its feeds."""
    most, usual = {}, {}
    for name in slots.site.feeds:
        sheet = slots.sheet("feeds", name)
        rating = sheet.scalar("rating")
        units = largest(slots, sheet, "count")
        most[name] = units * float(expected[rating]) if rating != NONE else np.inf
        limit = sheet.value("limit")
        usual[name] = min(most[name], limit.value if isinstance(limit, Constant) else np.inf)
    sheds = sorted(((name, racks.shed) for name, racks in slots.site.racks.items()), key=_order)
    return GridEvents(tuple(heard), utc_offset or 0.0, most, usual, tuple(sheds))


def _check_steps(slots: Slots, heard: Sequence[LoadTarget], findings: Findings) -> None:
    """Warn of targets that end before the step in which they hold; refuse too many steps."""
    step = slots.own.value("step")
    if not heard or not isinstance(step, Constant):
        return
    steps = (slots.twin.end - slots.twin.start) / step.value
    if steps * len({target.feed for target in heard}) > MOST_KEPT:
        at = slots.own.at("grid_events")
        what, why = f"{steps:,.0f} steps are too many", "the power of the feeds in each is kept"
        hint = "shorten the horizon to the time about the events, or lengthen the step"
        findings.add(Finding(what, why, hint, at, "size", place=slots.twin.place(at)))
    shortest = min(target.end - target.begin for target in heard)
    if shortest < step.value:
        at = slots.own.at("step")
        what = f"a load target of {shortest:g} s counts for a whole step of {step.value:g} s"
        why, hint = "targets hold in every step that they touch", f"write step: {shortest:g} s"
        place = slots.twin.place(at)
        findings.add(Finding(what, why, hint, at, "step", "warning", place))


def _order(pair: tuple[str, int]) -> int:
    return pair[1]


def check_files(slots: Slots) -> Findings:
    """What is wrong with the files that a site names."""
    files = Files(slots)
    files.climate()
    files.market("price")
    files.market("carbon")
    _check_steps(slots, files.events(), files.findings)
    for name, racks in slots.site.racks.items():
        at = f"{slots.path}.racks.{name}"
        if racks.trace is not None:
            arguments = (slots.twin.start, racks.repeat, files.utc_offset, files.findings)
            read_trace(files.folder / racks.trace, *arguments, f"{at}.trace")
        if racks.jobs is not None:
            path = files.folder / racks.jobs
            read_jobs(path, slots.twin.start, files.findings, f"{at}.jobs")
    return files.findings


def _fleet(
    slots: Slots,
    groups: Sequence[tuple[str, str]],
    racks: Sequence[RackRow],
    power: PowerSystem,
    cooling: CoolingSystem,
    effects: Effects,
) -> tuple[system.Fleet, Ints, Ints]:
    """The fleet, and the parameters of its failures."""
    build = slots.build
    of_racks = [sum(row.group == name for row in racks) for name in slots.site.racks]
    rows = [*of_racks, *np.diff(power.first).tolist(), *np.diff(cooling.first).tolist()]
    count: list[int] = []
    factors: list[list[int]] = []
    follow: list[int] = []
    units: list[int] = []
    mtbf: list[int] = []
    mttr: list[int] = []
    for collection, name in groups:
        sheet = slots.sheet(collection, name)
        counted = "count" in sheet.model.model_fields
        with build.slipping(effects.slips.get((collection, name), [])):
            count.append(sheet.series("count") if counted else NONE)
        factors.append(effects.factors.get((collection, name), []))
        declared = getattr(slots.site, collection)[name]
        follow.append(_rack_group(slots, getattr(declared, "with_", None)))
        fails = "mtbf" in sheet.model.model_fields and sheet.has("mtbf")
        mtbf.append(sheet.scalar("mtbf") if fails else NONE)
        mttr.append(sheet.needed("mttr", "units that fail are repaired") if fails else NONE)
        units.append(_most(slots, collection, name) if fails else 0)
    fleet = system.Fleet(
        first=np.cumsum([0, *rows]).astype(np.int64),
        by_unit=np.array(
            [
                *(
                    int(slots.site.detail == "unit")
                    for _ in groups[: len(groups) - len(cooling.groups)]
                ),
                *cooling.by_unit,  # units that share what they cool stay one row
            ],
            np.int64,
        ),
        number=np.array(count, np.int64),
        factor_start=np.cumsum([0, *(len(own) for own in factors)]).astype(np.int64),
        factor=np.array([series for own in factors for series in own], np.int64),
        follow=np.array(follow, np.int64),
        most=_most_racks(slots, follow),
        unit_start=np.cumsum([0, *units]).astype(np.int64),
        entity=np.array([entity_key(f"{slots.path}.{c}.{n}") for c, n in groups], np.int64),
    )
    return fleet, np.array(mtbf, np.int64), np.array(mttr, np.int64)


def _rack_group(slots: Slots, name: str | None) -> int:
    """Which group of racks a group comes with; NONE: with none."""
    names = list(slots.site.racks)
    return names.index(name) if name in names else NONE


def _most_racks(slots: Slots, follow: Sequence[int]) -> Floats:
    """Racks of each group at most, where something comes with them; else 0."""
    overheads = [_rack_group(slots, item.with_) for item in slots.site.overheads.values()]
    wanted = {*follow, *overheads}
    return np.array(
        [
            largest(slots, slots.sheet("racks", name), "count") if g in wanted else 0.0
            for g, name in enumerate(slots.site.racks)
        ]
    )


def _most(slots: Slots, collection: str, name: str) -> int:
    return int(np.ceil(largest(slots, slots.sheet(collection, name), "count") - 1e-9))


class _Loads:
    """Loads on their way into a table."""

    def __init__(
        self,
        slots: Slots,
        racks: Sequence[RackRow],
        power: PowerSystem,
        cooling: CoolingSystem,
        files: Files,
    ) -> None:
        self.slots, self.racks, self.files = slots, racks, files
        self.power, self.cooling = power, cooling
        self.kind: list[int] = []
        self.series: list[int] = []
        self.period: list[float] = []
        self.events: list[tuple[Floats, Floats]] = []
        self.jobs: list[tuple[Floats, Ints, Floats]] = []
        self.first_row: dict[str, int] = {}
        for number, row in enumerate(racks):
            self.first_row.setdefault(row.group, number)

    def compile(self) -> system.Loads:
        """All that takes power."""
        for name in self.slots.site.racks:
            self._group(name)
        names = list(self.slots.site.racks)
        overheads = self.slots.site.overheads
        return system.Loads(
            rack_group=np.array([names.index(row.group) for row in self.racks], np.int64),
            full=np.array([row.count for row in self.racks]),
            shed=np.array([self.slots.site.racks[row.group].shed for row in self.racks], np.int64),
            table=self._table(),
            overhead=np.array(
                [self.slots.sheet("overheads", name).series("power") for name in overheads],
                np.int64,
            ),
            with_racks=np.array(
                [_rack_group(self.slots, item.with_) for item in overheads.values()], np.int64
            ),
            feeds=self._feeds(),
        )

    def _group(self, name: str) -> None:
        """How the load of one group is told: jobs, a trace, power, else a share of full load."""
        slots, racks = self.slots, self.slots.site.racks[name]
        sheet = slots.sheet("racks", name)
        events: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
        kind, series, period = SHARE, NONE, 0.0
        if racks.jobs is not None:
            kind = JOBS
            self._jobs(name, racks.jobs)
        elif racks.trace is not None:
            files = self.files
            path = files.folder / racks.trace
            start, at = slots.twin.start, sheet.at("trace")
            found = read_trace(path, start, racks.repeat, files.utc_offset, files.findings, at)
            if found is not None:
                kind = TRACE_POWER if found.is_power else TRACE_SHARE
                events, period = (found.time, found.value), found.period
        elif sheet.has("draws"):
            kind, series = POWER, sheet.series("draws")
        else:
            series = sheet.series("load")
        if kind in (SHARE, TRACE_SHARE, JOBS) and not sheet.has("power"):
            files = self.files
            files.findings.add(sheet.missing("power", "the load of racks is a share of it"))
        self.kind.append(kind)
        self.series.append(series)
        self.period.append(period)
        self.events.append(events)

    def _jobs(self, name: str, file: str) -> None:
        slots, files = self.slots, self.files
        sheet = slots.sheet("racks", name)
        path, at = files.folder / file, sheet.at("jobs")
        jobs = read_jobs(path, slots.twin.start, files.findings, at)
        rows = [row for row in self.racks if row.group == name]
        if jobs is None or not rows:
            return
        racks = len(rows) if rows[0].unit >= 0 else int(np.ceil(rows[0].count - 1e-9))
        per = slots.site.racks[name].nodes
        placed = place_jobs(jobs, racks, per, path, files.findings, at)
        if placed is None:
            return
        time, rack, change = placed
        if rows[0].unit < 0:  # one row is the whole group
            rack, change = np.zeros(len(rack), np.int64), change / max(racks, 1)
        self.jobs.append((time, rack + self.first_row[name], change))

    def _table(self) -> LoadTable:
        counts = [len(time) for time, _ in self.events]
        nothing = (np.empty(0), np.empty(0, np.int64), np.empty(0))
        parts = self.jobs or [nothing]
        time = np.concatenate([part[0] for part in parts])
        order = np.argsort(time, kind="stable")
        return LoadTable(
            kind=np.array(self.kind, np.int64),
            series=np.array(self.series, np.int64),
            start=np.cumsum([0, *counts]).astype(np.int64),
            time=np.concatenate([np.empty(0), *(time for time, _ in self.events)]),
            value=np.concatenate([np.empty(0), *(value for _, value in self.events)]),
            period=np.array(self.period, np.float64),
            job_time=time[order],
            job_row=np.concatenate([part[1] for part in parts])[order],
            job_change=np.concatenate([part[2] for part in parts])[order],
        )

    def _feeds(self) -> Attachment:
        """What feeds the racks, then the motors of the cooling plant, then the overheads."""
        site, parts = self.slots.site, []
        for name, racks in site.racks.items():
            rows = sum(row.group == name for row in self.racks)
            parts.append(self._attach(f"racks.{name}", racks.from_, racks.feeds, rows))
        for group, (collection, name) in enumerate(self.cooling.groups):
            rows = int(self.cooling.first[group + 1] - self.cooling.first[group])
            given = list(self.cooling.feeds[group])
            parts.append(self._attach(f"{collection}.{name}", given, None, rows))
        for name, overhead in site.overheads.items():
            parts.append(self._attach(f"overheads.{name}", overhead.from_, None, 1))
        return joined(parts)

    def _attach(
        self, path: str, names: str | list[str] | None, feeds: int | None, n: int
    ) -> Attachment:
        known = [name for _, name in self.power.groups]
        for name in [names] if isinstance(names, str) else names or []:
            if name not in known:
                at = f"{self.slots.path}.{path}.from"
                what, hint = f"{name!r} is no group of the power chain", nearest(name, known)
                place = self.slots.twin.place(at)
                raise TwinError(Finding(what, "", hint, at, "reference", place=place))
        return self.power.attach(names, feeds, n)


def joined(parts: Sequence[Attachment]) -> Attachment:
    """Attachments of several groups of loads, one after the other."""
    counts = [np.diff(part.start) for part in parts]
    starts = np.cumsum(np.concatenate([[0], *counts]))
    rows = [part.row for part in parts]
    shares = [part.share for part in parts]
    return Attachment(
        starts.astype(np.int64),
        np.concatenate([np.empty(0, np.int64), *rows]).astype(np.int64),
        np.concatenate([np.empty(0), *shares]),
    )
