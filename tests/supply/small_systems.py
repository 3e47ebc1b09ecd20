"""Builds small systems by hand, without a twin file: periods of one second, prices in USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.expressions import Expressions
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.kernel.streams import entity_key
from firsttoken.supply.system import (
    PLAN,
    PULL,
    PUSH,
    Investments,
    Names,
    Network,
    System,
)

EXPRESSIONS = (
    "yield_",
    "lead_time",
    "capacity",
    "available",
    "cost",
    "setup_cost",
    "duty",
    "energy",
)
ACTIVITY_COLUMNS = (*EXPRESSIONS, "release", "priority", "share", "domestic")

RELEASE = {"push": PUSH, "plan": PLAN, "pull": PULL}


@dataclass(frozen=True)
class Draw:
    """A distribution: drawn each period, or once a replication."""

    code: int
    args: tuple[float, ...]
    once: bool = False


@dataclass(frozen=True)
class Steps:
    """A step series of (time, value) knots; values are numbers or draws (once)."""

    knots: tuple[tuple[float, float | Draw], ...]
    kind: int = codes.STEP


Value = float | Draw | Steps


def normal(mean: float, deviation: float) -> Draw:
    return Draw(codes.NORMAL, (mean, deviation))


def uniform(low: float, high: float, *, once: bool = False) -> Draw:
    return Draw(codes.UNIFORM, (low, high), once)


def triangular(low: float, mode: float, high: float) -> Draw:
    return Draw(codes.TRIANGULAR, (low, mode, high))


@dataclass
class Small:
    """A network under construction; `report` maps periods to report periods."""

    periods: int
    width: float = 1.0
    report: Sequence[int] | None = None
    edges: Sequence[float] | None = None
    codes_: list[int] = field(default_factory=list)
    args: list[list[float]] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    table: list[list[float]] = field(default_factory=list)
    series: list[tuple[int, list[int], list[int]]] = field(default_factory=list)
    expressions: list[list[list[int]]] = field(default_factory=list)
    nodes: dict[str, dict[str, int]] = field(default_factory=dict)
    activities: dict[str, dict[str, object]] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)
    demands: dict[str, dict[str, object]] = field(default_factory=dict)
    goals: list[tuple[int, list[tuple[str, int]]]] = field(default_factory=list)
    losses: list[tuple[int, int, list[str], list[str]]] = field(default_factory=list)
    uncertain: list[int] = field(default_factory=list)

    def parameter(self, value: float | Draw, path: str = "") -> int:
        if isinstance(value, Draw):
            args = list(value.args)
            if value.code in (codes.DISCRETE, codes.EMPIRICAL):
                rows = np.reshape(args, (-1, 2)).tolist()
                args = [len(self.table), len(rows)]
                self.table += rows
            self.codes_.append(value.code)
            self.args.append([*args, *[0.0] * (4 - len(args))])
            if value.once:
                self.uncertain.append(len(self.codes_) - 1)
        else:
            self.codes_.append(codes.CONSTANT)
            self.args.append([float(value), 0.0, 0.0, 0.0])
        self.keys.append(entity_key(path or f"parameter {len(self.codes_)}"))
        return len(self.codes_) - 1

    def expression(self, value: Value, path: str = "") -> int:
        if isinstance(value, Steps):
            times = [self.parameter(time) for time, _ in value.knots]
            levels = [
                self.parameter(level, f"{path}.{k}") for k, (_, level) in enumerate(value.knots)
            ]
            self.series.append((value.kind, times, levels))
        else:
            kind = codes.STEP
            if isinstance(value, Draw) and not value.once:
                kind = codes.NOISE
            self.series.append((kind, [self.parameter(0.0)], [self.parameter(value, path)]))
        self.expressions.append([[len(self.series) - 1]])
        return len(self.expressions) - 1

    def maybe(self, value: Value | None, path: str = "") -> int:
        return -1 if value is None else self.expression(value, path)

    def node(
        self,
        name: str,
        onhand: float = 0.0,
        *,
        unit_cost: float = 0.0,
        holding: Value | None = None,
        base_stock: Value | None = None,
        maximum: Value | None = None,
    ) -> str:
        self.nodes[name] = {
            "onhand": self.parameter(onhand),
            "unit_cost": self.parameter(unit_cost),
            "stock_minimum": -1,
            "stock_maximum": self.maybe(maximum),
            "base_stock": self.maybe(base_stock),
            "holding_cost": self.maybe(holding),
        }
        return name

    def activity(
        self,
        name: str,
        inputs: Mapping[str, Value] | None = None,
        outputs: Mapping[str, Value] | None = None,
        *,
        uses: Mapping[str, Value] | None = None,
        release: str = "push",
        priority: int = 10,
        share: float | None = None,
        domestic: bool = False,
        **values: Value,
    ) -> str:
        row: dict[str, object] = {
            "inputs": [(n, self.expression(v)) for n, v in (inputs or {}).items()],
            "outputs": [(n, self.expression(v)) for n, v in (outputs or {}).items()],
            "uses": [(n, self.expression(v)) for n, v in (uses or {}).items()],
            "release": RELEASE[release],
            "priority": priority,
            "share": -1 if share is None else self.parameter(share),
            "domestic": int(domestic),
        }
        for key in EXPRESSIONS:
            row[key] = self.maybe(values.pop(key, None), f"{name}.{key}")
        assert not values, values
        self.activities[name] = row
        return name

    def resource(self, name: str, capacity: Value) -> str:
        self.resources[name] = self.expression(capacity, name)
        return name

    def demand(
        self,
        name: str,
        node: str,
        rate: Value,
        *,
        price: Value | None = None,
        late_cost: Value | None = None,
        lost: bool = False,
    ) -> None:
        self.demands[name] = {
            "node": node,
            "rate": self.expression(rate, f"{name}.rate"),
            "price": self.maybe(price),
            "late_cost": self.maybe(late_cost),
            "lost": int(lost),
        }

    def goal(self, target: float, values: Mapping[str, Value]) -> None:
        rows = [(a, self.expression(v)) for a, v in values.items()]
        self.goals.append((self.parameter(target), rows))

    def loss(
        self, time: float, share: float, nodes: Sequence[str], activities: Sequence[str] = ()
    ) -> None:
        row = (self.parameter(time), self.parameter(share), list(nodes), list(activities))
        self.losses.append(row)

    def system(self) -> System:
        edges = np.arange(self.periods + 1) * self.width
        if self.edges is not None:
            edges = np.array(self.edges, float)
        report = np.arange(self.periods) if self.report is None else np.array(self.report)
        report = report.astype(np.int64)
        changes = np.flatnonzero(np.diff(report, prepend=-1))
        return System(
            name="small",
            start=0.0,
            edges=edges,
            report=report,
            report_edges=np.append(edges[changes], edges[-1]),
            names=self._names(),
            parameters=ParameterTable(
                np.array(self.codes_, np.int64),
                np.reshape(np.array(self.args, float), (-1, 4)),
                np.array(self.keys, np.uint32),
                np.reshape(np.array(self.table, float), (-1, 2)),
            ),
            series=self._series(),
            expressions=self._expressions(),
            network=self._network(),
            investments=Investments(*(_ints([]) for _ in Investments._fields)),
            uncertain=_ints(self.uncertain),
            inputs=(),
        )

    def _names(self) -> Names:
        nodes, activities = tuple(self.nodes), tuple(self.activities)
        resources = tuple(self.resources)
        return Names(
            nodes=nodes,
            node_item=nodes,
            node_location=("here",) * len(nodes),
            activities=activities,
            activity_stage=activities,
            activity_location=("here",) * len(activities),
            activity_country=("US",) * len(activities),
            resources=resources,
            resource_stage=resources,
            resource_location=("here",) * len(resources),
            demands=tuple(self.demands),
            goals=tuple(f"goal {g}" for g in range(len(self.goals))),
            investments=(),
        )

    def _series(self) -> SeriesTable:
        starts, times = _lists([row[1] for row in self.series])
        levels = _lists([row[2] for row in self.series])[1]
        return SeriesTable(_ints([row[0] for row in self.series]), starts, times, levels)

    def _expressions(self) -> Expressions:
        term, _ = _lists([[0] * len(e) for e in self.expressions])
        factor, flat = _lists([t for e in self.expressions for t in e])
        return Expressions(term, factor, flat)

    def _network(self) -> Network:
        place = {name: k for k, name in enumerate(self.nodes)}
        index = {name: k for k, name in enumerate(self.activities)}
        machine = {name: k for k, name in enumerate(self.resources)}
        rows = list(self.activities.values())
        arrays: dict[str, object] = {}
        for key in ("onhand", "unit_cost", "stock_minimum", "stock_maximum", "base_stock"):
            arrays[key] = _ints([row[key] for row in self.nodes.values()])
        arrays["holding_cost"] = _ints([row["holding_cost"] for row in self.nodes.values()])
        lists = (("input", "inputs", "node", place), ("output", "outputs", "node", place))
        for key, attribute, noun, where in (*lists, ("use", "uses", "resource", machine)):
            start, flat = _lists([[where[n] for n, _ in row[attribute]] for row in rows])
            arrays[f"{key}_start"], arrays[f"{key}_{noun}"] = start, flat
            arrays[f"{key}_quantity"] = _lists([[e for _, e in row[attribute]] for row in rows])[1]
        lots = {"kind": 0, "lot_minimum": -1, "lot_multiple": -1}
        for key in Network._fields:
            if key in lots:
                arrays[key] = np.full(len(rows), lots[key], np.int64)
            elif key in ACTIVITY_COLUMNS:
                arrays[key] = _ints([row[key] for row in rows])
        arrays["resource_capacity"] = _ints(self.resources.values())
        orders = list(self.demands.values())
        arrays["demand_node"] = _ints([place[row["node"]] for row in orders])
        for key in ("price", "late_cost", "lost"):
            arrays[key] = _ints([row[key] for row in orders])
        arrays["demand_rate"] = _ints([row["rate"] for row in orders])
        arrays["goal_target"] = _ints([target for target, _ in self.goals])
        arrays["goal_start"], arrays["goal_activity"] = _lists(
            [[index[a] for a, _ in members] for _, members in self.goals]
        )
        arrays["goal_value"] = _lists([[e for _, e in members] for _, members in self.goals])[1]
        arrays["loss_time"] = _ints([row[0] for row in self.losses])
        arrays["loss_share"] = _ints([row[1] for row in self.losses])
        arrays["loss_node_start"], arrays["loss_node"] = _lists(
            [[place[n] for n in row[2]] for row in self.losses]
        )
        arrays["loss_activity_start"], arrays["loss_activity"] = _lists(
            [[index[a] for a in row[3]] for row in self.losses]
        )
        return Network(**arrays)


def _ints(values: object) -> np.ndarray:
    return np.array(list(values), np.int64)


def _lists(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    start = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return start, _ints(value for row in rows for value in row)
