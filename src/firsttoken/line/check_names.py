"""Checks of a line: every name that is used is declared, and no name stands for two things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from firsttoken.line import model
from firsttoken.line.check_view import Keys, View
from firsttoken.line.compile_routes import (
    COUNT_WORD,
    RESTART_WORD,
    SCRAP_WORD,
    SHIP_WORD,
    Visit,
)
from firsttoken.twin.slots import nearest
from firsttoken.twin.values import Value

WORDS = (SHIP_WORD, SCRAP_WORD, RESTART_WORD, COUNT_WORD)


def check_names(view: View) -> None:
    """Report names that are not declared, are reserved, or stand twice."""
    line = view.line
    for name in line.budgets:
        if name in line.pools:
            view.add(
                ("budgets", name),
                f"the name {name!r} is taken by a pool",
                "pools and budgets share one list of names in results",
                "rename one",
                code="duplicate-name",
            )
    for name, station in line.stations.items():
        _station(view, name, station)
    for name, product in line.products.items():
        for position, step in enumerate(product.route or ()):
            keys = ("products", name, "route", str(position))
            view.unknown((*keys, "station"), "station", step.station, line.stations)
            _work(view, keys, step)
        _steps(view, name, view.names[name] if product.route else ())
    for product_name, route in view.routes.items():
        names = view.names[product_name]
        for visit in route:
            _targets(view, visit, names)
    for name, pool in line.pools.items():
        if pool.available is not None:
            view.unknown(("pools", name, "available"), "calendar", pool.available, line.calendars)
    _lots(view)


def _station(view: View, name: str, station: model.Station) -> None:
    keys = ("stations", name)
    if station.available is not None:
        view.unknown((*keys, "available"), "calendar", station.available, view.line.calendars)
    _work(view, keys, station)
    for collection in ("failures", "maintenance"):
        for label, part in getattr(station, collection).items():
            _crew(view, (*keys, collection, label, "crew"), part.crew)
    used = {visit.work("setup")[2] for visit in view.visits[name]}
    setups = sorted(setup for setup in used if setup)
    seen: set[tuple[str | None, str]] = set()
    for position, setup in enumerate(station.setups):
        here = (*keys, "setups", str(position))
        for key, word in (("from", setup.from_), ("to", setup.to)):
            if word is not None and word not in setups:
                _setup(view, (*here, key), name, word, setups)
        if (setup.from_, setup.to) in seen:
            what = f"the change from {setup.from_ or 'any'} to {setup.to} stands twice"
            view.add(here, what, hint="remove one", code="duplicate-name")
        seen.add((setup.from_, setup.to))
    for word in station.min_run:
        if word not in setups:
            _setup(view, (*keys, "min_run", word), name, word, setups)


def _setup(view: View, keys: Keys, station: str, word: str, used: list[str]) -> None:
    view.add(
        keys,
        f"no step at {station!r} needs a set-up {word!r}",
        hint=nearest(word, used) or "give a step `setup`, or remove it",
        code="reference",
    )


def _work(view: View, keys: Keys, work: model.Work) -> None:
    line = view.line
    _crew(view, (*keys, "crew"), work.crew or {})
    for budget in work.draws or {}:
        instead = "it is a pool: write it under crew" if budget in line.pools else ""
        view.unknown((*keys, "draws", budget), "budget", budget, line.budgets, instead)
    for side in ("consumes", "produces"):
        for product in getattr(work, side) or {}:
            view.unknown((*keys, side, product), "product", product, line.products)


def _crew(view: View, keys: Keys, crew: dict[str, Value]) -> None:
    line = view.line
    skills = [skill for pool in line.pools.values() for skill in pool.skills]
    for name in crew:
        instead = "it is a budget: write it under draws" if name in line.budgets else ""
        view.unknown((*keys, name), "pool or skill", name, [*line.pools, *skills], instead)


# Steps ------------------------------------------------------------------------------------


def _steps(view: View, product: str, names: Sequence[str]) -> None:
    for position, name in enumerate(names):
        keys = ("products", product, "route", str(position))
        if name in WORDS:
            what, why = f"a step cannot be called {name!r}", "the word says what follows a step"
            view.add(keys, what, why, "rename it", code="duplicate-name")
        elif name in names[:position]:
            view.add(
                keys,
                f"two steps of {product!r} are called {name!r}",
                hint="give each step of a route a name of its own",
                code="duplicate-name",
            )


def _targets(view: View, visit: Visit, names: Sequence[str]) -> None:
    """Names of steps that a step refers to."""
    for keys, name, words in _references(visit):
        if name not in names and name not in words:
            view.add(
                keys,
                f"product {visit.product!r} has no step {name!r}",
                hint=nearest(name, [*names, *words]),
                code="reference",
            )
    for pool in visit.step.holds:
        budget = pool in view.line.budgets
        instead = "only pools can be held: budgets are drawn on while working" if budget else ""
        view.unknown((*visit.keys, "holds", pool), "pool", pool, view.line.pools, instead)


def _references(visit: Visit) -> Iterator[tuple[Keys, str, tuple[str, ...]]]:
    step, keys = visit.step, visit.keys
    _, owner, target = visit.work("on_fail")
    if target is not None:
        yield (*owner, "on_fail"), target, (RESTART_WORD, SCRAP_WORD)
    if isinstance(step.then, str):
        yield (*keys, "then"), step.then, (SHIP_WORD, SCRAP_WORD)
    elif step.then is not None:
        for name in step.then:
            yield (*keys, "then", name), name, (SHIP_WORD, SCRAP_WORD)
    if step.same_tool is not None:
        yield (*keys, "same_tool"), step.same_tool, ()
    if step.queue_limit is not None:
        yield (*keys, "queue_limit", "after"), step.queue_limit.after, ()
        words = (COUNT_WORD, SCRAP_WORD)
        yield (*keys, "queue_limit", "on_miss"), step.queue_limit.on_miss, words
    for pool, hold in step.holds.items():
        yield (*keys, "holds", pool, "until"), hold.until, ()


# Lots -------------------------------------------------------------------------------------


def _lots(view: View) -> None:
    line = view.line
    for name, order in line.orders.items():
        view.unknown(("orders", name, "product"), "product", order.product, line.products)
    for position, lots in enumerate(line.wip):
        keys = ("wip", str(position))
        if view.unknown((*keys, "product"), "product", lots.product, line.products):
            continue
        names = view.names[lots.product]
        if lots.step not in names:
            view.add(
                (*keys, "step"),
                f"product {lots.product!r} has no step {lots.step!r}",
                hint=nearest(lots.step, names),
                code="reference",
            )
        releases = line.products[lots.product].releases
        if lots.lot_class is not None:
            view.unknown((*keys, "lot_class"), "lot class", lots.lot_class, releases)
