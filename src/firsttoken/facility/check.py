"""What is wrong with a site beyond what its classes can say.

Names that lead nowhere, two loads for the same racks, fields that nothing reads, files that cannot
be read: all are found before a run, and all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from firsttoken.facility import model
from firsttoken.facility.balance_check import check_balance
from firsttoken.facility.cooling_check import check_cooling
from firsttoken.facility.disrupt import problem
from firsttoken.facility.plan_check import check_design
from firsttoken.facility.power_check import check_power
from firsttoken.facility.slots import Sheet, sheet_of
from firsttoken.twin.effects import check_effects
from firsttoken.twin.findings import Finding, Findings, TwinError
from firsttoken.twin.schema import support
from firsttoken.twin.slots import nearest
from firsttoken.twin.values import Constant, Fact, ModelPort, Signal, Value

if TYPE_CHECKING:
    from firsttoken.twin.twin import Twin

POWER = (
    *("feeds", "generators", "transformers", "boards", "transfer_switches", "ups", "batteries"),
    "distribution",
)
COOLING = ("cdus", "air_units", "loops", "dry_coolers", "towers", "chillers")
LOADS = ("draws", "trace", "jobs")
MOST = 1 << 30
"""Most bytes of results by report period."""
MOST_STEPS = 1_000_000_000
"""Most time steps of a replication: a year of 31.5 ms."""
COUNTED = 26 * 8
"""Bytes of a report period of a replication."""


class View:
    """A site while it is checked."""

    def __init__(self, twin: Twin, name: str, findings: Findings) -> None:
        site = twin.rooms["facility"][name]
        assert isinstance(site, model.Facility)
        self.twin, self.name, self.site, self.findings = twin, name, site, findings

    def say(
        self, path: str, what: str, why: str = "", hint: str = "", code: str = "reference"
    ) -> None:
        """Add an error at a path below the site."""
        full = f"facility.{self.name}.{path}" if path else f"facility.{self.name}"
        place = self.twin.place(full)
        self.findings.add(Finding(what, why, hint, full, code, place=place))

    def warn(self, path: str, what: str, why: str, hint: str, code: str) -> None:
        """Add a warning at a path below the site."""
        full = f"facility.{self.name}.{path}"
        place = self.twin.place(full)
        self.findings.add(Finding(what, why, hint, full, code, "warning", place))

    def sheet(self, group: str, name: str) -> Sheet | None:
        """The sheet of a group; None, and a finding, if its part is unknown."""
        try:
            return sheet_of(self.twin, self.name, group, name)
        except TwinError as error:
            self.findings.extend(error.findings)
            return None

    def known(self, path: str, given: str | None, names: Iterable[str], what: str) -> None:
        """Report a name that is not among the known ones."""
        names = list(names)
        if given is not None and given not in names:
            hint = nearest(given, names) or f"the site has no {what}"
            self.say(path, f"{given!r} is no {what}", "", hint)


def check_site(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with one site."""
    view = View(twin, name, findings)
    before = len(findings.errors)
    for look in (_names, _parts, _racks, _halls, _cooled, _weather, _disruptions, _size):
        look(view)
    check_design(twin, name, findings)
    check_power(twin, name, findings)
    check_cooling(twin, name, findings)
    if len(findings.errors) == before:
        check_balance(twin, name, findings)
        _compiled(view)


def named(given: str | list[str] | None) -> list[str]:
    """The names in a `from`."""
    return [given] if isinstance(given, str) else list(given or [])


def _names(view: View) -> None:
    """Names of halls, CDUs and sources; names of equipment that stand for two things."""
    site = view.site
    seen: dict[str, str] = {}
    for group in (*POWER, *COOLING):
        for name in getattr(site, group):
            if name in seen:
                what = f"{name!r} names two groups of equipment"
                why = f"it also stands under {seen[name]}"
                view.say(f"{group}.{name}", what, why, "rename one", "duplicate")
            seen.setdefault(name, group)
    chain = [name for group in POWER for name in getattr(site, group)]
    for group in (*COOLING, "racks", "overheads"):
        for name, item in getattr(site, group).items():
            for source in named(item.from_):
                view.known(f"{group}.{name}.from", source, chain, "group of the power chain")
    for group in (*POWER, *COOLING, "overheads"):
        for name, item in getattr(site, group).items():
            together = getattr(item, "with_", None)
            view.known(f"{group}.{name}.with", together, site.racks, "group of racks")
    for name, racks in site.racks.items():
        view.known(f"racks.{name}.cooled_by", racks.cooled_by, site.cdus, "CDU")
        view.known(f"racks.{name}.air_by", racks.air_by, site.air_units, "air unit")
        view.known(f"racks.{name}.hall", racks.hall, site.halls, "hall")


def _parts(view: View) -> None:
    """Parts that the library does not have, facts that do not fit."""
    for group in ("racks", *POWER, *COOLING):
        for name in getattr(view.site, group):
            sheet = view.sheet(group, name)
            if sheet is None or not sheet.part:
                continue
            for field in sheet.model.model_fields:
                if sheet.fact(field) and field in _quantities(sheet):
                    try:
                        sheet.value(field)
                    except TwinError as error:
                        view.findings.extend(error.findings)


def _quantities(sheet: Sheet) -> Iterable[str]:
    from firsttoken.twin.schema import quantities

    return quantities(sheet.model)


def _racks(view: View) -> None:
    """Loads of racks: one kind, with what it needs; fields that it does not read."""
    for name, racks in view.site.racks.items():
        path = f"racks.{name}"
        sheet = view.sheet("racks", name)
        if sheet is None:
            continue
        given = [field for field in LOADS if getattr(racks, field) is not None]
        if "load" in racks.model_fields_set:
            given.append("load")
        if len(given) > 1:
            what = f"{' and '.join(given)} both say what the racks do"
            view.say(f"{path}.{given[0]}", what, "", "keep one of them", "load")
        if racks.draws is None and racks.trace is None and not sheet.has("power"):
            view.findings.add(sheet.missing("power", "the load of racks is a share of it"))
        for field, needs in (("nodes", "jobs"), ("repeat", "trace")):
            if field in racks.model_fields_set and getattr(racks, needs) is None:
                what = f"{field!r} is read with {needs!r} only"
                view.say(f"{path}.{field}", what, "", f"remove it, or give {needs!r}", "unread")
        if racks.feeds is not None and len(named(racks.from_)) < racks.feeds:
            what = f"racks have {racks.feeds} sources, and `from` names less"
            view.say(f"{path}.feeds", what, "", "name more, or leave it out", "feeds")
        _bounds(view, sheet, path)


def _bounds(view: View, sheet: Sheet, path: str) -> None:
    """Idle above full power, or a peak below it."""
    numbers = {
        field: value.value
        for field in ("idle", "power", "peak")
        if isinstance(value := _certain(view, sheet, field), Constant)
    }
    for low, high in (("idle", "power"), ("power", "peak")):
        if numbers.get(low, 0.0) > numbers.get(high, float("inf")) * (1 + 1e-9):
            what = f"{low} of {numbers[low] / 1e3:g} kW is above {high}, {numbers[high] / 1e3:g} kW"
            view.say(f"{path}.{low}", what, "", "exchange them, or correct one", "order")


def _certain(view: View, sheet: Sheet, field: str) -> Value | None:
    try:
        value = sheet.value(field)
    except TwinError:
        return None  # reported with the part
    if isinstance(value, Fact):
        return view.twin.library.resolve(value.id, view.twin.as_of, sheet.quantity(field).unit)
    return value


def _halls(view: View) -> None:
    """More racks in a hall than positions, more weight than its floor carries."""
    for hall, declared in view.site.halls.items():
        count = weight = 0.0
        for name, racks in view.site.racks.items():
            sheet = view.sheet("racks", name)
            if racks.hall != hall or sheet is None:
                continue
            most = support(value)[1] if (value := _certain(view, sheet, "count")) else 1.0
            each = _certain(view, sheet, "weight")
            count += most
            weight += most * (support(each)[0] if each is not None else 0.0)
        if declared.positions is not None and count > declared.positions:
            what = f"{count:g} racks stand in a hall of {declared.positions} positions"
            view.say(f"halls.{hall}.positions", what, "", "move some to another hall", "positions")
        area, load = declared.area, declared.floor_load
        if not isinstance(area, Constant) or not isinstance(load, Constant):
            continue
        if weight > area.value * load.value:
            what = f"racks weigh {weight / area.value:.0f} kg/m2 of the hall"
            why = f"its floor carries {load.value:.0f} kg/m2"
            view.say(f"halls.{hall}.floor_load", what, why, "spread them", "floor-load")


def _cooled(view: View) -> None:
    """Heat that nothing takes, although the site cools."""
    site = view.site
    if not site.cdus and not site.air_units:
        return
    for name, racks in site.racks.items():
        if racks.cooled_by is None and racks.air_by is None:
            what = f"nothing cools racks {name!r}"
            hint = "name CDUs in `cooled_by` or air units in `air_by`"
            view.say(f"racks.{name}", what, "the site has cooling equipment", hint, "uncooled")
        sheet = view.sheet("racks", name)
        both = racks.cooled_by is not None and racks.air_by is not None
        if sheet is not None and both and not sheet.has("liquid"):
            why = "CDUs and air units share its heat"
            view.findings.add(sheet.missing("liquid", why))
        if sheet is not None and racks.cooled_by is not None and racks.air_by is None:
            liquid = _certain(view, sheet, "liquid")
            most = support(liquid)[1] if liquid is not None else 1.0
            if most < 1.0:
                what = f"{1.0 - most:.0%} of the heat of racks {name!r} goes to the air".replace(
                    "%", " %"
                )
                why, hint = "nothing takes it away", "name air units in `air_by`"
                view.warn(f"racks.{name}", what, why, hint, "uncooled")


def _weather(view: View) -> None:
    """Equipment that gives heat to the outside needs weather."""
    site = view.site
    outside = [group for group in ("dry_coolers", "towers", "chillers") if getattr(site, group)]
    if outside and site.weather is None:
        what = "'weather' is missing"
        why = f"{', '.join(outside)} give heat to the outside air"
        hint = "name an EPW or CSV file; without one the air is 15 degC at all hours"
        view.warn("weather", what, why, hint, "weather")


def _disruptions(view: View) -> None:
    wrong = partial(problem, view.site)
    check_effects(view.twin, "facility", view.name, wrong, view.findings)


def _size(view: View) -> None:
    """Results by report period must fit into memory."""
    from firsttoken.twin.dates import period_edges

    twin, report, step = view.twin, view.site.report, view.site.step
    span = twin.end - twin.start
    if isinstance(step, Constant) and span / step.value > MOST_STEPS:
        what = f"{span / step.value:,.0f} time steps are too many"
        hint = "lengthen the step, or shorten the horizon"
        view.say("step", what, f"{MOST_STEPS:,} are the most", hint, "size")
    periods = span / 3600.0 if report == "hour" else len(period_edges(twin.start, twin.end, report))
    if periods * twin.replications * COUNTED > MOST:
        what = f"{twin.replications} replications with {periods:,.0f} report periods are too many"
        hint = "report by day or month, or run less replications"
        view.say("report", what, "their results would take more than 1 GB", hint, "size")


def _compiled(view: View) -> None:
    """What only compiling shows: files, sources of power, equipment without what it needs."""
    from firsttoken.facility.compile import check_files, compile_site
    from firsttoken.facility.slots import Slots
    from firsttoken.twin.parameters import ParameterBuilder

    twin = view.twin

    def resolve(reference: Fact | ModelPort | Signal, unit: str) -> Value:
        if isinstance(reference, Fact):
            return twin.library.resolve(reference.id, twin.as_of, unit)
        return Constant(1.0)  # known in the run only

    slots = Slots(twin, view.name, ParameterBuilder(twin.start, resolve), resolve)
    view.findings.extend(check_files(slots))
    if view.findings.errors or any(_by_port(view)):
        return
    try:
        compile_site(twin, view.name, resolve)
        if view.site.grid is not None:
            from firsttoken.facility.grid_quality import compile_grid

            compile_grid(twin, view.name, resolve)
    except TwinError as error:
        view.findings.extend(error.findings)


def _by_port(view: View) -> Iterator[bool]:
    """Whether jobs run on racks whose number another room tells."""
    for racks in view.site.racks.values():
        if racks.jobs is not None:
            yield not isinstance(racks.count, Constant)
