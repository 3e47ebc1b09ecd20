"""Checks of a line: buffers with limits cannot lock each other up unseen."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

from firsttoken.line.check_capacity import in_line
from firsttoken.line.check_routes import Route
from firsttoken.line.check_view import View
from firsttoken.line.compile_routes import Visit

Ways = dict[str, dict[str, str]]
"""Stations that wait for room at stations, and how that comes."""


def check_buffers(view: View) -> None:
    """Report cascade tools before a limited buffer, and circles of limited buffers.

    A deadlock needs a circle of stations, each of whose servers waits for room in the next one's
    buffer (circular wait: Coffman, Elphick, Shoshani, System deadlocks, ACM Computing Surveys 3
    (1971) 67-78).  Without a circle there is none; with one it is possible unless the lots in
    the line are too few to fill it.
    """
    ways: Ways = {}
    for product, visits in view.routes.items():
        route = Route(view, product)
        for position, visit in enumerate(visits):
            for to in route.after(position):
                if to >= 0 and visits[to].station.buffer is not None:
                    here, there = visit.step.station, visits[to].step.station
                    how = f"{product}.{visit.name} goes on to {there}"
                    ways.setdefault(here, {}).setdefault(there, how)
                    _cascade(view, route, position, to)
                    _self_feeding(view, visit, here == there)
    for route_of in view.routes.values():
        for visit in route_of:
            _components(view, visit, ways)
    limited = {name for name, s in view.line.stations.items() if s.buffer is not None}
    _circles(view, {a: b for a, b in ways.items() if a in limited})


def _components(view: View, visit: Visit, ways: Ways) -> None:
    """Assembly that waits fills a buffer that its components may have to pass."""
    for part in visit.work("consumes")[2] or {}:
        for other in view.routes[part]:
            if other.station.buffer is not None:
                there = other.step.station
                how = f"{visit.product}.{visit.name} waits for {part}, which comes over {there}"
                ways.setdefault(visit.step.station, {}).setdefault(there, how)


def _cascade(view: View, route: Route, position: int, to: int) -> None:
    visit, following = route.visits[position], route.visits[to]
    _, owner, interval = visit.work("interval")
    if interval is not None:
        view.add(
            (*owner, "interval"),
            f"a cascade tool goes on to {following.step.station!r}, whose buffer is limited",
            "loads that follow each other through a tool cannot wait in it",
            f"remove the buffer's limit at {following.step.station!r}, or the `interval`",
            code="cascade",
        )


def _self_feeding(view: View, visit: Visit, to_itself: bool) -> None:
    """A station that sends lots to itself needs room for them."""
    station, name = visit.station, visit.step.station
    servers = view.range(station.servers, "each")[1]
    if to_itself and station.buffer == 0 and servers <= 1:
        view.add(
            ("stations", name, "buffer"),
            f"{name!r} locks itself up: a lot that leaves {visit.name!r} has to come back here",
            "it waits on the only server for room that only itself can make",
            "give the station a buffer of 1 or more",
            code="deadlock",
        )


def _circles(view: View, ways: Mapping[str, Mapping[str, str]]) -> None:
    """Warn of circles of limited buffers, those of fewest places first."""
    room = {name: _places(view, name) for name in view.line.stations}
    lots = _lots_in_line(view)
    told: set[str] = set()
    for name in sorted(ways, key=lambda station: room[station]):
        circle = [] if name in told else _smallest(name, ways, room)
        if not circle:
            continue
        told.update(circle)
        places = sum(room[station] for station in circle)
        # All places of a circle must be full, by lots that have left none outside of it.
        if lots < places:
            continue
        names = " -> ".join([*circle, circle[0]])
        hows = [ways[a][b] for a, b in zip(circle, [*circle[1:], circle[0]], strict=True)]
        view.add(
            ("stations", circle[0], "buffer"),
            f"these buffers can lock each other up: {names}",
            f"{'; '.join(hows)}; with {places:g} lots in them nothing moves any more",
            "remove the limit of one of them, or limit the lots in the line (`wip`)",
            code="deadlock",
            severity="warning",
        )


def _places(view: View, name: str) -> float:
    """Places of a station: its buffer and its servers."""
    station = view.line.stations[name]
    servers = view.range(station.servers, "each")[0]
    return (station.buffer or 0) + (1.0 if math.isnan(servers) else max(servers, 1.0))


def _lots_in_line(view: View) -> float:
    """Most lots that can be in the line at a time."""
    return sum(in_line(view, name) / product.pieces for name, product in view.line.products.items())


def _smallest(
    start: str, ways: Mapping[str, Mapping[str, str]], room: Mapping[str, float]
) -> list[str]:
    """The circle with the fewest places that leads from a station back to it; Dijkstra."""
    queue: list[tuple[float, list[str]]] = [(room[start], [start])]
    done: set[str] = set()
    while queue:
        places, path = heapq.heappop(queue)
        if path[-1] == start and len(path) > 1:
            return path[:-1]
        if path[-1] in done:
            continue
        if len(path) > 1:
            done.add(path[-1])
        for to in ways.get(path[-1], {}):
            if to == start or (to in ways and to not in done):
                more = 0.0 if to == start else room[to]
                heapq.heappush(queue, (places + more, [*path, to]))
    return []
