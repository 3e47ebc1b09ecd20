"""From an analysis to named tables with units, and the sentences that say what to change next."""

from __future__ import annotations

import numpy as np

from firsttoken.kernel.statistics import Interval
from firsttoken.line import analyse_changes as changes
from firsttoken.line import model
from firsttoken.line.analyse import Analysis
from firsttoken.line.analyse_changes import Effect
from firsttoken.line.kpi_rows import HOUR, WEEK, figure, percent, shown_unit
from firsttoken.line.result import (
    BLOCKED,
    CLOSED,
    DOWN,
    MAINTENANCE,
    SETUP,
    SHORT,
    STARVED,
    WORKING,
)
from firsttoken.line.system import NONE, System
from firsttoken.twin.result_rows import Rows
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.units import plural

_BUSY = (WORKING, SETUP, DOWN, MAINTENANCE)


def analysis_tables(
    scenario: str, line: model.Line, system: System, found: Analysis
) -> list[ResultTable]:
    """All tables of the analysis of a line."""
    return [
        _Writer(scenario, line, system, found).bottlenecks(),
        _Writer(scenario, line, system, found).sensitivity(),
        _Writer(scenario, line, system, found).buffers(),
        _Writer(scenario, line, system, found).floor(),
    ]


class _Writer:
    """Writes the tables of one analysis."""

    def __init__(self, scenario: str, line: model.Line, system: System, found: Analysis) -> None:
        self.fixed = {"scenario": scenario, "line": system.names.line}
        self.line, self.system, self.found = line, system, found
        self.unit = f"{line.unit}/week"

    def rows(self, name: str, text: str, keys: tuple[str, ...], *columns: str) -> Rows:
        first = ("scenario", "line")
        return Rows(name, text, (*first, *keys), *first, *keys, *columns)

    # What binds ------------------------------------------------------------------------------

    def bottlenecks(self) -> ResultTable:
        """One row a station, pool and budget; what binds most first."""
        rows = self.rows(
            "line_bottlenecks",
            "How each station, pool and budget limits the line: its use, its waiting, the share "
            "of time with the longest active period (Roser 2001), whether waiting turns at it "
            "(Li 2009), and the most that one step of change in it brings.",
            ("kind", "name"),
            *("rank", "use", "blocked", "starved", "short", "active", "active_low"),
            *("active_high", "turning", "change", "gain", "gain_low", "gain_high", "sure"),
        )
        best = self._best()
        entries = [*self._stations(), *self._pools()]
        entries.sort(key=lambda e: self._order(best.get(e[:2]), e[2]))
        for rank, (kind, name, values) in enumerate(entries, 1):
            effect = best.get((kind, name))
            gain = self._gain(effect)
            change = "" if effect is None else f"{effect.change.parameter} {effect.change.step}"
            rows.add(
                **self.fixed,
                kind=kind,
                name=name,
                rank=rank,
                **values,
                change=change,
                gain=gain.estimate,
                gain_low=gain.low,
                gain_high=gain.high,
                sure=effect is not None and effect.sure,
            )
        return rows.table()

    def _order(self, effect: Effect | None, values: dict[str, float]) -> tuple[float, ...]:
        """Sort key: what surely brings most, then the longest active, then the most used."""
        gain = self._gain(effect).estimate if effect is not None and effect.sure else 0.0
        return -gain, -values["active"], -values["use"]

    def _best(self) -> dict[tuple[str, str], Effect]:
        """The change of most throughput of each station, pool and budget."""
        best: dict[tuple[str, str], Effect] = {}
        for effect in self.found.sensitivity.effects:
            # They come ranked: the first of each is its best.
            best.setdefault((effect.change.kind, effect.change.name), effect)
        return best

    def _gain(self, effect: Effect | None) -> Interval:
        """Gain as a share of the throughput."""
        rate = self.found.sensitivity.throughput.estimate
        if effect is None or not rate > 0:
            return Interval(np.nan, np.nan, np.nan)
        return Interval(*(value / rate for value in effect.throughput))

    def _stations(self) -> list[tuple[str, str, dict[str, float]]]:
        time = self.found.result.state_time.mean(axis=0)
        opened = time.sum(axis=1) - time[:, CLOSED]
        found = self.found.bottlenecks
        entries = []
        for s, name in enumerate(self.system.names.stations):
            whole = opened[s] if opened[s] > 0 else np.inf
            active = found.active[s]
            values = {
                "use": float(time[s, _BUSY].sum() / whole),
                "blocked": float(time[s, BLOCKED] / whole),
                "starved": float(time[s, STARVED] / whole),
                "short": float(time[s, SHORT] / whole),
                "active": active.estimate,
                "active_low": active.low,
                "active_high": active.high,
                "turning": float(found.turning[s]),
            }
            entries.append((changes.STATION, name, values))
        return entries

    def _pools(self) -> list[tuple[str, str, dict[str, float]]]:
        used = self.found.result.pool_used.mean(axis=0)
        level = self.found.result.pool_level.mean(axis=0)
        short = self.found.result.pool_short.mean(axis=0)
        entries = []
        nothing = dict.fromkeys(
            ("blocked", "starved", "active_low", "active_high", "turning"), np.nan
        )
        for n, name in enumerate(self.system.names.pools):
            kind = changes.BUDGET if self.system.tables.pool["budget"][n] else changes.POOL
            use = float(used[n] / level[n]) if level[n] > 0 else 0.0
            values = {**nothing, "use": use, "short": float(short[n]), "active": 0.0}
            entries.append((kind, name, values))
        return entries

    # What to change --------------------------------------------------------------------------

    def sensitivity(self) -> ResultTable:
        """One row a change, the best first."""
        rows = self.rows(
            "line_sensitivity",
            "What one small step of each parameter brings, by paired simulations with common "
            "random numbers and 95 % intervals, the best first; `sure` and `quicker`: beyond "
            "doubt, among so many, it raises the throughput or shortens the cycle time.",
            ("kind", "name", "parameter"),
            *("rank", "step", "unit", "throughput", "low", "high", "share", "cycle_time"),
            *("cycle_time_low", "cycle_time_high", "cycle_time_share", "sure", "quicker"),
            *("replications", "sentence"),
        )
        rate = self.found.sensitivity.throughput.estimate
        cycle = self.found.sensitivity.cycle_time.estimate
        for rank, effect in enumerate(self.found.sensitivity.effects, 1):
            more, sooner = effect.throughput, effect.cycle_time
            rows.add(
                **self.fixed,
                kind=effect.change.kind,
                name=effect.change.name,
                parameter=effect.change.parameter,
                rank=rank,
                step=effect.change.step,
                unit=self.unit,
                throughput=more.estimate * WEEK,
                low=more.low * WEEK,
                high=more.high * WEEK,
                share=more.estimate / rate if rate > 0 else np.nan,
                cycle_time=sooner.estimate / HOUR,
                cycle_time_low=sooner.low / HOUR,
                cycle_time_high=sooner.high / HOUR,
                cycle_time_share=sooner.estimate / cycle if cycle > 0 else np.nan,
                sure=effect.sure,
                quicker=effect.quicker,
                replications=effect.replications,
                sentence=self.sentence(effect),
            )
        return rows.table(
            dict.fromkeys(("cycle_time", "cycle_time_low", "cycle_time_high"), "hour")
        )

    def sentence(self, effect: Effect) -> str:
        """What one change brings, in words."""
        change = effect.change
        head = f"{change.name}: {_words(change.parameter, change.step)}"
        rate = self.found.sensitivity.throughput.estimate
        if effect.sure or (effect.throughput.low > 0 and not effect.quicker):
            more = effect.throughput
            low, high = (figure(value * WEEK) for value in (more.low, more.high))
            share = percent(more.estimate / rate)
            many = plural(self.line.unit)
            tail = f"+{figure(more.estimate * WEEK)} {many} a week (+{share}; {low} to {high})"
            if effect.quicker:
                tail += f", {figure(-effect.cycle_time.estimate / HOUR)} h sooner"
            if not effect.sure:
                tail += ", perhaps"
        elif effect.quicker:
            least, most = (figure(-value / HOUR) for value in effect.cycle_time[:0:-1])
            tail = f"each {self.line.unit} {figure(-effect.cycle_time.estimate / HOUR)} h sooner"
            tail += f" ({least} to {most})"
        else:
            tail = "no gain that could be seen"
        return f"{head} = {tail}"

    # Buffers -----------------------------------------------------------------------------------

    def buffers(self) -> ResultTable:
        """One row a limited buffer: now, and in the best split of the same space."""
        rows = self.rows(
            "line_buffers",
            "The best split of the present buffer space over the stations with limited buffers; "
            "gain: of the whole line, by paired simulations with a 95 % interval.",
            ("station",),
            *("places", "best", "unit", "throughput", "throughput_best", "gain", "gain_low"),
            *("gain_high", "splits", "exhaustive", "decided"),
        )
        found = self.found.buffers
        for i, s in enumerate(found.stations if found is not None else ()):
            assert found is not None
            rows.add(
                **self.fixed,
                station=self.system.names.stations[s],
                places=found.now[i],
                best=found.best[i],
                unit=self.unit,
                throughput=found.throughput_now.estimate * WEEK,
                throughput_best=found.throughput_best.estimate * WEEK,
                gain=found.gain.estimate * WEEK,
                gain_low=found.gain.low * WEEK,
                gain_high=found.gain.high * WEEK,
                splits=found.lines,
                exhaustive=found.exhaustive,
                decided=found.decided,
            )
        return rows.table()

    # Test floor --------------------------------------------------------------------------------

    def floor(self) -> ResultTable:
        """One row a station and budget: the law and the simulation; `all` sums a budget up."""
        rows = self.rows(
            "line_test_floor",
            "The law of the test floor (slots = rate x time / first-pass yield; draw = slots x "
            "draw of one) beside the simulation, for each station that draws on a budget: slots at "
            "work; `all` is what is drawn, also by work in hand on servers that stand still.",
            ("station", "budget"),
            *("rate_unit", "rate", "time", "first_pass", "slots_law", "slots", "slots_low"),
            *("slots_high", "unit", "draw_law", "draw", "draw_low", "draw_high", "level"),
            *("servers", "servers_law"),
        )
        for row in self.found.floor:
            unit, scale = shown_unit(self.system.names.pool_units[row.budget])
            whole = row.station == NONE
            rows.add(
                **self.fixed,
                station="all" if whole else self.system.names.stations[row.station],
                budget=self.system.names.pools[row.budget],
                rate_unit=self.unit,
                rate=row.rate * WEEK,
                time=row.time / HOUR,
                first_pass=row.passes,
                slots_law=row.slots,
                slots=row.slots_simulated.estimate,
                slots_low=row.slots_simulated.low,
                slots_high=row.slots_simulated.high,
                unit=unit,
                draw_law=row.draw * scale,
                draw=row.draw_simulated.estimate * scale,
                draw_low=row.draw_simulated.low * scale,
                draw_high=row.draw_simulated.high * scale,
                level=row.level * scale,
                servers=row.servers,
                servers_law=row.needed,
            )
        return rows.table({"time": "hour"})


def _words(parameter: str, step: str) -> str:
    """A change as a person says it: `one more server`, `time -5 %`."""
    more = {
        "servers": "one more server",
        "buffer": "one more place in its buffer",
        "count": "one more" if step == "+1" else f"{step.removeprefix('+')} more",
        "level": f"{step.removeprefix('+')} more",
        "releases": "5 % more releases" if step.endswith("%") else "one more in the line",
        "pass": "one point more first-pass yield",
    }
    return more.get(parameter, f"{parameter} {step}")
