"""Checks of a line: what a step needs can ever be there at once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from firsttoken.line import model
from firsttoken.line.check_view import Keys, View
from firsttoken.line.compile_routes import Visit
from firsttoken.twin.calendars import Shift, Span, open_spans, parse_shift
from firsttoken.twin.units import DIMENSIONLESS, Unit, parse_unit
from firsttoken.twin.values import Constant, Distribution, Series, Value

MOST_NEEDS = 8
"""Pools and budgets that one operation can need (`state.MOST_NEEDS`)."""

_MONDAY = 4 * 86400.0
"""1970-01-05, a Monday, in seconds from 1970-01-01."""
_WEEK = 7 * 86400.0
_COMBINATIONS = 4096


def check_capacity(view: View) -> None:
    """Report stations, pools, budgets and batches that can never do what is asked of them."""
    for name, visits in view.visits.items():
        if visits and view.range(view.line.stations[name].servers, "each")[1] < 1:
            keys = ("stations", name, "servers")
            view.add(keys, f"{name!r} never has a server", "steps wait there", code="capacity")
        for visit in visits:
            _crew_of(view, visit)
            _draws_of(view, visit)
            _batch_of(view, visit)
        _families(view, visits)
        station = view.line.stations[name]
        for collection in ("failures", "maintenance"):
            for label, care in getattr(station, collection).items():
                _crew(view, ("stations", name, collection, label, "crew"), care.crew, None)


# Crews ------------------------------------------------------------------------------------


def _crew_of(view: View, visit: Visit) -> None:
    _, owner, crew = visit.work("crew")
    _, drawer, draws = visit.work("draws")
    if len(crew or {}) + len(draws or {}) > MOST_NEEDS:
        keys = (*(owner if crew else drawer), "crew" if crew else "draws")
        what = f"the step needs more than {MOST_NEEDS} pools and budgets at once"
        view.add(keys, what, hint="join some into one pool", code="needs")
    if crew:
        _crew(view, (*owner, "crew"), crew, visit.station)


def _crew(view: View, keys: Keys, crew: Mapping[str, Value], station: model.Station | None) -> None:
    """Each need is met by one pool; a pool that meets several must have enough for all."""
    needs = {name: view.range(amount, "each")[0] for name, amount in crew.items()}
    sizes = {name: view.range(p.count, "each")[1] for name, p in view.line.pools.items()}
    for name, amount in needs.items():
        most = max((sizes[pool] for pool in view.holders(name)), default=0.0)
        if amount > most:
            what = f"{amount:g} of {name!r} are needed, there are never more than {most:g}"
            view.add((*keys, name), what, hint="add to the pool, or need less", code="capacity")
            return
    choices = [view.holders(name) for name in needs]
    if _too_many(choices):
        return
    if not any(_fits(choice, needs, sizes) for choice in itertools.product(*choices)):
        what = f"the pools are too small for {', '.join(needs)} together"
        why = "one pool has to serve several of them"
        view.add(keys, what, why, "add to the pools, or need less", code="capacity")
    elif not _fits_in_order(choices, needs, sizes):
        order = sorted(needs, key=lambda name: len(view.holders(name)))
        what = f"the needs {', '.join(needs)} are never met in this order"
        why = "each takes the first pool that can serve it, and leaves too little for the next"
        hint = f"name those first whom fewer can serve: {', '.join(order)}"
        view.add(keys, what, why, hint, code="capacity")
    elif station is not None:
        _meeting(view, keys, station, choices)


def _too_many(choices: Sequence[Sequence[str]]) -> bool:
    total = 1
    for pools in choices:
        total *= len(pools)
    return total > _COMBINATIONS


def _fits(choice: Sequence[str], needs: Mapping[str, float], sizes: Mapping[str, float]) -> bool:
    used: dict[str, float] = {}
    for pool, amount in zip(choice, needs.values(), strict=True):
        used[pool] = used.get(pool, 0.0) + amount
    return not any(amount > sizes[pool] for pool, amount in used.items())


def _fits_in_order(
    choices: Sequence[Sequence[str]], needs: Mapping[str, float], sizes: Mapping[str, float]
) -> bool:
    """Whether the pools suffice if each need takes the first that has enough, as engines do."""
    left = dict(sizes)
    for pools, amount in zip(choices, needs.values(), strict=True):
        pool = next((pool for pool in pools if not amount > left[pool]), None)
        if pool is None:
            return False
        left[pool] -= amount
    return True


def _meeting(
    view: View, keys: Keys, station: model.Station, choices: Sequence[Sequence[str]]
) -> None:
    """Station and crew must at some time of the week be at work together."""
    spans = open_week(view, station.available)
    for pools in choices:
        shifts = [open_week(view, view.line.pools[pool].available) for pool in pools]
        spans = [
            (max(a, c), min(b, d))
            for a, b in spans
            for c, d in (span for pool in shifts for span in pool)
            if max(a, c) < min(b, d)
        ]
    if not spans:
        what = "the station and its crew never work at the same time"
        view.add(keys, what, hint="compare their calendars", code="calendar")


def open_week(view: View, calendar: str | None) -> list[Span]:
    """Working times of one week."""
    if calendar is None:
        return [(0.0, _WEEK)]
    shifts: list[Shift] = [parse_shift(text) for text in view.line.calendars[calendar].shifts]
    return open_spans(shifts, (), _MONDAY, _MONDAY + _WEEK)


# Budgets ----------------------------------------------------------------------------------


def check_units(view: View) -> None:
    """Report budgets in units that no budget has, and draws in another unit than the budget's."""
    for name, level in view.line.budgets.items():
        unit = unit_of(view, level)
        if unit is not None and _size(unit) is None:
            view.add(
                ("budgets", name),
                f"{unit.text} is no unit of a budget",
                hint="write a power (kW), a flow (L/min) or a count",
                code="unit-dimension",
            )
    owners: list[tuple[Keys, model.Work]] = [
        (("stations", name), station) for name, station in view.line.stations.items()
    ]
    for name, product in view.line.products.items():
        for position, step in enumerate(product.route or ()):
            owners.append((("products", name, "route", str(position)), step))
    for keys, work in owners:
        for budget, amount in (work.draws or {}).items():
            if budget in view.line.budgets:
                _draw_unit(view, (*keys, "draws", budget), budget, amount)


def _draw_unit(view: View, keys: Keys, budget: str, amount: Value) -> None:
    have, want = unit_of(view, amount), unit_of(view, view.line.budgets[budget])
    if have is None or want is None or _size(want) is None or _size(have) == _size(want):
        return
    what = f"{have.text or 'a number'} does not measure budget {budget!r}"
    why, hint = f"it is given in {want.text or 'numbers'}", f"write it in {want.text or 'numbers'}"
    view.add(keys, what, why, hint, code="unit-dimension")


def unit_of(view: View, value: Value) -> Unit | None:
    """Unit of a value as its writer gave it; None if it is not known."""
    found = view.known(value, model.BUDGET_UNITS)
    if isinstance(found, Series) and not found.unit.text:
        found = view.known(found.knots[0][1], model.BUDGET_UNITS)
    return found.unit if isinstance(found, Constant | Distribution | Series) else None


def _size(unit: Unit) -> str | None:
    """What a budget's unit measures: its SI unit; None if no budget is measured in it."""
    if unit.dimension == DIMENSIONLESS.dimension:
        return "each"
    return next(
        (si for si in model.BUDGET_UNITS if parse_unit(si).dimension == unit.dimension), None
    )


def _draws_of(view: View, visit: Visit) -> None:
    _, owner, draws = visit.work("draws")
    for budget, amount in (draws or {}).items():
        level = view.line.budgets[budget]
        low, high = view.range(amount, *model.BUDGET_UNITS)
        smallest, most = view.range(level, *model.BUDGET_UNITS)
        unit = unit_of(view, amount)
        if unit is None:
            continue
        keys = (*owner, "draws", budget)
        if low > most:
            what = f"one draw of {low / unit.factor:g} {unit.text} is more than all of {budget!r}"
            why = f"it has at most {most / unit.factor:g} {unit.text}"
            view.add(keys, what, why, "raise the budget", code="capacity")
        elif smallest < high < float("inf") and high > most:
            what = f"a draw may be {high / unit.factor:g} {unit.text}, more than all of {budget!r}"
            why = f"with {most / unit.factor:g} {unit.text} such work never starts"
            view.add(keys, what, why, "raise the budget", code="capacity", severity="warning")


# Batches ----------------------------------------------------------------------------------


def _batch_of(view: View, visit: Visit) -> None:
    batch: model.Batch | None
    _, owner, batch = visit.work("batch")
    if batch is None:
        return
    keys, product = (*owner, "batch"), visit.product
    pieces = view.line.products[product].pieces
    if batch.minimum > batch.maximum:
        what = f"minimum {batch.minimum} is more than maximum {batch.maximum}"
        view.add((*keys, "minimum"), what, "no load ever starts", "swap them?", code="batch")
    elif batch.maximum < pieces:
        what = f"a lot of {product!r} has {pieces} pieces, at most {batch.maximum} fit"
        hint = "raise the maximum, or make the lots smaller"
        view.add((*keys, "maximum"), what, "no load ever starts", hint, code="batch")
    elif batch.wait is None and batch.maximum // pieces * pieces < batch.minimum:
        if not batch.family:
            what = f"lots of {pieces} pieces fill a load to {batch.maximum // pieces * pieces}"
            why = f"it does not start with fewer than {batch.minimum}"
            view.add((*keys, "minimum"), what, why, "lower the minimum", code="batch")
    else:
        _gathering(view, visit, keys, batch)
    for field in ("consumes", "holds"):
        given = visit.work(field)[2] if field == "consumes" else visit.step.holds
        if given:
            what = f"a batch step cannot have {field!r}"
            why = "it is said of one lot, and a load has several"
            view.add(visit.keys, what, why, "do it at a step of its own", code="batch")


def _gathering(view: View, visit: Visit, keys: Keys, batch: model.Batch) -> None:
    """A load without a limit on its wait needs lots enough in the line and in the buffer."""
    if batch.wait is not None:
        return
    sharing = [
        other
        for other in view.visits[visit.step.station]
        if other == visit or (batch.family and _family(other) == batch.family)
    ]
    biggest = max(view.line.products[other.product].pieces for other in sharing)
    buffer, servers = visit.station.buffer, view.range(visit.station.servers, "each")[1]
    if buffer is not None and (buffer + servers) * biggest < batch.minimum:
        what = f"a load of {batch.minimum} pieces never gathers in a buffer of {buffer} lots"
        hint = "enlarge the buffer, lower the minimum, or give a `wait`"
        view.add((*keys, "minimum"), what, "the step waits for ever", hint, code="batch")
        return
    pieces = [in_line(view, other.product) for other in {v.product: v for v in sharing}.values()]
    if sum(pieces) < batch.minimum:
        what = f"a load of {batch.minimum} pieces never gathers"
        why = f"at most {sum(pieces):g} pieces are in the line at a time"
        hint = "raise `wip`, lower the minimum, or give a `wait`"
        view.add((*keys, "minimum"), what, why, hint, code="batch")


def _family(visit: Visit) -> str:
    batch: model.Batch | None = visit.work("batch")[2]
    return "" if batch is None else batch.family


def in_line(view: View, product: str) -> float:
    """Most pieces of a product that can be in the line at a time; infinite without CONWIP."""
    declared, lots = view.line.products[product], 0.0
    for release in declared.releases.values():
        if release.wip is None:
            return float("inf")
        most = view.range(release.wip, "each")[1]
        if most != most:
            return float("inf")
        # It releases while fewer are there, and then whole releases.
        lots += max(most + release.lots - 1, 0.0)
    lots += sum(w.lots for w in view.line.wip if w.product == product)
    lots += sum(o.lots for o in view.line.orders.values() if o.product == product)
    return float("inf") if product in view.produced else lots * declared.pieces


def _families(view: View, visits: Sequence[Visit]) -> None:
    """Steps of one batch family have one size of load."""
    known: dict[tuple[str, str], tuple[Visit, model.Batch]] = {}
    for visit in visits:
        batch: model.Batch | None
        _, owner, batch = visit.work("batch")
        if batch is None or not batch.family:
            continue
        key = (visit.work("setup")[2] or "", batch.family)
        first, other = known.setdefault(key, (visit, batch))
        if batch != other:
            view.add(
                (*owner, "batch"),
                f"batch family {batch.family!r} has other bounds here",
                f"than at {first.product}.{first.name}",
                "give the same minimum, maximum and wait, or another family",
                code="batch",
            )
