"""What is wrong with a network beyond what its classes can say.

References that lead nowhere, items without a source, operations that can never matter,
bills of material that bite their tail, dates out of order, units that disagree.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from firsttoken.supply import model
from firsttoken.supply.structure import item_cycles
from firsttoken.supply.targets import problem
from firsttoken.twin.findings import Finding, Findings, Severity
from firsttoken.twin.schema import support
from firsttoken.twin.twin import split_path
from firsttoken.twin.units import UnitError, parse_unit
from firsttoken.twin.values import Constant, Distribution, Value

if TYPE_CHECKING:
    from firsttoken.twin.twin import Twin

Flow = tuple[tuple[str, str], tuple[str, str]]
"""(item, location) consumed or produced, and the activity's (collection, name)."""


def check_network(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with one network."""
    net = twin.rooms["supply"][name]
    assert isinstance(net, model.Network)
    checker = Checker(twin, name, net, findings)
    before = len(findings.errors)
    checker.references()
    if len(findings.errors) == before:  # what follows would only repeat broken references
        checker.units()
        checker.flows()
        checker.dates()
        checker.targets()
        checker.disruptions()
        checker.efficiencies()


class Checker:
    """The checks of one network."""

    def __init__(self, twin: Twin, name: str, net: model.Network, findings: Findings) -> None:
        self.twin, self.name, self.net, self.findings = twin, name, net, findings
        self.activities: dict[tuple[str, str], model.Activity] = {
            (collection, key): declared
            for collection in ("purchases", "operations", "lanes")
            for key, declared in getattr(net, collection).items()
        }

    def add(
        self,
        path: tuple[str, ...],
        what: str,
        why: str = "",
        hint: str = "",
        *,
        code: str,
        severity: Severity = "error",
    ) -> None:
        """Add one finding at a path below the network."""
        whole = ("supply", self.name, *path)
        place = self.twin.sources.place(whole)
        self.findings.add(Finding(what, why, hint, ".".join(whole), code, severity, place))

    # References ---------------------------------------------------------------------------

    def references(self) -> None:
        """Every name that is used must be declared, and no two activities share one."""
        for path, collection, name in self._named():
            known: Mapping[str, object] = getattr(self.net, collection)
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"declare it under {collection}"
                kind = collection.rstrip("s")
                self.add(path, f"unknown {kind} {name!r}", "", hint, code="reference")
        seen: dict[str, tuple[str, str]] = {}
        for key in [*self.activities, *(("resources", name) for name in self.net.resources)]:
            if key[1] in seen:
                other = ".".join(seen[key[1]])
                self.add(
                    key,
                    f"the name {key[1]!r} is taken by {other}",
                    "activities and resources share one list of names in results",
                    "rename one",
                    code="duplicate-name",
                )
            seen.setdefault(key[1], key)

    def _named(self) -> Iterator[tuple[tuple[str, ...], str, str]]:
        net = self.net
        for key, activity in self.activities.items():
            for resource in activity.uses:
                yield (*key, "uses", resource), "resources", resource
            if activity.available is not None:
                yield (*key, "available"), "calendars", activity.available
        for name, operation in net.operations.items():
            yield ("operations", name, "at"), "locations", operation.at
            for side in ("consumes", "produces"):
                for item in getattr(operation, side):
                    yield ("operations", name, side, item), "items", item
        for name, lane in net.lanes.items():
            yield ("lanes", name, "origin"), "locations", lane.origin
            yield ("lanes", name, "destination"), "locations", lane.destination
            for item in lane.items:
                yield ("lanes", name, "items"), "items", item
        for name, purchase in net.purchases.items():
            yield ("purchases", name, "supplier"), "suppliers", purchase.supplier
        for collection in ("purchases", "buffers", "demands"):
            for name, part in getattr(net, collection).items():
                yield (collection, name, "item"), "items", part.item
                yield (collection, name, "location"), "locations", part.location
        for name, location in net.locations.items():
            if location.available is not None:
                yield ("locations", name, "available"), "calendars", location.available
        for name, resource_ in net.resources.items():
            yield ("resources", name, "at"), "locations", resource_.at
            if resource_.available is not None:
                yield ("resources", name, "available"), "calendars", resource_.available
        for name, tariff in net.tariffs.items():
            for item in tariff.items:
                yield ("tariffs", name, "items"), "items", item

    # Units --------------------------------------------------------------------------------

    def units(self) -> None:
        """Amounts of an item must have the dimension of the item's unit."""
        dimensions: dict[str, str] = {}
        for name, item in self.net.items.items():
            try:
                dimensions[name] = parse_unit(item.unit).dimension
            except UnitError as error:
                self.add(("items", name, "unit"), str(error), code="unit")
        for path, name, value in self._amounts():
            if name in dimensions:
                self._fits(path, name, value, dimensions[name])

    def _amounts(self) -> Iterator[tuple[tuple[str, ...], str, Value]]:
        for name, operation in self.net.operations.items():
            for side in ("consumes", "produces"):
                for item, amount in getattr(operation, side).items():
                    yield ("operations", name, side, item), item, amount
        for name, buffer in self.net.buffers.items():
            yield ("buffers", name, "onhand"), buffer.item, buffer.onhand
        for name, demand in self.net.demands.items():
            if demand.quantity is not None:
                yield ("demands", name, "quantity"), demand.item, demand.quantity

    def _fits(self, path: tuple[str, ...], item: str, value: Value, dimension: str) -> None:
        if not isinstance(value, Constant | Distribution) or not value.unit.text:
            return
        if value.unit.dimension != dimension:
            unit = self.net.items[item].unit
            self.add(
                path,
                f"{value.unit.text} does not measure {item!r}",
                f"the item is counted in {unit}",
                f"give the amount in {unit}",
                code="unit-dimension",
            )

    # Flows --------------------------------------------------------------------------------

    def flows(self) -> None:
        """Each consumed item has a source, each product a use, and nothing makes itself."""
        produced, consumed = self._flow_lists
        sources = {node for node, _ in produced}
        sources |= {
            (buffer.item, buffer.location)
            for buffer in self.net.buffers.values()
            if not (isinstance(buffer.onhand, Constant) and buffer.onhand.value == 0)
        }
        wanted = {(d.item, d.location) for d in self.net.demands.values()}
        needs = [*consumed]
        needs += [((d.item, d.location), ("demands", n)) for n, d in self.net.demands.items()]
        places: dict[str, set[str]] = {}
        for item, location in sources:
            places.setdefault(item, set()).add(location)
        for (item, location), key in needs:
            if (item, location) not in sources:
                self._no_source(item, location, key, places.get(item, ()))
        sinks = {node for node, _ in consumed} | wanted
        stages = {goal.stage for goal in self.net.goals.values()}
        made_by: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for node, owner in produced:
            made_by.setdefault(owner, []).append(node)
        for key, activity in self.activities.items():
            outputs = made_by.get(key, [])
            if not any(node in sinks for node in outputs) and activity.stage not in stages:
                made = ", ".join(f"{item} at {location}" for item, location in outputs)
                self.add(
                    key,
                    f"{key[1]!r} is dead: nothing uses {made}",
                    hint="let a demand, an operation or a lane use it, or remove it",
                    code="dead-operation",
                )
        self._cycles()

    @functools.cached_property
    def _flow_lists(self) -> tuple[list[Flow], list[Flow]]:
        produced: list[Flow] = []
        consumed: list[Flow] = []
        for name, purchase in self.net.purchases.items():
            produced.append(((purchase.item, purchase.location), ("purchases", name)))
        for name, operation in self.net.operations.items():
            key = ("operations", name)
            produced += [((item, operation.at), key) for item in operation.produces]
            consumed += [((item, operation.at), key) for item in operation.consumes]
        for name, lane in self.net.lanes.items():
            key = ("lanes", name)
            produced += [((item, lane.destination), key) for item in lane.items]
            consumed += [((item, lane.origin), key) for item in lane.items]
        return produced, consumed

    def _no_source(
        self, item: str, location: str, key: tuple[str, str], places: Iterable[str]
    ) -> None:
        elsewhere = sorted(places)
        hint = (
            f"it is available at {', '.join(elsewhere)}: add a lane"
            if elsewhere
            else "add an operation, purchase, lane or initial stock"
        )
        self.add(
            key,
            f"{key[1]!r} needs {item!r} at {location!r}, which has no source there",
            hint=hint,
            code="no-source",
        )

    def _cycles(self) -> None:
        recipes = [
            (name, list(operation.consumes), list(operation.produces))
            for name, operation in self.net.operations.items()
        ]
        for cycle in item_cycles(recipes):
            guilty = next(
                name
                for name, consumed, produced in recipes
                if cycle[0] in consumed and cycle[1] in produced
            )
            self.add(
                ("operations", guilty),
                f"the bill of materials has a cycle: {' -> '.join(cycle)}",
                "an item cannot, in the end, be made of itself",
                "break the cycle, or give reworked items a name of their own",
                code="bom-cycle",
            )

    # Dates --------------------------------------------------------------------------------

    def dates(self) -> None:
        """Starts come before ends."""
        for key, activity in self.activities.items():
            self._ordered(key, activity.start, activity.end, "start", "end")
        for name, option in self.net.investments.items():
            key = ("investments", name)
            self._ordered(key, option.earliest, option.latest, "earliest", "latest")
        for name, calendar in self.net.calendars.items():
            for position, bucket in enumerate(calendar.buckets):
                span = ("calendars", name, "buckets", str(position))
                self._ordered(span, bucket.start, bucket.end, "start", "end")
            self._apart(name, calendar)
        for name, demand in self.net.demands.items():
            where = ("demands", name)
            if (demand.quantity is None) != (demand.due is None):
                self.add(where, "an order needs both 'quantity' and 'due'", code="demand")
            elif demand.rate is None and demand.quantity is None:
                hint = "give a rate, or a quantity with its due date"
                self.add(where, f"{name!r} wants nothing", hint=hint, code="demand")
            elif isinstance(demand.due, Constant) and demand.due.value >= self.twin.end:
                self.add(
                    (*where, "due"),
                    "it is due after the twin's end",
                    hint="lengthen the horizon or drop the order",
                    code="date",
                    severity="warning",
                )

    def _apart(self, name: str, calendar: model.Calendar) -> None:
        """Spans with uncertain dates are listed in order and cannot overlap."""
        dates = [(bucket.start, bucket.end) for bucket in calendar.buckets]
        if all(isinstance(date, Constant) for pair in dates for date in pair):
            return
        for position, ((_, end), (start, _)) in enumerate(pairwise(dates), 1):
            if support(end)[1] > support(start)[0]:
                self.add(
                    ("calendars", name, "buckets", str(position)),
                    "the span may begin before the one before it ends",
                    "with uncertain dates spans are listed in order, without overlap",
                    "reorder them, or give certain dates",
                    code="date-order",
                )

    def _ordered(
        self, path: tuple[str, ...], first: Value | None, last: Value | None, a: str, b: str
    ) -> None:
        known = isinstance(first, Constant) and isinstance(last, Constant)
        if known and not first.value < last.value:  # type: ignore[union-attr]
            self.add(path, f"{a!r} is not before {b!r}", hint="swap them?", code="date-order")

    # Targets ------------------------------------------------------------------------------

    def targets(self) -> None:
        """Investments, goals, observations and pull policies point at something."""
        names = {name for _, name in self.activities} | set(self.net.resources)
        for name, option in self.net.investments.items():
            if option.target not in names:
                self._unknown(("investments", name, "target"), option.target, names)
                continue
            declared = self._capacitated(option.target)
            if declared.capacity is None:
                self.add(
                    ("investments", name, "target"),
                    f"{option.target!r} has no capacity limit to add to",
                    hint="give it a capacity, 0 if there is none yet",
                    code="investment",
                )
        stages = {a.stage or key[1] for key, a in self.activities.items()}
        for collection in ("goals", "observations"):
            for name, part in getattr(self.net, collection).items():
                if part.stage not in stages:
                    self._unknown((collection, name, "stage"), part.stage, stages)
        if self.net.release == "pull" and not any(
            buffer.base_stock is not None for buffer in self.net.buffers.values()
        ):
            self.add(
                ("release",),
                "a pull policy needs base-stock levels",
                hint="give buffers a base_stock",
                code="policy",
            )
        if self.net.release == "push":
            self._endless()

    def _endless(self) -> None:
        """Warn of what a pushed simulation would start without end; plans can bear it."""
        limited = {
            (buffer.item, buffer.location)
            for buffer in self.net.buffers.values()
            if buffer.maximum is not None
        }
        produced, consumed = self._flow_lists
        fed = {key for _, key in consumed}
        for key, activity in self.activities.items():
            outputs = {node for node, owner in produced if owner == key}
            free = activity.capacity is None and not activity.uses and key not in fed
            if free and not outputs & limited:
                self.add(
                    key,
                    f"{key[1]!r} has no limit, so it cannot be simulated by pushing",
                    "push starts whatever material and capacity allow",
                    "give it a capacity, or the network 'release: plan' or 'release: pull'",
                    code="endless",
                    severity="warning",
                )

    def disruptions(self) -> None:
        """Every disruption of this network does something."""
        for disruption in self.twin.disruptions:
            keys = split_path(self.twin.data, disruption.path)
            if keys[:2] != ("supply", self.name):
                continue
            wrong = problem(self.net, disruption, keys[2:])
            if wrong:
                what = f"{disruption.kind!r} cannot act on {disruption.path}"
                self.add(keys[2:], what, wrong, code="disruption")

    def efficiencies(self) -> None:
        """An efficiency needs a capacity to act on."""
        for key, activity in self.activities.items():
            if activity.capacity is None and "efficiency" in activity.model_fields_set:
                self.add(
                    (*key, "efficiency"),
                    f"{key[1]!r} has an efficiency but no capacity that it could act on",
                    hint="give it a capacity, or put the efficiency on the resource that it uses",
                    code="unused-field",
                )

    def _capacitated(self, name: str) -> model.Activity | model.Resource:
        if name in self.net.resources:
            return self.net.resources[name]
        return next(a for (_, key), a in self.activities.items() if key == name)

    def _unknown(self, path: tuple[str, ...], name: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        self.add(path, f"{name!r} does not exist", hint=hint, code="reference")
