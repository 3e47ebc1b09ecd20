"""Reading a run for the report: rows of the base scenario, sources by number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from firsttoken.report.formats import label
from firsttoken.results.compare import rows_of
from firsttoken.results.store import Results

Row = dict[str, Any]


class Reading:
    """A run's tables as rows, read once each.

    Attributes
    ----------
    base : name of the scenario that the report tells; the others are compared with it.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.run = results.run
        names = results.run.scenario_names
        self.base = names[0] if names else ""
        self._rows: dict[str, list[Row]] = {}
        self._by_scenario: dict[str, dict[str, list[Row]]] = {}
        self._final_stage: str | None = None
        self._makers: dict[tuple[str, str], list[str]] | None = None
        self.sources = Sources(self.inputs())

    def all(self, table: str) -> list[Row]:
        """Rows of every scenario; none if the run has no such table."""
        if table not in self._rows:
            held = table in self.results
            self._rows[table] = rows_of(self.results.table(table)) if held else []
        return self._rows[table]

    def rows(self, table: str, scenario: str | None = None, **equal: str) -> list[Row]:
        """Rows of a scenario (the base) whose columns equal the given values."""
        if table not in self._by_scenario:
            grouped: dict[str, list[Row]] = {}
            for row in self.all(table):
                grouped.setdefault(row["scenario"], []).append(row)
            self._by_scenario[table] = grouped
        rows = self._by_scenario[table].get(self.base if scenario is None else scenario, [])
        for column, value in equal.items():
            rows = [row for row in rows if row.get(column) == value]
        return list(rows)

    def simulated(self, table: str, scenario: str | None = None, **equal: str) -> list[Row]:
        """As `rows`, of the simulation if it was run, else of the plan."""
        rows = self.rows(table, scenario, **equal)
        found = [row for row in rows if row.get("engine") == "simulation"]
        return found or rows

    def tables(self, ending: str) -> list[str]:
        """Names of the tables of all rooms that end so."""
        return [name for name in self.results.tables if name.endswith(ending)]

    def inputs(self, scenario: str | None = None) -> list[Row]:
        """Inputs of all rooms; one that several use stands once, with all its users."""
        found: dict[tuple[str, str], Row] = {}
        for table in self.tables("_inputs"):
            for row in self.rows(table, scenario):
                key = row["path"], str(row.get("valid_from", ""))
                known = found.setdefault(key, dict(row))
                users = str(known.get("used_by", "")).split("; ") + str(
                    row.get("used_by", "")
                ).split("; ")
                known["used_by"] = "; ".join(unique(users))
        return list(found.values())

    def figures(self) -> list[Row]:
        """Headline figures of all rooms and scenarios."""
        return [
            row
            for table in self.tables("_summary")
            for row in self.all(table)
            if "kpi" in row and "label" in row
        ]

    def lines(self) -> list[str]:
        """Names of the production lines, in order."""
        rows = [*self.rows("line_summary"), *self.rows("line_forecast")]
        return unique(row["line"] for row in rows)

    def figure(self, line: str, kpi: str) -> Row | None:
        """A headline figure of a line; None if it is not known."""
        for row in self.rows("line_summary", kpi=f"{line}.{kpi}"):
            return row if math.isfinite(row["p50"]) else None
        return None

    def title(self, scenario: str) -> str:
        """A scenario's name as words."""
        return label(scenario)

    def makers(self, node: str) -> list[str]:
        """Names of the activities that a node of the flows stands for (`stage · location`)."""
        if self._makers is None:
            grouped = by(self.rows("supply_activity"), "stage", "location")
            self._makers = {
                key: unique(row["activity"] for row in rows) for key, rows in grouped.items()
            }
        parts = node_parts(node)
        return self._makers.get((parts[0], parts[-1])) or parts[:1]

    def final_stage(self) -> str:
        """The stage that the chain is for.

        That which is observed; else the one that sends most value to the chain's ends; else
        the last of the table.
        """
        if self._final_stage is None:
            self._final_stage = self._find_final_stage()
        return self._final_stage

    def _find_final_stage(self) -> str:
        flows = [row for row in self.simulated("supply_flow") if str(row["year"]) == "all"]
        begun = {row["stage_from"] for row in flows}
        stages: list[str] = unique(row["stage"] for row in self.all("supply_stage"))
        value: dict[str, float] = {}
        for row in flows:
            for end in (row["stage_to"], row["stage_from"]):
                if row["stage_to"] not in begun and math.isfinite(row["value_usd"]):
                    value[end] = value.get(end, 0.0) + float(row["value_usd"])
        ends = sorted(value, key=lambda stage: -value[stage])
        observed = self._observed_stage()
        candidates: list[str] = [*observed, *ends, *reversed(stages)]
        return next((stage for stage in candidates if stage in stages), "")

    def _observed_stage(self) -> list[str]:
        """The stage that the first observation compares with, where the tables tell."""
        medians = {
            (row["period"], row["p50"]): row["stage"]
            for row in self.simulated("supply_stage", metric="completed")
            if row["p50"] > 0
        }
        rows = self.rows("supply_observation")
        told = [str(row.get("stage", "")) for row in rows]
        return unique(told + [medians.get((row["period"], row["p50"]), "") for row in rows])

    def chain_order(self) -> dict[str, int]:
        """Stage -> place along the chain: longest path of the flows, then the table's order."""
        flows = [
            (row["stage_from"], row["stage_to"])
            for row in self.simulated("supply_flow")
            if row["stage_from"] != row["stage_to"]
        ]
        pairs = sorted(set(flows))
        stages = unique(row["stage"] for row in self.all("supply_stage"))
        stages = unique([*stages, *(row["stage"] for row in self.all("supply_binding"))])
        depth = dict.fromkeys((*stages, *(end for pair in pairs for end in pair)), 0)
        for _ in range(len(depth)):
            for first, second in pairs:
                if depth[second] <= depth[first] < len(depth):
                    depth[second] = depth[first] + 1
        order = sorted(depth, key=lambda s: (depth[s], stages.index(s) if s in stages else 0))
        return {stage: i for i, stage in enumerate(order)}


class Sources:
    """The inputs' sources, numbered in the order of the inputs' table."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._segments: dict[str, list[int]] = {}
        self._paths: dict[str, list[int]] = {}
        for number, row in enumerate(rows, 1):
            for name in {row["path"], row.get("fact") or row["path"]}:
                self._paths.setdefault(name, []).append(number)
            slots = [row["path"], *str(row.get("used_by", "")).split("; ")]
            for segment in {part for slot in slots for part in slot.split(".")}:
                self._segments.setdefault(segment, []).append(number)

    def numbers(self, *names: str) -> list[int]:
        """Numbers of the inputs at a path, or below anything of that name."""
        found: list[int] = []
        for name in names:
            found += self._paths.get(name) or self._segments.get(name, [])
        return sorted(set(found))

    def anchor(self, *names: str) -> str:
        """The anchor of the first input of these names, '' if there is none."""
        numbers = self.numbers(*names)
        return f"input-{numbers[0]}" if numbers else ""

    def notes(self, *names: str, most: int = 5) -> Markup:
        """Superscript links to the inputs of these names."""
        numbers = self.numbers(*names)[:most]
        links = Markup(" ").join(
            Markup('<a href="#input-{0}">{0}</a>').format(number) for number in numbers
        )
        return Markup('<sup class="ref">{}</sup>').format(links) if links else Markup("")


def unique(items: Iterable[str]) -> list[str]:
    """The items without repeats or '', in order."""
    return [item for item in dict.fromkeys(items) if item]


def node_parts(node: str) -> list[str]:
    """Stage and location of a node of the flows, `stage · location`."""
    return [part.strip() for part in node.replace(" @ ", " · ").split(" · ") if part.strip()]


def worth_of_percent(row: Row) -> float:
    """Worth in USD of one per cent more of a capacity: its shadow price times 1 % of it.

    Unlike the worth of one more unit, it compares capacities that are measured differently.
    """
    worth = float(row["marginal_usd"]) / float(row["step"]) * float(row["capacity"]) / 100
    return worth if math.isfinite(worth) else 0.0


def by(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows grouped by columns, groups in order of appearance."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def periods_of(rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """First days and labels of the periods that occur, in order."""
    found = {row["period"]: row["label"] for row in rows}
    order = sorted(found)
    return order, [str(found[period]) for period in order]
