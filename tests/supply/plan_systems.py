"""Small systems for plans: safety stock, lots and investments on top of `small_systems`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from tests.supply.small_systems import Small, Steps, Value

from firsttoken.supply.system import Investments, System


def profile(values: list[float], width: float = 1.0) -> Steps:
    """A series with one value a period."""
    return Steps(tuple((k * width, value) for k, value in enumerate(values)))


@dataclass
class Planned(Small):
    """A network under construction, with what only plans read."""

    minima: dict[str, Value] = field(default_factory=dict)
    lots: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    options: list[dict[str, object]] = field(default_factory=list)

    def minimum(self, node: str, value: Value) -> None:
        self.minima[node] = value

    def lot(self, activity: str, minimum: float | None = None, multiple: float | None = None):
        self.lots[activity] = (minimum, multiple)

    def invest(
        self,
        name: str,
        target: str,
        adds: float,
        cost: float,
        *,
        earliest: float = 0.0,
        latest: float | None = None,
        lead_time: float = 0.0,
        maximum: int = 1,
    ) -> None:
        latest = self.periods * self.width if latest is None else latest
        numbers = {
            "adds": adds,
            "cost": cost,
            "earliest": earliest,
            "latest": latest,
            "lead_time": lead_time,
        }
        row: dict[str, object] = {key: self.parameter(value) for key, value in numbers.items()}
        self.options.append({"name": name, "target": target, "maximum": maximum, **row})

    def plannable(self) -> System:
        minima = {node: self.expression(value) for node, value in self.minima.items()}
        lots = {
            activity: [-1 if v is None else self.parameter(v) for v in pair]
            for activity, pair in self.lots.items()
        }
        built = self.system()
        nodes, steps, shared = list(self.nodes), list(self.activities), list(self.resources)
        net = built.network
        lot_minimum, lot_multiple = net.lot_minimum.copy(), net.lot_multiple.copy()
        for activity, pair in lots.items():
            lot_minimum[steps.index(activity)], lot_multiple[steps.index(activity)] = pair
        stock_minimum = np.array([minima.get(node, -1) for node in nodes], np.int64)
        columns: dict[str, list[int]] = {key: [] for key in Investments._fields}
        for row in self.options:
            target = row["target"]
            columns["resource"].append(shared.index(target) if target in shared else -1)
            columns["activity"].append(steps.index(target) if target in steps else -1)
            for key in ("adds", "cost", "earliest", "latest", "lead_time", "maximum"):
                columns[key].append(row[key])
        return replace(
            built,
            names=replace(built.names, investments=tuple(str(r["name"]) for r in self.options)),
            network=net._replace(
                lot_minimum=lot_minimum, lot_multiple=lot_multiple, stock_minimum=stock_minimum
            ),
            investments=Investments(
                **{key: np.array(column, np.int64) for key, column in columns.items()}
            ),
        )
