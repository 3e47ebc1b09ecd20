"""From the state of a finished replication to rows of the result; the books are checked here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.events import CLOCK_SLOT
from firsttoken.kernel.sketch import BUCKETS, fill_quantiles
from firsttoken.line.machine import Machine
from firsttoken.line.result import QUANTILES, SHORT, STARVED, LineResult
from firsttoken.line.state import DYNAMIC
from firsttoken.line.system import System
from firsttoken.twin.findings import BalanceError

_COUNTS = ("finished", "scrapped", "released", "on_time", "escapes")


class Collector:
    """Arrays of a result, filled replication by replication from any thread.

    Parameters
    ----------
    since
        Start of the statistics in s if it is not the system's warm-up (forecasts).
    end
        End in s.
    """

    def __init__(self, system: System, replications: int, since: float | None, end: float) -> None:
        self.system = system
        self.since = min(system.warmup, end) if since is None else max(since, 0.0)
        self.end = end
        self.arrays = self._empty(replications)
        self._quantiles = np.array(QUANTILES)

    def _empty(self, r: int) -> dict[str, npt.NDArray[Any]]:
        system, tables = self.system, self.system.tables
        c, s, b = len(system.names.classes), len(tables.station), len(system.edges) - 1
        n, p, k = len(tables.pool), len(tables.product), len(tables.step)
        whole = {
            **dict.fromkeys(_COUNTS, (r, c)),
            "period_finished": (r, b, c), "period_wip": (r, b, c),
            "operations": (r, s), "pieces": (r, s), "failed": (r, s),
            "limit_missed": (r, k), "rework": (r, k), "events": (r,), "steps_done": (r,),
            "cycle_histogram": (c, BUCKETS),
        }  # fmt: skip
        real = {
            "tardiness": (r, c), "cycle_mean": (r, c), "cycle_sd": (r, c), "wip": (r, c),
            "cycle_quantiles": (r, c, len(QUANTILES)), "raw_time": (r, c),
            "period_cycle": (r, b, c), "state_time": (r, s, 8), "queue": (r, s), "wait": (r, s),
            "pool_used": (r, n), "pool_level": (r, n), "pool_peak": (r, n), "pool_short": (r, n),
            "period_pool": (r, b, n), "product_short": (r, p), "stock": (r, p),
            "order_finished": (r, len(system.order_lots)), "active_bottleneck": (r, s),
        }  # fmt: skip
        found: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(shape, np.int64) for name, shape in whole.items()
        }
        found |= {name: np.zeros(shape, np.float64) for name, shape in real.items()}
        found["histograms"] = np.zeros((r, c), object)
        return found

    def take(self, machine: Machine, row: int) -> None:
        """Fill row `row` of every array; raises `BalanceError` if the books do not balance."""
        self._classes(machine, row)
        self._stations(machine, row)
        self._resources(machine, row)
        self._periods(machine, row)
        out = self.arrays
        counts = machine.memory[DYNAMIC["count"]]
        steps = len(self.system.tables.step)
        out["limit_missed"][row] = counts["missed"][:steps]
        out["rework"][row] = counts["rework"][:steps]
        orders = len(self.system.order_lots)
        out["order_finished"][row] = machine.memory[DYNAMIC["order_finished"]]["v"][:orders]
        out["events"][row] = machine.memory[CLOCK_SLOT]["events"][0]
        out["steps_done"][row] = machine.memory[DYNAMIC["line"]]["operations"][0]
        self._check(machine, row)

    def _classes(self, machine: Machine, row: int) -> None:
        out, span = self.arrays, self.end - self.since
        count = len(self.system.names.classes)
        state = machine.memory[DYNAMIC["lot_class"]][:count]
        for name in _COUNTS:
            out[name][row] = state[name]
        with np.errstate(invalid="ignore", divide="ignore"):
            n = state["finished"].astype(np.float64)
            mean = state["cycle"] / n
            out["cycle_mean"][row] = mean
            variance = (state["cycle2"] - n * mean * mean) / (n - 1.0)
            out["cycle_sd"][row] = np.sqrt(np.maximum(variance, 0.0))
            out["raw_time"][row] = state["raw"] / n
            out["tardiness"][row] = state["late"] / state["dated"]
        out["wip"][row] = (state["area"] + state["lots"] * self.end) / span
        histogram = machine.memory[DYNAMIC["histogram"]]["v"].reshape(-1, BUCKETS)
        for c in range(count):
            found = histogram[c]
            fill_quantiles(found, self._quantiles, out["cycle_quantiles"][row, c])
            filled = np.flatnonzero(found)
            out["histograms"][row, c] = filled.astype(np.int32), found[filled].copy()

    def _stations(self, machine: Machine, row: int) -> None:
        out, span = self.arrays, self.end - self.since
        count = len(self.system.tables.station)
        state = machine.memory[DYNAMIC["place"]][:count]
        time = machine.memory[DYNAMIC["state_time"]]["v"][: count * 8].reshape(count, 8) / span
        short = np.minimum(state["short_area"] / span, time[:, STARVED])
        time[:, SHORT] += short
        time[:, STARVED] -= short
        out["state_time"][row] = time
        for name in ("operations", "pieces", "failed"):
            out[name][row] = state[name]
        out["queue"][row] = (state["queue_area"] + state["queued"] * self.end) / span
        with np.errstate(invalid="ignore", divide="ignore"):
            out["wait"][row] = state["wait"] / state["waits"]
        out["active_bottleneck"][row] = state["bottleneck"] / span

    def _resources(self, machine: Machine, row: int) -> None:
        out, span = self.arrays, self.end - self.since
        pools = len(self.system.tables.pool)
        products = len(self.system.tables.product)
        state = machine.memory[DYNAMIC["resource"]][: pools + products]
        out["pool_used"][row] = state["used_area"][:pools] / span
        out["pool_level"][row] = state["level_area"][:pools] / span
        out["pool_peak"][row] = state["peak"][:pools]
        out["pool_short"][row] = state["short_time"][:pools] / span
        out["product_short"][row] = state["short_time"][pools:] / span
        out["stock"][row] = state["used_area"][pools:] / span

    def _periods(self, machine: Machine, row: int) -> None:
        out, system = self.arrays, self.system
        periods, classes = len(system.edges) - 1, len(system.names.classes)
        state = machine.memory[DYNAMIC["period"]][: periods * classes].reshape(periods, classes)
        out["period_finished"][row] = state["finished"]
        out["period_cycle"][row] = state["cycle"]
        out["period_wip"][row] = state["lots"]
        pools = len(system.tables.pool)
        rows = pools + len(system.tables.product)
        used = machine.memory[DYNAMIC["period_pool"]]["v"][: periods * rows].reshape(periods, rows)
        out["period_pool"][row] = used[:, :pools] / np.diff(system.edges)[:, None]

    def _check(self, machine: Machine, row: int) -> None:
        """The books: lots begun are lots ended and lots in the line; no pool is owed anything."""
        count = len(self.system.names.classes)
        state = machine.memory[DYNAMIC["lot_class"]][:count]
        line = machine.memory[DYNAMIC["line"]][0]
        wrong = state["ever"] != state["ended"] + state["lots"]
        if np.any(wrong) or int(state["lots"].sum()) != int(line["lots"]):
            names = [self.system.names.classes[c] for c in np.flatnonzero(wrong)]
            raise BalanceError(f"lots do not balance in replication {row}: {', '.join(names)}")
        resources = machine.memory[DYNAMIC["resource"]]
        scale = np.maximum(resources["peak"], 1.0)
        if np.any(resources["used"] < -1e-6 * scale):
            raise BalanceError(f"more was given back than seized in replication {row}")

    def result(self) -> LineResult:
        """Return the arrays as a result."""
        arrays: dict[str, Any] = dict(self.arrays)
        histograms = arrays.pop("histograms")
        total = arrays["cycle_histogram"]
        for row in histograms:
            for c, (filled, counts) in enumerate(row):
                total[c, filled] += counts
        return LineResult(time=self.end - self.since, **arrays)
