"""Laying the compiled parts of a network out as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from firsttoken.kernel.expressions import Expressions
from firsttoken.supply import model, system
from firsttoken.supply.structure import node_name
from firsttoken.twin.dates import WEEK, period_edges

if TYPE_CHECKING:
    from firsttoken.supply.compile import Compiler, Step

_LATE_SHARE = 0.005 / WEEK
"""Default lateness penalty: a share of the price per second (0.5 % a week)."""

_RELEASE = {"push": system.PUSH, "plan": system.PLAN, "pull": system.PULL}


def _ints(values: Iterable[int]) -> system.Ints:
    return np.fromiter(values, dtype=np.int64)


def _lists(rows: Sequence[Sequence[int]]) -> tuple[system.Ints, system.Ints]:
    """Starts [n + 1], and the rows one after another."""
    starts = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return starts, _ints(value for row in rows for value in row)


class Assembly:
    """Turns the steps and demands of a compiled network into a `System`."""

    def __init__(
        self, compiler: Compiler, steps: list[Step], demands: list[tuple[str, model.Demand]]
    ) -> None:
        self.c, self.steps, self.demands = compiler, steps, demands
        self.net, self.build = compiler.net, compiler.build
        # A lane that carries several items with one capacity is a resource to them.
        self.shared = {
            step.key[1]: step
            for step in steps
            if step.kind == system.LANE and self._shares_capacity(step)
        }
        self.resources = {
            name: index for index, name in enumerate([*self.net.resources, *self.shared])
        }

    @staticmethod
    def _shares_capacity(step: Step) -> bool:
        lane = step.declared
        return isinstance(lane, model.Lane) and len(lane.items) > 1 and lane.capacity is not None

    def assemble(self) -> system.System:
        """The frozen arrays; freezes the parameter tables, so it is called once."""
        twin = self.c.twin
        absolute = np.array(period_edges(twin.start, twin.end, self.net.bucket))
        report = np.array(period_edges(twin.start, twin.end, self.net.report))
        middle = (absolute[:-1] + absolute[1:]) / 2
        # A last report period too short to hold the middle of a period joins the one before.
        report = report[: int(np.searchsorted(report, middle[-1], side="right")) + 1]
        report[-1] = max(report[-1], absolute[-1])
        network = self.network(absolute - twin.start)
        investments = self.investments()
        parameters, series = self.build.tables()
        return system.System(
            name=self.c.name,
            start=twin.start,
            edges=absolute - twin.start,
            report=np.searchsorted(report, middle, side="right").astype(np.int64) - 1,
            report_edges=report - twin.start,
            names=self.names(),
            parameters=parameters,
            series=series,
            expressions=self.expressions(),
            network=network,
            investments=investments,
            uncertain=_ints(sorted({row.parameter for row in self.build.inputs if row.once})),
            inputs=self.build.inputs,
            users={name: tuple(paths) for name, paths in self.build.users.items()},
        )

    def expressions(self) -> Expressions:
        """The table of all expressions asked for so far."""
        terms = list(self.c.terms)
        term, _ = _lists([[0] * len(expression) for expression in terms])
        factor, flat = _lists([list(product) for expression in terms for product in expression])
        return Expressions(term, factor, flat)

    def network(self, edges: system.Floats) -> system.Network:
        """Structure and expression indices."""
        return system.Network(
            **self.stock_arrays(),
            **self.activity_arrays(),
            **self.flow_arrays(),
            **self.demand_arrays(edges),
            **self.goal_arrays(),
            **self.loss_arrays(),
        )

    # Stock --------------------------------------------------------------------------------

    def stock_arrays(self) -> dict[str, system.Ints]:
        """Arrays over the stock nodes."""
        buffers = {(b.item, b.location): (name, b) for name, b in self.net.buffers.items()}
        columns: dict[str, list[int]] = {
            key: []
            for key in ("onhand", "stock_minimum", "stock_maximum", "base_stock", "holding_cost")
        }
        unit_cost: list[int] = []
        nothing = self.build.constant(0.0)
        for item, location in self.c.nodes:
            name, buffer = buffers.get((item, location), ("", None))
            path = self.c.path("buffers", name)
            unit_cost.append(self.c.worth_at_start(item))
            columns["holding_cost"].append(self._holding(item, buffer, path))
            if buffer is None:
                columns["onhand"].append(nothing)
                for key in ("stock_minimum", "stock_maximum", "base_stock"):
                    columns[key].append(-1)
                continue
            columns["onhand"].append(self.c.scalar(buffer, "onhand", path))
            columns["stock_minimum"].append(self.c.optional(buffer, "minimum", path))
            columns["stock_maximum"].append(self.c.optional(buffer, "maximum", path))
            columns["base_stock"].append(self.c.optional(buffer, "base_stock", path))
        return {key: _ints(column) for key, column in columns.items()} | {
            "unit_cost": _ints(unit_cost)
        }

    def _holding(self, item: str, buffer: model.Buffer | None, path: str) -> int:
        if buffer is not None and buffer.holding_cost is not None:
            return self.c.optional(buffer, "holding_cost", path)
        declared = self.net.items[item]
        if "holding_cost" not in declared.model_fields_set:
            return -1
        where = self.c.path("items", item, "holding_cost")
        return self.c.expression([self.c.slot(declared, "holding_cost", where), self.c.worth(item)])

    # Activities ---------------------------------------------------------------------------

    def activity_arrays(self) -> dict[str, system.Ints]:
        """Arrays over the activities, without their lists."""
        rows = [self._activity(step) for step in self.steps]
        keys = rows[0] if rows else {}
        return {key: _ints(row[key] for row in rows) for key in keys}

    def _activity(self, step: Step) -> dict[str, int]:
        c, declared = self.c, step.declared
        path = c.path(*step.key)
        open_factors = c.open_factors(step)
        limited = declared.capacity is not None and step.key[1] not in self.shared
        capacity = c.capacity_factors(declared, step.key) + open_factors if limited else None
        is_operation = isinstance(declared, model.Operation)
        yields = [c.slot(declared, "yield_", f"{path}.yield")] if is_operation else []
        return {
            "kind": step.kind,
            "yield_": c.expression([*yields, *c.effects.yields.get(step.key, [])]),
            "lead_time": c.lead_time(step),
            "capacity": -1 if capacity is None else c.expression(capacity),
            "available": c.expression(open_factors) if open_factors else -1,
            "cost": c.expression([c.slot(declared, "cost", f"{path}.cost")]),
            "setup_cost": c.optional(declared, "setup_cost", path),
            "duty": step.duty,
            "energy": c.optional(declared, "energy", path) if is_operation else -1,
            "priority": declared.priority,
            "share": c.scalar(declared, "share", path),
            "release": _RELEASE[self.net.release],
            "domestic": int(step.country in self.net.home),
            "lot_minimum": c.scalar(declared, "lot_minimum", path),
            "lot_multiple": c.scalar(declared, "lot_multiple", path),
        }

    def flow_arrays(self) -> dict[str, system.Ints]:
        """Bills of material, resource use and the resources."""
        arrays: dict[str, system.Ints] = {}
        for side, attribute in (("input", "inputs"), ("output", "outputs")):
            pairs = [getattr(step, attribute) for step in self.steps]
            arrays[f"{side}_start"], arrays[f"{side}_node"] = _lists(
                [[node for node, _ in row] for row in pairs]
            )
            _, arrays[f"{side}_quantity"] = _lists([[e for _, e in row] for row in pairs])
        uses = [self._uses(step) for step in self.steps]
        arrays["use_start"], arrays["use_resource"] = _lists([[r for r, _ in u] for u in uses])
        _, arrays["use_quantity"] = _lists([[e for _, e in u] for u in uses])
        arrays["resource_capacity"] = _ints(self._resource(name) for name in self.resources)
        return arrays

    def _uses(self, step: Step) -> list[tuple[int, int]]:
        path = self.c.path(*step.key, "uses")
        found = [
            (
                self.resources[name],
                self.c.expression([self.c.slot(step.declared, "uses", f"{path}.{name}", amount)]),
            )
            for name, amount in step.declared.uses.items()
        ]
        if step.key[1] in self.shared:
            found.append((self.resources[step.key[1]], self.c.expression([])))
        return found

    def _resource(self, name: str) -> int:
        if name in self.shared:
            step = self.shared[name]
            return self.c.expression(self.c.capacity_factors(step.declared, step.key))
        resource = self.net.resources[name]
        key = ("resources", name)
        factors = self.c.capacity_factors(resource, key) + self.c.calendar(resource.available)
        factors += self.c.calendar(self.net.locations[resource.at].available)
        return self.c.expression(factors + self.c.effects.closed.get(key, []))

    # Demands, goals, losses, investments --------------------------------------------------

    def demand_arrays(self, edges: system.Floats) -> dict[str, system.Ints]:
        """Arrays over the demands, most urgent first."""
        c = self.c
        columns: dict[str, list[int]] = {
            key: [] for key in ("demand_node", "demand_rate", "price", "late_cost", "lost")
        }
        for name, demand in self.demands:
            path = c.path("demands", name)
            worth = c.worth(demand.item)
            price = worth if demand.price is None else c.slot(demand, "price", f"{path}.price")
            late = [price, self.build.constant_series(_LATE_SHARE)]
            if demand.late_cost is not None:
                late = [c.slot(demand, "late_cost", f"{path}.late_cost")]
            columns["demand_node"].append(c.node(demand.item, demand.location))
            columns["demand_rate"].append(c.expression(*self._wanted(demand, path, edges)))
            columns["price"].append(c.expression([price]))
            columns["late_cost"].append(c.expression(late))
            columns["lost"].append(int(demand.lost))
        return {key: _ints(column) for key, column in columns.items()}

    def _wanted(self, demand: model.Demand, path: str, edges: system.Floats) -> list[list[int]]:
        """Terms of the demand rate: the stream, and a pulse of one period for the order."""
        terms: list[list[int]] = []
        if demand.rate is not None:
            terms.append([self.c.slot(demand, "rate", f"{path}.rate")])
        if demand.quantity is not None and demand.due is not None:
            build = self.build
            quantity = self.c.scalar(demand, "quantity", path)
            due = self.c.scalar(demand, "due", path)
            moment = build.fixed(due)
            start, length = due, float(edges[1] - edges[0])
            if moment is not None:  # a known date fills exactly its own period
                period = int(np.searchsorted(edges, moment, side="right")) - 1
                period = min(max(period, 0), edges.size - 2)
                start = build.constant(float(edges[period]))
                length = float(edges[period + 1] - edges[period])
            end = build.total(start, build.constant(length))
            height = build.product(quantity, build.constant(1.0 / length))
            nothing = build.constant(0.0)
            knots = ((build.beginning(), nothing), (start, height), (end, nothing))
            terms.append([build.steps(knots)])
        return terms

    def goal_arrays(self) -> dict[str, system.Ints]:
        """Arrays over the goals."""
        targets: list[int] = []
        members: list[list[int]] = []
        values: list[list[int]] = []
        for name, goal in self.net.goals.items():
            inside = [
                position
                for position, step in enumerate(self.steps)
                if (step.declared.stage or step.name) == goal.stage and step.country == goal.country
            ]
            targets.append(self.c.scalar_now(goal, "target", self.c.path("goals", name)))
            members.append(inside)
            values.append([self.c.goal_worth(self.steps[position]) for position in inside])
        starts, flat = _lists(members)
        return {
            "goal_target": _ints(targets),
            "goal_start": starts,
            "goal_activity": flat,
            "goal_value": _lists(values)[1],
        }

    def loss_arrays(self) -> dict[str, system.Ints]:
        """Arrays over the losses of stock and work in process."""
        losses = self.c.effects.losses
        nodes = [
            [i for i, (_, location) in enumerate(self.c.nodes) if location == loss.location]
            for loss in losses
        ]
        inside = [
            [
                position
                for position, step in enumerate(self.steps)
                if step.kind == system.OPERATION and step.location == loss.location
            ]
            for loss in losses
        ]
        node_start, node = _lists(nodes)
        activity_start, activity = _lists(inside)
        return {
            "loss_time": _ints(loss.time for loss in losses),
            "loss_share": _ints(loss.share for loss in losses),
            "loss_node_start": node_start,
            "loss_node": node,
            "loss_activity_start": activity_start,
            "loss_activity": activity,
        }

    def investments(self) -> system.Investments:
        """Arrays over the options to buy capacity."""
        names = [step.name for step in self.steps]
        columns: dict[str, list[int]] = {key: [] for key in system.Investments._fields}
        end = self.build.constant(self.c.twin.end - self.c.twin.start)
        for name, option in self.net.investments.items():
            path = self.c.path("investments", name)
            is_resource = option.target in self.resources
            columns["resource"].append(self.resources[option.target] if is_resource else -1)
            columns["activity"].append(-1 if is_resource else names.index(option.target))
            for key in ("adds", "cost", "lead_time"):
                columns[key].append(self.c.scalar(option, key, path))
            earliest = self.c.scalar(option, "earliest", path)
            latest = self.c.scalar(option, "latest", path)
            columns["earliest"].append(self.build.constant(0.0) if earliest < 0 else earliest)
            columns["latest"].append(end if latest < 0 else latest)
            columns["maximum"].append(option.maximum)
        return system.Investments(**{key: _ints(column) for key, column in columns.items()})

    def names(self) -> system.Names:
        """Index to name."""
        stages = [step.declared.stage or step.name for step in self.steps]
        resource_stages = [
            self.net.resources[name].stage or name if name in self.net.resources else name
            for name in self.resources
        ]
        places = [
            self.net.resources[name].at
            if name in self.net.resources
            else self.shared[name].location
            for name in self.resources
        ]
        return system.Names(
            nodes=tuple(node_name(item, location) for item, location in self.c.nodes),
            node_item=tuple(item for item, _ in self.c.nodes),
            node_location=tuple(location for _, location in self.c.nodes),
            activities=tuple(step.name for step in self.steps),
            activity_stage=tuple(stages),
            activity_location=tuple(step.location for step in self.steps),
            activity_country=tuple(step.country for step in self.steps),
            resources=tuple(self.resources),
            resource_stage=tuple(resource_stages),
            resource_location=tuple(places),
            demands=tuple(name for name, _ in self.demands),
            goals=tuple(self.net.goals),
            investments=tuple(self.net.investments),
        )
