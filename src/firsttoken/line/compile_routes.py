"""Routes as they are meant: every step with its name and its station.

Nothing here needs arrays, so that checking a line stays quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firsttoken.line import model

SHIP_WORD = "ship"
SCRAP_WORD = "scrap"
RESTART_WORD = "restart"
COUNT_WORD = "count"
"""Targets that are no steps."""


@dataclass(frozen=True)
class Visit:
    """One step of a product's route.

    Attributes
    ----------
    name : its name within the route.
    keys : keys of the step below the line (`products`, product, `route`, position); those of its
        station where the route is implied.
    """

    product: str
    name: str
    step: model.Step
    station: model.Station
    keys: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Product and name: what tells the step from all others of the line."""
        return self.product, self.name

    def work(self, name: str) -> tuple[model.Work, tuple[str, ...], Any]:
        """Who says what a `Work` field is: the step, else its station.

        Returns
        -------
        The declared step or station, its keys below the line, and the field's value.
        """
        own = getattr(self.step, name)
        if own is not None:
            return self.step, self.keys, own
        return self.station, ("stations", self.step.station), getattr(self.station, name)


def step_names(route: Sequence[model.Step]) -> list[str]:
    """Names of the steps of a route; the second unnamed visit of a station is `station_2`."""
    taken = {step.name for step in route if step.name}
    names: list[str] = []
    for step in route:
        name, visit = step.name or step.station, 1
        while not step.name and name in taken:
            visit += 1
            name = f"{step.station}_{visit}"
        taken.add(name)
        names.append(name)
    return names


def routes(line: model.Line) -> dict[str, tuple[Visit, ...]]:
    """The steps of every product, those at undeclared stations left out.

    A product without a route visits every station once in the order of the file if lots of it
    start or are in the line; without any, it has no steps.
    """
    started = {order.product for order in line.orders.values()}
    started |= {lots.product for lots in line.wip}
    found: dict[str, tuple[Visit, ...]] = {}
    for name, product in line.products.items():
        route, implied = product.route, False
        if route is None:
            implied = True
            used = product.releases or name in started
            route = [model.Step(station=station) for station in line.stations] if used else []
        found[name] = tuple(
            Visit(
                name,
                step_name,
                step,
                line.stations[step.station],
                ("stations", step.station)
                if implied
                else ("products", name, "route", str(position)),
            )
            for position, (step, step_name) in enumerate(zip(route, step_names(route), strict=True))
            if step.station in line.stations
        )
    return found


def joined(route_of: Mapping[str, Sequence[Visit]], side: str) -> set[str]:
    """Products that some step `consumes` or `produces` (`side`)."""
    return {
        product
        for route in route_of.values()
        for visit in route
        for product in visit.work(side)[2] or ()
    }
