"""Checks of a line: every field that is given is read, and every value is of a kind that fits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from firsttoken.line import model
from firsttoken.line.check_view import Keys, View
from firsttoken.line.compile_routes import RESTART_WORD, Visit
from firsttoken.twin.schema import slots
from firsttoken.twin.units import DIMENSIONLESS, parse_unit
from firsttoken.twin.values import Constant, Distribution, Series, Value

MOST_SERVERS = 1_000_000
"""Servers that a station may have (`compile_slots`)."""

_PARTNERS = {
    # field: (fields of which one must be given too, what is said if none is)
    "per": (("time",), "there is no `time` that it could count for"),
    "interval_per": (("interval",), "there is no `interval` that it could count for"),
    "fail_after": (("pass_",), "the step has no `pass`, so nothing fails"),
    "on_fail": (("pass_", "inspect"), "the step has neither `pass` nor `inspect`"),
    "attempts": (("pass_", "inspect"), "the step has neither `pass` nor `inspect`"),
    "repair": (("pass_", "inspect"), "the step has neither `pass` nor `inspect`"),
}


def check_fields(view: View) -> None:
    """Report fields that nothing reads, and values of a kind that their slots cannot use."""
    for visits in view.visits.values():
        for visit in visits:
            _visit(view, visit)
    for name, station in view.line.stations.items():
        _station(view, name, station)
    _declared(view)
    _levels(view)
    _counts(view)


def _unused(view: View, keys: Keys, why: str, hint: str = "") -> None:
    name = keys[-1]
    hint = hint or f"remove `{name}`, or give what it needs"
    view.add(keys, f"nothing reads {name!r} here", why, hint, code="unused-field")


# Work -------------------------------------------------------------------------------------


def _visit(view: View, visit: Visit) -> None:
    """What a step says itself must matter there."""
    for name, (partners, why) in _PARTNERS.items():
        own = getattr(visit.step, name) is not None
        if own and all(visit.work(partner)[2] is None for partner in partners):
            _unused(view, (*visit.keys, name), why)
    _repair(view, visit)
    _pieces(view, visit)
    given = ("time", "tasks", "load", "unload")
    if all(visit.work(name)[2] is None for name in given):
        view.add(
            visit.keys,
            f"nobody says how long {visit.name!r} takes",
            "it takes no time",
            "give a time at the step or at its station, '0 s' if it takes none",
            code="no-time",
            severity="warning",
        )
    inspection: model.Inspection | None
    _, keys, inspection = visit.work("inspect")
    if inspection is not None and view.range(inspection.false_call) == (0.0, 0.0):
        route = view.routes[visit.product]
        if all(other.work("defects")[2] is None for other in route):
            view.add(
                (*keys, "inspect"),
                "the inspection has nothing to find",
                f"no step of {visit.product!r} has `defects`, and there is no `false_call`",
                "give the steps that can go wrong unseen `defects`",
                code="unused-field",
                severity="warning",
            )


def _repair(view: View, visit: Visit) -> None:
    _, keys, repair = visit.work("repair")
    target = visit.work("on_fail")[2]
    if repair is not None and target not in (None, RESTART_WORD):
        why = f"after a failure the lot leaves the server: on_fail is {target!r}"
        _unused(view, (*keys, "repair"), why, "make the repair a step, or `on_fail: restart`")


def _pieces(view: View, visit: Visit) -> None:
    """`per: piece` where a load never has more than one."""
    if view.line.products[visit.product].pieces > 1 or visit.work("batch")[2] is not None:
        return
    for name in ("per", "interval_per"):
        if getattr(visit.step, name) == "piece":
            view.add(
                (*visit.keys, name),
                f"{name!r} has no effect",
                f"lots of {visit.product!r} have one piece",
                f"give the product `pieces`, or remove {name!r}",
                code="no-effect",
                severity="warning",
            )


def _station(view: View, name: str, station: model.Station) -> None:
    """What a station says must matter at one of its steps."""
    keys, visits = ("stations", name), view.visits[name]
    for field, (partners, why) in _PARTNERS.items():
        if getattr(station, field) is not None and visits:
            needed = [v for v in visits if getattr(v.step, field) is None]
            if not any(v.work(partner)[2] is not None for v in needed for partner in partners):
                why = why if needed else "every step there has its own"
                _unused(view, (*keys, field), why)
    if not visits:
        view.add(
            keys,
            f"station {name!r} is in no route",
            hint="let a step visit it, or remove it",
            code="unused",
            severity="warning",
        )
    if station.available is None and station.shift_end == "pause":
        _unused(view, (*keys, "shift_end"), "the station has no calendar: no shift ever ends")
    for label, work in station.maintenance.items():
        _maintenance(view, (*keys, "maintenance", label), work)


def _maintenance(view: View, keys: Keys, work: model.Maintenance) -> None:
    ways = ("every", "every_pieces", "every_loads")
    given = [way for way in ways if getattr(work, way) is not None]
    if len(given) != 1:
        what = "has no interval" if not given else f"has {len(given)} intervals"
        hint = f"give one of {', '.join(ways)}"
        view.add(keys, f"maintenance {keys[-1]!r} {what}", "", hint, code="maintenance")
        return
    for first, way in (("first", "every"), ("first_pieces", "every_pieces")):
        if getattr(work, first) is not None and given != [way]:
            _unused(view, (*keys, first), f"it goes with `{way}`")


# Collections ------------------------------------------------------------------------------


def _declared(view: View) -> None:
    """What is declared is used somewhere."""
    line = view.line
    crews, budgets, calendars = set[str](), set[str](), set[str]()
    for part in _works(line):
        crews |= set(part.crew or {})
        budgets |= set(part.draws or {})
    for station in line.stations.values():
        for failure in station.failures.values():
            crews |= set(failure.crew)
        for care in station.maintenance.values():
            crews |= set(care.crew)
    holds = {pool for route in view.routes.values() for v in route for pool in v.step.holds}
    named = [station.available for station in line.stations.values()]
    named += [pool.available for pool in line.pools.values()]
    calendars |= {name for name in named if name is not None}
    for name, pool in line.pools.items():
        if name not in holds and not crews & {name, *pool.skills}:
            _idle(view, ("pools", name), "nothing needs or holds it")
    for name in line.budgets:
        if name not in budgets:
            _idle(view, ("budgets", name), "nothing draws on it")
    for name in line.calendars:
        if name not in calendars:
            _idle(view, ("calendars", name), "no station or pool works by it")


def _idle(view: View, keys: Keys, why: str) -> None:
    kind, name = keys
    view.add(
        keys,
        f"{kind.rstrip('s')} {name!r} is never used",
        why,
        "use it, or remove it",
        code="unused",
        severity="warning",
    )


def _works(line: model.Line) -> Iterator[model.Work]:
    yield from line.stations.values()
    for product in line.products.values():
        yield from product.route or ()


# Values -----------------------------------------------------------------------------------


def _levels(view: View) -> None:
    """Amounts that hold at any time are drawn once, and servers can be counted."""
    line = view.line
    levels: list[tuple[Keys, Value]] = [(("budgets", n), v) for n, v in line.budgets.items()]
    levels += [(("pools", name, "count"), pool.count) for name, pool in line.pools.items()]
    servers = [(("stations", n, "servers"), s.servers) for n, s in line.stations.items()]
    for name, product in line.products.items():
        for label, release in product.releases.items():
            for way in ("wip", "stock", "backlog"):
                value = getattr(release, way)
                if value is not None:
                    levels.append((("products", name, "releases", label, way), value))
    for keys, value in (*levels, *servers):
        if isinstance(value, Distribution) and value.drawn == "each period":
            what, hint = "this amount is drawn once a replication", "leave out 'each period'"
            view.add(keys, what, "it holds until a date changes it", hint, code="drawn")
    for keys, value in servers:
        most = view.range(value, "each")[1]
        if most > MOST_SERVERS:
            bound = f"may be {most:g}" if math.isfinite(most) else "has no upper bound"
            what, why = f"the number of servers {bound}", "each server is followed by itself"
            hint = "use uniform, triangular or discrete"
            view.add(keys, what, why, hint, code="servers")
        for part in _parts(value):
            if isinstance(part, Constant) and part.value != int(part.value):
                what = f"{part.value:g} is not a whole number of servers"
                view.add(keys, what, hint="round it, or give the others a calendar", code="servers")


def _parts(value: Value) -> list[Value]:
    return [level for _, level in value.knots] if isinstance(value, Series) else [value]


def _counts(view: View) -> None:
    """What is counted is not weighed: lots, pieces, people and servers have no other unit."""
    count = parse_unit("each").dimension
    for path, quantity, value in slots(view.line):
        if quantity.unit != "each" or not isinstance(value, Constant | Distribution | Series):
            continue
        if value.unit.dimension not in (count, DIMENSIONLESS.dimension):
            view.add(
                view.keys(path),
                f"{value.unit.text} does not count anything",
                "it is a number of pieces, people or servers",
                "give a plain number",
                code="unit-dimension",
            )
