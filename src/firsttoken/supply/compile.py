"""From a declared network and a scenario to a `System`: names become integers here only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from firsttoken.supply import model, system
from firsttoken.supply.assemble import Assembly
from firsttoken.supply.disrupt import Effects, build_effects
from firsttoken.supply.structure import flow_order
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.schema import Declared, Quantity, quantities
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Scalar, Series, Value

Factors = list[int]


@dataclass(slots=True)
class Step:
    """One activity on its way into the arrays; quantities are expression indices."""

    name: str
    kind: int
    key: tuple[str, str]
    declared: model.Activity
    location: str
    country: str
    inputs: list[tuple[int, int]]
    outputs: list[tuple[int, int]]
    made: list[str]
    duty: int = -1


@dataclass(slots=True)
class Compiler:
    """State shared by the compile steps of one network.

    Attributes
    ----------
    build : collects parameters and series.
    effects : what the active disruptions do to whom.
    nodes : (item, location) to index.
    """

    twin: Twin
    name: str
    net: model.Network
    build: ParameterBuilder
    effects: Effects
    nodes: dict[tuple[str, str], int] = field(default_factory=dict)
    terms: dict[tuple[tuple[int, ...], ...], int] = field(default_factory=dict)

    # Small words --------------------------------------------------------------------------

    def path(self, *parts: str) -> str:
        """The parameter path of a slot of this network."""
        return ".".join(("supply", self.name, *parts))

    def expression(self, *terms: Iterable[int]) -> int:
        """Index of the sum of products of series."""
        key = tuple(tuple(term) for term in terms)
        return self.terms.setdefault(key, len(self.terms))

    def node(self, item: str, location: str) -> int:
        """Index of the stock of an item at a location."""
        return self.nodes.setdefault((item, location), len(self.nodes))

    def slot(self, owner: Declared, name: str, path: str, value: Value | None = None) -> int:
        """Series index of a declared slot (or of one value of a slot that is a mapping)."""
        quantity = quantities(type(owner))[name]
        given: Value = getattr(owner, name) if value is None else value
        return self.build.series(given, path, quantity.unit, quantity.drawn)

    def scalar(self, owner: Declared, name: str, path: str) -> int:
        """Parameter index of a declared slot that does not change with time; -1 for None."""
        given: Value | None = getattr(owner, name)
        if given is None:
            return -1
        quantity: Quantity = quantities(type(owner))[name]
        return self.build.scalar(
            given, f"{path}.{name}", quantity.unit, date=quantity.unit == "date"
        )

    def worth(self, item: str) -> int:
        """Series index of the value of one unit of an item."""
        return self.slot(self.net.items[item], "value", self.path("items", item, "value"))

    def worth_at_start(self, item: str) -> int:
        """Parameter index of the value of one unit of an item at the twin's start."""
        return self.scalar_now(self.net.items[item], "value", self.path("items", item))

    def scalar_now(self, owner: Declared, name: str, path: str) -> int:
        """Parameter index of a slot at the twin's start: a series counts with its first knot."""
        value = _one(getattr(owner, name))
        return self.build.scalar(value, f"{path}.{name}", quantities(type(owner))[name].unit)

    def calendar(self, name: str | None) -> Factors:
        """Series of a named calendar, to multiply with."""
        if name is None:
            return []
        declared = self.net.calendars[name]
        path = self.path("calendars", name)
        default = self.build.scalar(_one(declared.default), f"{path}.default")
        spans: list[tuple[int, int, int]] = []
        for position, bucket in enumerate(declared.buckets):
            where = f"{path}.buckets.{position}"
            level = self.build.scalar(_one(bucket.value), f"{where}.value")
            dates = self.scalar(bucket, "start", where), self.scalar(bucket, "end", where)
            spans.append((*dates, level))
        return [self.build.spans(spans, default)]

    # Activities ---------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """All activities, in the order in which material flows."""
        net = self.net
        found: list[Step] = []
        for name, purchase in net.purchases.items():
            found.append(self._purchase(name, purchase))
        for name, operation in net.operations.items():
            found.append(self._operation(name, operation))
        for name, lane in net.lanes.items():
            found.extend(self._lane(name, lane))
        order = flow_order(
            [([n for n, _ in step.inputs], [n for n, _ in step.outputs]) for step in found]
        )
        return [found[position] for position in order]

    def _purchase(self, name: str, purchase: model.Purchase) -> Step:
        country = self.net.suppliers[purchase.supplier].country
        here = self.net.locations[purchase.location].country
        node = self.node(purchase.item, purchase.location)
        one = self.expression([])
        return Step(
            name,
            system.PURCHASE,
            ("purchases", name),
            purchase,
            purchase.location,
            country,
            [],
            [(node, one)],
            [purchase.item],
            duty=self._duty(purchase.item, country, here),
        )

    def _operation(self, name: str, operation: model.Operation) -> Step:
        path = self.path("operations", name)
        flows: dict[str, list[tuple[int, int]]] = {}
        for side in ("consumes", "produces"):
            flows[side] = [
                (
                    self.node(item, operation.at),
                    self.expression([self.slot(operation, side, f"{path}.{side}.{item}", amount)]),
                )
                for item, amount in getattr(operation, side).items()
            ]
        country = self.net.locations[operation.at].country
        return Step(
            name,
            system.OPERATION,
            ("operations", name),
            operation,
            operation.at,
            country,
            flows["consumes"],
            flows["produces"],
            list(operation.produces),
        )

    def _lane(self, name: str, lane: model.Lane) -> list[Step]:
        origin = self.net.locations[lane.origin].country
        destination = self.net.locations[lane.destination].country
        one = self.expression([])
        return [
            Step(
                name if len(lane.items) == 1 else f"{name}[{item}]",
                system.LANE,
                ("lanes", name),
                lane,
                lane.origin,
                origin,
                [(self.node(item, lane.origin), one)],
                [(self.node(item, lane.destination), one)],
                [item],
                duty=self._duty(item, origin, destination),
            )
            for item in lane.items
        ]

    def _duty(self, item: str, origin: str, destination: str) -> int:
        """Expression: duty in USD on one unit that enters `destination`; -1 if there is none."""
        if origin == destination:
            return -1
        minus = self.build.constant_series(-1.0)
        terms: list[Factors] = []
        for name, tariff in self.net.tariffs.items():
            listed = item in tariff.items and origin in tariff.origins
            if not listed or destination != tariff.destination:
                continue
            path = self.path("tariffs", name)
            exempt = self.slot(tariff, "exempt", f"{path}.exempt")
            outside: Factors = []
            rated: list[Factors] = []
            for without, within, rate in self.effects.tariffs.get(name, []):
                rated.append([within, rate])
                outside.append(without)
            rated.append([*outside, self.slot(tariff, "rate", f"{path}.rate")])
            worth = self.worth(item)
            for rate_factors in rated:
                terms.append([worth, *rate_factors])
                terms.append([minus, worth, exempt, *rate_factors])
        return self.expression(*terms) if terms else -1

    # Capacity -----------------------------------------------------------------------------

    def open_factors(self, step: Step) -> Factors:
        """Series whose product says whether an activity may work (0 closed .. 1 open)."""
        declared, path = step.declared, self.path(*step.key)
        factors = self.calendar(declared.available)
        factors += self.calendar(self.net.locations[step.location].available)
        with self.build.slipping(self.effects.slips.get(step.key, [])):
            if declared.start is not None or declared.end is not None:
                start = None if declared.start is None else self.scalar(declared, "start", path)
                end = None if declared.end is None else self.scalar(declared, "end", path)
                factors.append(self.build.window(start, end, 1.0, 0.0))
        return factors + self.effects.closed.get(step.key, [])

    def capacity_factors(
        self, declared: model.Activity | model.Resource, key: tuple[str, str]
    ) -> Factors:
        """Series whose product is the capacity in runs (or units) per second."""
        path = self.path(*key)
        with self.build.slipping(self.effects.slips.get(key, [])):
            base = self.slot(declared, "capacity", f"{path}.capacity")
        efficiency = self.slot(declared, "efficiency", f"{path}.efficiency")
        return [base, efficiency, *self.effects.capacity.get(key, [])]

    def lead_time(self, step: Step) -> int:
        """Expression of the lead time in s under the active disruptions."""
        path = f"{self.path(*step.key)}.lead_time"
        factors = self.effects.lead_factor.get(step.key, [])
        base = [self.slot(step.declared, "lead_time", path), *factors]
        return self.expression(base, *self.effects.lead_add.get(step.key, []))

    def optional(self, owner: Declared, name: str, path: str) -> int:
        """Expression of a slot; -1 for None."""
        if getattr(owner, name) is None:
            return -1
        return self.expression([self.slot(owner, name, f"{path}.{name}")])

    def goal_worth(self, step: Step) -> int:
        """Expression of the value in USD of what one run makes, before yield."""
        quantities_out = dict(zip(step.made, (e for _, e in step.outputs), strict=True))
        series_of = {index: terms for terms, index in self.terms.items()}
        terms = [
            [*factors, self.worth(item)]
            for item, expression in quantities_out.items()
            for factors in series_of[expression]
        ]
        return self.expression(*terms)


def _one(value: Value) -> Scalar:
    """The value now: the first knot of a series."""
    return value.knots[0][1] if isinstance(value, Series) else value


def compile_network(twin: Twin, name: str, resolve: Resolve) -> system.System:
    """Compile one network of a twin under the twin's active scenario.

    Parameters
    ----------
    name : instance under `supply`.
    resolve : looks facts and ports of other rooms up.

    Raises
    ------
    TwinError
        If a reference cannot be resolved.
    """
    net = twin.rooms["supply"][name]
    assert isinstance(net, model.Network)
    build = ParameterBuilder(twin.start, resolve)
    effects = build_effects(twin, name, net, build)
    compiler = Compiler(twin, name, net, build, effects)
    steps = compiler.steps()
    for position in sorted(net.buffers):
        compiler.node(net.buffers[position].item, net.buffers[position].location)
    demands = sorted(net.demands.items(), key=lambda pair: pair[1].priority)
    for _, demand in demands:
        compiler.node(demand.item, demand.location)
    return Assembly(compiler, steps, demands).assemble()
