"""What is wrong with a power chain: nothing feeds it, more load than rating, no real redundancy.

Loads are those of the complete site: the most units that every group ever has, racks at the most
load that is declared, motors at their rating.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from firsttoken.facility.model_power import Element, PowerChain
from firsttoken.facility.power_compile import chain_groups, find_cycle, named
from firsttoken.twin.findings import Finding, Findings, Severity, TwinError
from firsttoken.twin.schema import support
from firsttoken.twin.slots import nearest
from firsttoken.twin.values import Constant, Fact, ModelPort, Series, Signal, Value

if TYPE_CHECKING:
    from firsttoken.facility.power_loads import LoadGroup
    from firsttoken.facility.power_system import Floats, PowerSystem
    from firsttoken.facility.slots import Sheet, Slots
    from firsttoken.twin.twin import Twin

RACKS = "racks"
FULL = 1.0 + 1e-6
"""Load over rating that counts as an overload."""


def check_power(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with the power chain of one site."""
    chain = twin.rooms["facility"][name]
    assert isinstance(chain, PowerChain)
    view = _View(twin, name, findings, chain_groups(chain))
    if not view.groups:
        return
    before = len(findings.errors)
    for group, (collection, element) in view.groups.items():
        _sources(view, collection, group, element)
        _fields(view, collection, group)
    _cycle(view)
    if len(findings.errors) == before:
        _loads(view)


@dataclass(frozen=True)
class _View:
    """A chain while it is checked; `groups`: (collection, declared) by name."""

    twin: Twin
    site: str
    findings: Findings
    groups: dict[str, tuple[str, Element]]

    def say(
        self,
        path: str,
        what: str,
        why: str = "",
        hint: str = "",
        *,
        code: str = "power",
        severity: Severity = "error",
    ) -> None:
        """Add a finding at a path below the site."""
        full = f"facility.{self.site}.{path}"
        self.findings.add(
            Finding(what, why, hint, full, code, severity, place=self.twin.place(full))
        )

    def resolve(self, reference: Fact | ModelPort | Signal, unit: str) -> Value:
        """The value of a fact; what only a run can know is not known."""
        if isinstance(reference, Fact):
            return self.twin.library.resolve(reference.id, self.twin.as_of, unit)
        raise TwinError(Finding("known in the run only"))


# One group at a time ----------------------------------------------------------------------


def _sources(view: _View, collection: str, name: str, element: Element) -> None:
    path, given = f"{collection}.{name}", named(element.from_)
    for source in given:
        if source not in view.groups:
            hint = nearest(source, list(view.groups))
            what = f"{source!r} is no group of the power chain"
            view.say(f"{path}.from", what, "", hint, code="reference")
    if collection in ("feeds", "generators"):
        if given:
            what = f"{name!r} is a source of power, nothing feeds it"
            view.say(f"{path}.from", what, "", "remove `from`; what it feeds names it")
        return
    if not given:
        hint = "name in `from` what feeds it"
        view.say(path, f"nothing feeds {name!r}", "it can carry no power", hint, code="no-source")
    if element.feeds is not None and element.feeds > len(given):
        what = f"each unit has {element.feeds} sources, and `from` names {len(given)}"
        view.say(f"{path}.feeds", what, "", "name more, or leave it out", code="feeds")
    if collection == "transfer_switches" and (len(given) == 1 or element.feeds == 1):
        what, hint = f"{name!r} has one source only", "name the other one in `from`"
        view.say(path, what, "there is nothing to transfer to", hint, severity="warning")
    first = view.groups.get(given[0]) if given else None
    standby = first and first[0] == "generators" and not getattr(first[1], "prime", False)
    if collection == "transfer_switches" and standby and len(given) > 1:
        what = f"{name!r} names standby generators {given[0]!r} first"
        hint = "name the normal source first"
        view.say(f"{path}.from", what, "the first is the preferred one", hint)


def _fields(view: _View, collection: str, name: str) -> None:
    """Fields that need each other, or contradict each other."""
    from firsttoken.facility.slots import sheet_of

    path = f"{collection}.{name}"
    try:
        sheet = sheet_of(view.twin, view.site, collection, name)
    except TwinError:
        return  # reported with the part
    if not sheet.has("rating"):
        for field, why in (
            ("load_loss", "it is the loss at the rating"),
            ("breaker", "its limit is a share of the rating"),
        ):
            if sheet.is_written(field):
                view.say(f"{path}.{field}", f"{field!r} needs a `rating`", why, code="missing")
        if collection == "batteries":
            what = f"batteries {name!r} have no rating"
            why = "they hold any load until they are empty"
            view.say(path, what, why, "write `rating`", severity="warning")
    if collection == "batteries" and not sheet.has("storage"):
        view.findings.add(sheet.missing("storage", "it is what batteries hold"))
    count = sheet.value("count")
    needed = sheet.raw("needed")
    if needed is not None and isinstance(count, Constant) and needed > count.value:
        what = f"{needed} units are needed, and there are {count.value:g}"
        view.say(f"{path}.needed", what, "", "raise the count", code="redundancy")
    if sheet.is_written("cable") and not _has_voltage(view, name):
        what, hint = f"the line voltage of {name!r} is not known", "write `voltage` of its source"
        view.say(f"{path}.cable", what, "currents and losses need it", hint, code="voltage")
    if collection == "transformers" and not sheet.has("voltage") and _has_voltage(view, name):
        what = f"transformer {name!r} has no `voltage`"
        why = "its output then has the voltage of its source"
        view.say(path, what, why, "write it", code="voltage", severity="warning")
    if collection == "ups":
        _ups(view, sheet, path, name)
    _efficiency(view, sheet, path)


def _has_voltage(view: _View, name: str) -> bool:
    """Whether a line voltage is declared on the way to a group."""
    seen: set[str] = set()
    while name in view.groups and name not in seen:
        seen.add(name)
        sources = named(view.groups[name][1].from_)
        if not sources or sources[0] not in view.groups:
            return False
        name = sources[0]
        if view.groups[name][1].voltage is not None:
            return True
    return False


def _ups(view: _View, sheet: Sheet, path: str, name: str) -> None:
    if sheet.is_written("storage") and sheet.is_written("autonomy"):
        what, hint = "storage and autonomy both say what the batteries hold", "keep one of them"
        view.say(f"{path}.autonomy", what, "", hint, code="battery")
    elif not sheet.has("storage") and not sheet.has("autonomy"):
        what, hint = f"UPS {name!r} has no batteries", "write `autonomy` or `storage`"
        view.say(path, what, "it bridges nothing", hint, code="battery", severity="warning")
    elif sheet.has("autonomy") and not sheet.has("storage") and not sheet.has("rating"):
        what, why = "'autonomy' needs a `rating`", "it is the time at rated power"
        view.say(f"{path}.autonomy", what, why, code="missing")


def _efficiency(view: _View, sheet: Sheet, path: str) -> None:
    """An efficiency by load by which more load would take less power."""
    points = sheet.raw("efficiency") if sheet.is_written("efficiency") else None
    if not isinstance(points, dict):
        return
    known = [
        (load, value.value) for load, value in sorted(points.items()) if isinstance(value, Constant)
    ]
    for (low, worse), (high, better) in pairwise(known):
        if high / better < low / worse:
            what = f"at {high} % load it would take less power than at {low} %"
            why = f"{high / better:.1f} % of the rating against {low / worse:.1f} %"
            view.say(f"{path}.efficiency.{high}", what, why, "correct one of them", code="energy")


def _cycle(view: _View) -> None:
    sources = {name: named(element.from_) for name, (_, element) in view.groups.items()}
    cycle = find_cycle(sources)
    if cycle:
        what = f"power flows in a circle: {' <- '.join(cycle)}"
        hint = "name in `from` only what stands nearer to the source"
        view.say(f"{view.groups[cycle[0]][0]}.{cycle[0]}.from", what, "", hint, code="cycle")


# The chain under its load -----------------------------------------------------------------


def _loads(view: _View) -> None:
    """Overloads and redundancy of the complete site; nothing if its numbers are known later."""
    from firsttoken.facility.power_compile import compile_power
    from firsttoken.facility.power_loads import compile_loads
    from firsttoken.facility.slots import Slots
    from firsttoken.kernel.parameters import fixed_parameters
    from firsttoken.twin.parameters import ParameterBuilder

    slots = Slots(
        view.twin, view.site, ParameterBuilder(view.twin.start, view.resolve), view.resolve
    )
    try:
        system = compile_power(slots, "unit")
        loads = compile_loads(slots, system, _positions(slots))
        limits = _limits(view, slots)
        values = fixed_parameters(slots.build.tables()[0])
    except TwinError:
        return
    chain = _Chain(system, loads, values, limits)
    chain.watts = [
        _most(slots, group, watts) for group, watts in zip(loads, chain.watts, strict=True)
    ]
    for group, number in chain.without_supply(set()).items():
        collection = next(load.collection for load in loads if load.name == group)
        what = f"{number} of {group!r} have no supply in the normal state"
        hint = "see that the groups in their `from` have units and a source"
        view.say(f"{collection}.{group}.from", what, "", hint, code="no-source")
    _overloads(view, chain)
    _standby(view, chain)
    _redundancy(view, chain)
    _unused(view, loads)


def _most(slots: Slots, group: LoadGroup, watts: float) -> float:
    """What a load takes at the most load that is declared, W."""
    if group.collection != RACKS:
        return watts
    sheet = slots.sheet(RACKS, group.name)
    load, idle = sheet.value("load"), sheet.value("idle")
    if isinstance(idle, Fact):
        idle = slots.resolve(idle, "W")
    if load is None or any(sheet.raw(field) is not None for field in ("draws", "trace", "jobs")):
        return watts
    levels = [level for _, level in load.knots] if isinstance(load, Series) else [load]
    share = max(support(level)[1] for level in levels)
    least = support(idle)[0] if idle is not None else 0.0
    return least + min(share, 1.0) * (watts - least) if share == share else watts


def _positions(slots: Slots) -> dict[str, int]:
    """Racks of groups whose number another room tells: as many as their hall has positions."""
    found: dict[str, int] = {}
    for name, racks in slots.site.racks.items():
        hall = slots.site.halls.get(racks.hall or "")
        told = isinstance(racks.count, ModelPort | Signal)
        if told and hall is not None and hall.positions is not None:
            found[name] = hall.positions
    return found


def _limits(view: _View, slots: Slots) -> dict[str, float]:
    """What utilities let feeds take at most, W, where that is known."""
    found: dict[str, float] = {}
    for name in slots.site.feeds:
        limit = slots.sheet("feeds", name).value("limit")
        if isinstance(limit, Series):
            levels = [level for _, level in limit.knots if isinstance(level, Constant)]
            found[name] = max((level.value for level in levels), default=float("inf"))
        elif isinstance(limit, Constant):
            found[name] = limit.value
    return found


class _Chain:
    """Load of every row in the normal state, or with some groups out, W."""

    def __init__(
        self,
        system: PowerSystem,
        loads: Sequence[LoadGroup],
        values: Floats,
        limits: dict[str, float],
    ) -> None:
        from firsttoken.facility.power_system import field_values, power_values

        self.system, self.loads = system, loads
        self.field = field_values(system, values)
        self.numbers = power_values(system, values)
        self.watts = [group.watts(values) for group in loads]
        self.limits = limits

    def live(self, dead: set[int]) -> list[bool]:
        """Whether each row has supply."""
        grid = self.system.grid
        found: list[bool] = []
        for row in range(len(self.system)):
            sources = self.parents(row)
            fed = grid.kind[row] <= 2 or any(found[source] for source in sources)
            found.append(row not in dead and bool(fed))
        return found

    def parents(self, row: int) -> list[int]:
        """Rows that feed a row."""
        grid = self.system.grid
        found: list[int] = grid.parent[grid.parent_start[row] : grid.parent_start[row + 1]].tolist()
        return found

    def without_supply(self, dead: set[int]) -> dict[str, int]:
        """Loads without a live source, by group."""
        live, found = self.live(dead), dict[str, int]()
        for group in self.loads:
            for unit in range(group.units):
                rows = group.feeds.row[group.feeds.start[unit] : group.feeds.start[unit + 1]]
                if not any(live[row] for row in rows.tolist()):
                    found[group.name] = found.get(group.name, 0) + 1
        return found

    def flow(self, dead: set[int]) -> list[float]:
        """Output of each row, W: losses at that load, sources shared as in `power_flow`."""
        grid, live = self.system.grid, self.live(dead)
        out = [0.0] * len(self.system)
        for group, watts in zip(self.loads, self.watts, strict=True):
            for unit in range(group.units):
                span = slice(group.feeds.start[unit], group.feeds.start[unit + 1])
                pairs = zip(group.feeds.row[span].tolist(), group.feeds.share[span], strict=True)
                _share(out, watts, [(row, float(s)) for row, s in pairs if live[row]], grid.standby)
        capacity = self.numbers.capacity
        for row in range(len(out) - 1, -1, -1):
            if not live[row] or grid.kind[row] <= 2:
                continue
            power = out[row] + self._loss(row, out[row])
            sources = [(source, float(capacity[source])) for source in self.parents(row)]
            usable = [(source, weight) for source, weight in sources if live[source]]
            if grid.prefer[row]:
                normal = [pair for pair in usable if not grid.standby[pair[0]]]
                usable = (normal or usable)[:1]
            if power:
                _share(out, power, usable, grid.standby)
        return out

    def _loss(self, row: int, power: float) -> float:
        numbers, grid = self.numbers, self.system.grid
        lost = numbers.no_load[row] + numbers.slope[row] * power + numbers.square[row] * power**2
        first, last = grid.curve_start[grid.group[row]], grid.curve_start[grid.group[row] + 1]
        if last > first:
            import numpy as np

            load = power / numbers.capacity[row]
            curve = numbers.curve_loss[first:last]
            lost += np.interp(load, grid.curve_load[first:last], curve) * numbers.capacity[row]
        return float(lost) if power or not grid.standby[row] else 0.0


def _share(out: list[float], power: float, sources: list[tuple[int, float]], standby: Any) -> None:
    normal = [pair for pair in sources if not standby[pair[0]]] or sources
    total = sum(weight for _, weight in normal)
    for source, weight in normal:
        out[source] += power * (weight / total if 0.0 < total < float("inf") else 1 / len(normal))


def _groups(chain: _Chain) -> Iterator[tuple[int, str, str, range]]:
    """Index, collection, name and rows of each group."""
    for group, (collection, name) in enumerate(chain.system.groups):
        yield group, collection, name, chain.system.rows(name)


def _overloads(view: _View, chain: _Chain) -> None:
    """Units that carry more than their rating in the normal state, feeds more than they may."""
    out = chain.flow(set())
    for group, collection, name, rows in _groups(chain):
        if not len(rows):
            continue
        worst = max(rows, key=lambda row: out[row])
        capacity = float(chain.numbers.capacity[worst])
        load = out[worst] / capacity
        needed = int(chain.system.needed[group])
        if load > FULL:
            what = f"{name!r} is loaded to {load:.0%} of its rating"
            why = f"{out[worst] / 1e6:.3g} MW at the most load declared, {capacity / 1e6:.3g} MW"
            hint = "more units, or larger ones"
            view.say(f"{collection}.{name}", what, why, hint, code="rating", severity="warning")
        elif needed and sum(out[row] for row in rows) > FULL * needed * capacity:
            share = sum(out[row] for row in rows) / (needed * capacity)
            what = f"{needed} units of {name!r} cannot carry the load: {share:.0%} of their rating"
            why = f"`needed: {needed}` says that the other {len(rows) - needed} are redundant"
            view.say(
                f"{collection}.{name}.needed", what, why, code="redundancy", severity="warning"
            )
        _breaker(view, chain, group, f"{collection}.{name}", load)
        limit = chain.limits.get(name, float("inf"))
        total = sum(out[row] for row in rows)
        if collection == "feeds" and total > FULL * limit:
            what = f"the site takes {total / 1e6:.4g} MW from {name!r} at its most load"
            why = f"its limit is {limit / 1e6:.4g} MW"
            view.say(f"feeds.{name}.limit", what, why, code="rating", severity="warning")


def _breaker(view: _View, chain: _Chain, group: int, path: str, load: float) -> None:
    """Breakers that trip in the normal state, or at once before they trip in time."""
    limit = float(chain.field["breaker.limit"][group])
    instant = float(chain.field["breaker.instant"][group])
    if FULL * limit < load <= FULL:
        what = f"its breaker trips in the normal state, at {load:.0%} of the rating"
        why = f"it carries {limit:.0%} of the rating for ever"
        view.say(f"{path}.breaker", what, why, "raise its limit", code="breaker")
    if instant <= limit < float("inf"):
        what = f"trips at once at {instant:g} times the rating"
        why = f"it should carry {limit:g} times the rating for ever"
        view.say(f"{path}.breaker.instant", what, why, "raise it", code="breaker")


def _standby(view: _View, chain: _Chain) -> None:
    """Standby generators that cannot carry what is left to them when all feeds fail."""
    system = chain.system
    feeds = {row for row in range(len(system)) if system.grid.kind[row] <= 1}
    if not any(kind == 2 for kind in system.grid.kind.tolist()):
        return
    out = chain.flow(feeds)
    for _, collection, name, rows in _groups(chain):
        if collection != "generators" or not len(rows):
            continue
        worst = max(rows, key=lambda row: out[row])
        load = out[worst] / float(chain.numbers.capacity[worst])
        if load > FULL:
            what = f"generators {name!r} would run at {load:.0%} of their rating"
            why = "they carry the site's load when the feeds fail"
            hint = "more units, or larger ones"
            view.say(f"generators.{name}", what, why, hint, code="rating", severity="warning")


def _redundancy(view: _View, chain: _Chain) -> None:
    """Groups of which `needed` says that a unit may fail, and loads that hang on one unit."""
    for group, collection, name, rows in _groups(chain):
        needed = int(chain.system.needed[group])
        if not needed or needed >= len(rows):
            continue
        lost = chain.without_supply({rows[0]})
        if lost:
            what = f"{needed} of {len(rows)} units of {name!r} are needed, but each alone feeds"
            listed = ", ".join(f"{number} of {key!r}" for key, number in lost.items())
            why = f"without one, {listed} have no supply"
            hint = "let what they feed have several of them as sources, or leave out `needed`"
            path = f"{collection}.{name}.needed"
            view.say(path, what, why, hint, code="redundancy", severity="warning")


def _unused(view: _View, loads: Sequence[LoadGroup]) -> None:
    """Groups that no `from` names."""
    used = {source for _, element in view.groups.values() for source in named(element.from_)}
    site: Any = view.twin.rooms["facility"][view.site]
    for load in loads:
        used |= set(named(getattr(site, load.collection)[load.name].from_))
    for name, (collection, _) in view.groups.items():
        if name not in used and collection != "batteries":
            what, why = f"{name!r} feeds nothing", "no `from` names it"
            view.say(f"{collection}.{name}", what, why, code="unused", severity="warning")
