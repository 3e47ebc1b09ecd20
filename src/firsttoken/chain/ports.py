"""Ports: where one room's results become another room's parameters.

The instances of a twin form a graph: one that says `model(line.houston.throughput)` comes
after `line.houston`. `order` sorts them; `Resolver` looks references up on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from firsttoken.twin.findings import Finding, Findings, TwinError
from firsttoken.twin.library import FactError
from firsttoken.twin.schema import slots
from firsttoken.twin.twin import Twin
from firsttoken.twin.validation import paths_naming
from firsttoken.twin.values import Fact, ModelPort, Scalar, Series, Signal, Sum, Value

Instance = tuple[str, str]
"""(room, name)."""
Link = tuple[str, ModelPort | Signal]
"""(path of a slot, what it refers to)."""

_LINK = re.compile(r"(model|signal)\(")


def references(value: Value) -> Iterator[Fact | ModelPort | Signal]:
    """The facts, ports and signals inside a value."""
    if isinstance(value, Series):
        for time, level in value.knots:
            yield from _inside(time)
            yield from _inside(level)
    else:
        yield from _inside(value)


def _inside(value: Scalar) -> Iterator[Fact | ModelPort | Signal]:
    if isinstance(value, Sum):
        yield from _inside(value.first)
        yield from _inside(value.second)
    elif isinstance(value, Fact | ModelPort | Signal):
        yield value


def check_references(twin: Twin, findings: Findings) -> None:
    """Every port must exist, and no circle of models; facts were checked on loading."""
    links = {instance: _links(twin, instance) for instance in instances(twin)}
    for found in links.values():
        for path, reference in found:
            problem = _problem(twin, reference)
            if problem is not None:
                what, hint, code = problem
                findings.add(Finding(what, "", hint, path, code, "error", twin.place(path)))
    try:
        _sorted(twin, links)
    except TwinError as error:
        findings.extend(error.findings)


def _links(twin: Twin, instance: Instance) -> list[Link]:
    """Ports and signals that an instance refers to, with the path of each slot."""
    room, name = instance
    data = twin.data[room][name]
    if not paths_naming(data, _LINK):
        return []  # most have none, and a look at the text is quicker than one at each slot
    return [
        (path, reference)
        for path, _, value in slots(twin.rooms[room][name], f"{room}.{name}")
        for reference in references(value)
        if not isinstance(reference, Fact)
    ]


def _problem(twin: Twin, reference: ModelPort | Signal) -> tuple[str, str, str] | None:
    if isinstance(reference, Signal):
        return (
            f"signal({reference.topic}) has nobody to report it",
            "signals are read by the live room, which this version does not have",
            "signal",
        )
    declared = twin.rooms.get(reference.room, {}).get(reference.name)
    if declared is None:
        return f"model({reference}) names no declared model", "declare it, or correct it", "port"
    known = twin.registry[reference.room].ports(declared)
    if reference.port not in known:
        return f"model({reference}) does not exist", f"it has {', '.join(known)}", "port"
    return None


def instances(twin: Twin) -> list[Instance]:
    """All declared instances, in file order."""
    return [(room, name) for room, declared in twin.rooms.items() for name in declared]


def order(twin: Twin) -> list[Instance]:
    """Instances with those that feed others first.

    Raises
    ------
    TwinError
        If models depend on each other in a circle.
    """
    return _sorted(twin, {instance: _links(twin, instance) for instance in instances(twin)})


def _sorted(twin: Twin, links: Mapping[Instance, list[Link]]) -> list[Instance]:
    needs = {
        instance: [
            (link.room, link.name)
            for _, link in found
            if isinstance(link, ModelPort) and link.name in twin.rooms.get(link.room, {})
        ]
        for instance, found in links.items()
    }
    done: dict[Instance, None] = {}
    for instance in needs:
        _visit(instance, needs, (), done)
    return list(done)


def _visit(
    instance: Instance,
    needs: Mapping[Instance, list[Instance]],
    trail: tuple[Instance, ...],
    done: dict[Instance, None],
) -> None:
    if instance in done:
        return
    if instance in trail:
        circle = " -> ".join(".".join(part) for part in (*trail[trail.index(instance) :], instance))
        raise TwinError(
            Finding(f"models depend on each other in a circle: {circle}", code="port-cycle")
        )
    for other in needs[instance]:
        _visit(other, needs, (*trail, instance), done)
    done[instance] = None


class Resolver:
    """Looks references up: facts in the library, ports in what was computed before."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._ports: dict[str, Value] = {}

    def provide(self, instance: Instance, ports: Mapping[str, Value]) -> None:
        """Take the ports of an executed instance in."""
        for port, value in ports.items():
            self._ports[".".join((*instance, port))] = value

    def __call__(self, reference: Fact | ModelPort | Signal, unit: str) -> Value:
        """The value of a reference in a slot of SI unit `unit`.

        Raises
        ------
        TwinError
            If it is unknown, not yet known, of another dimension, or not computed.
        """
        if isinstance(reference, Fact):
            try:
                return self._twin.library.resolve(reference.id, self._twin.as_of, unit)
            except FactError as error:
                finding = Finding(str(error), "", error.hint, code="fact")
                raise TwinError(finding) from None
        if isinstance(reference, ModelPort) and str(reference) in self._ports:
            return self._ports[str(reference)]
        raise TwinError(Finding(f"{reference} has no value in this run", code="port"))
