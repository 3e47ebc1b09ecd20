"""Checks of a line: lots start, components come from somewhere, and dates are in order."""

from __future__ import annotations

import math

from firsttoken.line import model
from firsttoken.line.check_view import Keys, View
from firsttoken.line.disrupt import problem
from firsttoken.twin.calendars import parse_shift
from firsttoken.twin.dates import DAY, iso
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.scenario import Slip
from firsttoken.twin.twin import split_path
from firsttoken.twin.values import Constant, Value

WAYS = ("every", "wip", "stock", "backlog")
"""Ways in which a release starts lots."""


# Releases ---------------------------------------------------------------------------------


def check_releases(view: View) -> None:
    """Report releases that start no lots or do not say how, and times beyond the twin's."""
    for name, product in view.line.products.items():
        for label, release in product.releases.items():
            _release(view, ("products", name, "releases", label), release)
    span = view.twin.end - view.twin.start
    warmup = view.range(view.line.warmup, "s")[0]
    if warmup >= span:
        what, why = "the warm-up takes all of the twin's time", "nothing is left for statistics"
        hint = f"the twin lasts {span / DAY:g} day"
        view.add(("warmup",), what, why, hint, code="warmup")


def _release(view: View, keys: Keys, release: model.Release) -> None:
    given = [way for way in WAYS if getattr(release, way) is not None]
    if len(given) != 1:
        what = "does not say how lots start" if not given else f"has {' and '.join(given)}"
        hint = f"give one of {', '.join(WAYS)}"
        view.add(keys, f"release {keys[-1]!r} {what}", "", hint, code="release")
    for way in given:
        if way != "every" and view.range(getattr(release, way), "each")[1] < 1:
            what, why = f"{way!r} is never 1 or more", "no lot is ever released"
            view.add((*keys, way), what, why, code="release")
    if release.limit == 0:
        view.add((*keys, "limit"), "no lot is ever released", "the limit is 0", code="release")
    start, end = view.twin.start, view.twin.end
    first = view.range(release.first, "s")[0]
    if start + first >= end:
        what, why = "the first release comes after the twin's end", f"that is {iso(end)}"
        view.add((*keys, "first"), what, why, code="date")
    until = view.range(release.until, "date")[1]
    if until <= start + (0.0 if math.isnan(first) else first):
        what, why = "the last release comes before the first", f"the twin starts on {iso(start)}"
        view.add((*keys, "until"), what, why, "give a later day", code="date-order")


# Products ---------------------------------------------------------------------------------


def check_products(view: View) -> None:
    """Report products of which no lot starts, and components that come from nowhere."""
    for collection in ("stations", "products"):
        if not getattr(view.line, collection):
            what = f"the line has no {collection}"
            view.add((collection,), what, "nothing happens in it", code="empty-line")
    for name, product in view.line.products.items():
        keys = ("products", name)
        _source(view, keys, name, product)
        if not view.routes[name] and name in view.started:
            what, why = f"lots of {name!r} have nothing to do", "the route has no step"
            view.add((*keys, "route"), what, why, "give it steps", code="empty-route")
        if name not in view.consumed:
            _unconsumed(view, keys, product)
    for route in view.routes.values():
        for visit in route:
            _, owner, amounts = visit.work("produces")
            for made, amount in (amounts or {}).items():
                _whole_lots(view, (*owner, "produces", made), made, amount)
    _bill(view)


def _source(view: View, keys: Keys, name: str, product: model.Product) -> None:
    stock = view.range(product.stock, "each")[1]
    if product.supplied:
        if name in view.started:
            what, why = f"{name!r} is bought in, yet lots of it start", "it is never short"
            hint = "remove `supplied`, or its releases, orders and wip"
            view.add((*keys, "supplied"), what, why, hint, code="supplied")
        elif product.route:
            why = f"{name!r} is bought in and no lot of it starts"
            hint = "remove the route or `supplied`"
            view.add((*keys, "route"), "nothing reads the route", why, hint, code="unused-field")
    elif name not in view.started | view.produced and not stock > 0:
        if name in view.consumed:
            user = next(
                visit
                for route in view.routes.values()
                for visit in route
                if name in (visit.work("consumes")[2] or {})
            )
            what = f"{user.product}.{user.name} consumes {name!r}, which comes from nowhere"
            hint = "release it, give it `stock`, or say `supplied: true`"
            view.add(keys, what, "", hint, code="no-source")
        else:
            hint = "give it `releases` or an order, or remove it"
            view.add(keys, f"nothing releases {name!r}", "", hint, code="no-source")


def _unconsumed(view: View, keys: Keys, product: model.Product) -> None:
    why = f"no step consumes {keys[-1]!r}"
    for field, given in (
        ("stock", view.range(product.stock, "each")[1] > 0),
        ("supplied", product.supplied),
    ):
        if given:
            what, hint = f"nothing reads {field!r} here", "let a step consume it, or remove it"
            view.add((*keys, field), what, why, hint, code="unused-field")
    for label, release in product.releases.items():
        if release.stock is not None:
            what, hint = "a kanban release needs a stock that somebody takes from", "write `wip`"
            view.add((*keys, "releases", label, "stock"), what, why, hint, code="release")


def _whole_lots(view: View, keys: Keys, product: str, amount: Value) -> None:
    """What disassembly makes and has a route of its own goes there in whole lots."""
    pieces = view.line.products[product].pieces
    if view.routes[product] and isinstance(amount, Constant) and amount.value % pieces:
        what = f"{amount.value:g} pieces of {product!r} are no whole lots"
        why = f"a lot of it has {pieces}"
        view.add(keys, what, why, "give the product `pieces: 1`", code="pieces")


def _bill(view: View) -> None:
    """Report products that are, in the end, made of themselves."""
    needs: dict[str, list[str]] = {
        name: [part for visit in route for part in visit.work("consumes")[2] or {}]
        for name, route in view.routes.items()
    }
    outside = set(view.produced) | {lots.product for lots in view.line.wip}
    for name, product in view.line.products.items():
        if product.supplied or view.range(product.stock, "each")[1] > 0:
            outside.add(name)
    made = set(outside)
    while True:
        more = {name for name, parts in needs.items() if name not in made and made >= set(parts)}
        if not more:
            break
        made |= more
    lacking = [name for name in needs if name not in made and name in view.started]
    if not lacking:
        return
    path = [lacking[0]]
    while True:
        part = next(part for part in needs[path[-1]] if part not in made)
        if part in path:
            break
        path.append(part)
    cycle = [*path[path.index(part) :], part]
    view.add(
        ("products", cycle[0]),
        f"the bill of materials has a cycle: {' -> '.join(cycle)}",
        "none of them can ever be made first",
        "give one of them `stock`, or break the cycle",
        code="bom-cycle",
    )


# Dates ------------------------------------------------------------------------------------


def check_dates(view: View) -> None:
    """Report orders and lots whose dates are out of order, or outside of the twin's time."""
    start, end = view.twin.start, view.twin.end
    for name, order in view.line.orders.items():
        keys = ("orders", name)
        release, due = view.range(order.release, "date"), view.range(order.due, "date")
        if order.release is not None and due[1] <= release[0]:
            what, hint = "it is due before its release", "reverse the dates"
            view.add((*keys, "due"), what, iso(due[1]), hint, code="date-order")
        elif due[1] <= start:
            what = "it is due before the twin starts"
            view.add((*keys, "due"), what, "it is late", code="date", severity="warning")
        if release[0] >= end:
            what = "it is released after the twin's end"
            hint = "lengthen the horizon or drop the order"
            view.add((*keys, "release"), what, iso(end), hint, code="date")
        elif due[0] >= end:
            what = "it is due after the twin's end"
            hint = "lengthen the horizon or drop the order"
            view.add((*keys, "due"), what, iso(end), hint, code="date", severity="warning")
    for position, lots in enumerate(view.line.wip):
        keys = ("wip", str(position))
        due, released = view.range(lots.due, "date"), view.range(lots.released, "date")
        if released[0] > start:
            what = "lots that are in the line at the start are released later"
            why = f"the twin starts on {iso(start)}"
            view.add((*keys, "released"), what, why, "write an order or a release", code="date")
        elif lots.due is not None and lots.released is not None and due[1] <= released[0]:
            what, hint = "they are due before their release", "reverse the dates"
            view.add((*keys, "due"), what, iso(due[1]), hint, code="date-order")
    _fitting(view)


def _fitting(view: View) -> None:
    """Lots in the line at the start have a place there."""
    waiting: dict[str, int] = {}
    stations = {visit.key: visit.step.station for r in view.routes.values() for visit in r}
    for position, lots in enumerate(view.line.wip):
        name = stations.get((lots.product, lots.step))
        if name is None:
            continue
        station = view.line.stations[name]
        waiting[name] = waiting.get(name, 0) + lots.lots
        places = (station.buffer or 0) + view.range(station.servers, "each")[1]
        if station.buffer is not None and waiting[name] > places:
            what = f"{waiting[name]} lots are at {name!r} at the start"
            why = f"its buffer and servers have {places:g} places"
            hint = "put some at another step, or enlarge the buffer"
            view.add(("wip", str(position)), what, why, hint, code="places", severity="warning")


def check_calendars(view: View) -> None:
    """Report shifts that cannot be read, and calendars on which nobody ever works."""
    for name, calendar in view.line.calendars.items():
        keys = ("calendars", name)
        for position, text in enumerate(calendar.shifts):
            try:
                parse_shift(text)
            except ValueSyntaxError as error:
                where = (*keys, "shifts", str(position))
                view.add(where, str(error), "", error.hint, code="shift")
        if not calendar.shifts:
            what, hint = f"on calendar {name!r} nobody ever works", "give it shifts"
            view.add((*keys, "shifts"), what, "", hint, code="shift")
        for position, day in enumerate(calendar.closed):
            low, high = view.range(day, "date")
            if low != high and not math.isnan(low):
                what, hint = "a day off must be a certain date", "write one date"
                view.add((*keys, "closed", str(position)), what, "", hint, code="date")


def check_disruptions(view: View) -> None:
    """Report disruptions of the line that do nothing."""
    for disruption in view.twin.disruptions:
        keys = split_path(view.twin.data, disruption.path)
        if keys[:2] == ("line", view.name):
            wrong = problem(view.line, disruption, keys[2:])
            if not wrong and isinstance(disruption, Slip) and disruption.start is not None:
                low, high = view.range(disruption.start, "date")
                wrong = "" if low == high else "'from' of a slip must be a certain date"
            if wrong:
                what = f"{disruption.kind!r} cannot act on {disruption.path}"
                view.add(keys[2:], what, wrong, code="disruption")
