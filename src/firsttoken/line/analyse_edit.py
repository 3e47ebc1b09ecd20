"""Changing a compiled line: copies of its arrays in which one thing is different.

Everything else keeps its rows and its stream keys, so that a line and its changed copy run under
common random numbers: they differ by the change and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.line.system import NONE, System, Tables

SCALED: Final = {
    codes.CONSTANT: (0,),
    codes.UNIFORM: (0, 1),
    codes.TRIANGULAR: (0, 1, 2),
    codes.NORMAL: (0, 1),
    codes.GAMMA: (1,),
    codes.BETA_PERT: (0, 1, 2),
    codes.EXPONENTIAL: (0,),
    codes.WEIBULL: (1,),
}
"""Arguments that a change of the unit multiplies; see `kernel.sampling` for what they are."""

DERIVED: Final = (codes.SUM, codes.PRODUCT, codes.SHIFT)
STEP_TIMES: Final = ("load", "unload")
STEP_STREAMS: Final = ("time", "interval")


class Edit:
    """A changed copy of a line under way; `system()` hands it out.

    Parameters
    ----------
    system : the line; never written to.
    """

    def __init__(self, system: System) -> None:
        self._before = system
        self.tables = Tables(*(table.copy() for table in system.tables))
        self._code = list(system.parameters.code)
        self._args = [tuple(row) for row in system.parameters.args]
        self._entity = list(system.parameters.entity)
        self._table = [tuple(row) for row in system.parameters.table]
        self._series = [
            (int(kind), self._knots(system.series, s)) for s, kind in enumerate(system.series.kind)
        ]
        self.servers = system.servers

    @staticmethod
    def _knots(series: SeriesTable, s: int) -> list[tuple[int, int]]:
        rows = range(int(series.start[s]), int(series.start[s + 1]))
        return [(int(series.knot_time[k]), int(series.knot_value[k])) for k in rows]

    # Rows of the parameter table -----------------------------------------------------------

    def _row(self, code: int, *args: float, entity: int = 0) -> int:
        self._code.append(np.int64(code))
        self._args.append((*args, *(0.0,) * (4 - len(args))))
        self._entity.append(np.uint32(entity))
        return len(self._code) - 1

    def constant(self, value: float) -> int:
        """Parameter row of a number."""
        return self._row(codes.CONSTANT, value)

    def plus(self, parameter: int, value: float) -> int:
        """Parameter row of another row plus a number."""
        if self._code[parameter] == codes.CONSTANT:
            return self.constant(self._args[parameter][0] + value)
        return self._row(codes.SUM, parameter, self.constant(value))

    def times(self, parameter: int, factor: float) -> int:
        """Parameter row of another row, drawn once a replication, times a number."""
        if self._code[parameter] == codes.CONSTANT:
            return self.constant(self._args[parameter][0] * factor)
        return self._row(codes.PRODUCT, parameter, self.constant(factor))

    def scaled(self, parameter: int, factor: float) -> int:
        """Parameter row of a distribution drawn at each use, times a number.

        It has the family and the stream key of the old one; the same uniform number gives the
        same draw, times the factor.
        """
        code, args = int(self._code[parameter]), list(self._args[parameter])
        entity = int(self._entity[parameter])
        if code in DERIVED:
            return self.times(parameter, factor)
        if code in (codes.DISCRETE, codes.EMPIRICAL):
            start, count = int(args[0]), int(args[1])
            rows = self._table[start : start + count]
            args[0] = len(self._table)
            self._table += [(value * factor, share) for value, share in rows]
        elif code == codes.LOGNORMAL:
            args[0] += float(np.log(factor))
        else:
            for position in SCALED[code]:
                args[position] *= factor
        return self._row(code, *args, entity=entity)

    # Streams, series, levels ---------------------------------------------------------------

    def scale_stream(self, stream: int, factor: float) -> None:
        """Multiply what a stream draws."""
        row = self.tables.stream[stream]
        if row["parameter"] != NONE:
            row["parameter"] = self.scaled(int(row["parameter"]), factor)

    def series(self, kind: int, knots: Iterable[tuple[int, int]]) -> int:
        """Series row of knots (parameter of the time, parameter of the value)."""
        self._series.append((kind, list(knots)))
        return len(self._series) - 1

    def constant_series(self, value: float) -> int:
        """Series row of a number."""
        return self.series(codes.STEP, [(self.constant(0.0), self.constant(value))])

    def level(self, factors: Iterable[int], whole: int) -> int:
        """LEVEL row that is the product of series."""
        rows = list(factors)
        first = self.append("factor", [(row,) for row in rows])
        return self.append("level", [(first, len(rows), whole)])

    def factors(self, level: int) -> list[int]:
        """Series of a level."""
        row = self.tables.level[level]
        part = self.tables.factor["series"][row["factor"] : row["factor"] + row["factors"]]
        return [int(series) for series in part]

    def level_plus(self, level: int, units: float) -> int:
        """LEVEL row of `units` more; calendars and other factors act on them too."""
        first, *others = self.factors(level)
        kind, knots = self._series[first]
        # The second knot of a WRIGHT series is no level but the progress ratio.
        raised = [
            (time, value if kind == codes.WRIGHT and position else self.plus(value, units))
            for position, (time, value) in enumerate(knots)
        ]
        return self.level([self.series(kind, raised), *others], self._whole(level))

    def level_times(self, level: int, factor: float) -> int:
        """LEVEL row of `factor` times as much."""
        series = self.constant_series(factor)
        return self.level([*self.factors(level), series], self._whole(level))

    def level_set(self, level: int, units: float) -> int:
        """LEVEL row of so many units; calendars and other factors still act."""
        _, *others = self.factors(level)
        return self.level([self.constant_series(units), *others], self._whole(level))

    def _whole(self, level: int) -> int:
        return int(self.tables.level["whole"][level])

    def append(self, table: str, rows: list[tuple[float, ...]]) -> int:
        """Append rows to a table; returns the first of them."""
        old: npt.NDArray[np.void] = getattr(self.tables, table)
        new = np.concatenate([old, np.array(rows, dtype=old.dtype)])
        self.tables = self.tables._replace(**{table: new})
        return len(old)

    def system(self) -> System:
        """The changed line."""
        knots = [knot for _, part in self._series for knot in part]
        pairs = np.array(knots, dtype=np.int64).reshape(-1, 2)
        lengths = [len(part) for _, part in self._series]
        return replace(
            self._before,
            tables=self.tables,
            parameters=ParameterTable(
                np.array(self._code, dtype=np.int64),
                np.array(self._args, dtype=np.float64).reshape(-1, 4),
                np.array(self._entity, dtype=np.uint32),
                np.array(self._table, dtype=np.float64).reshape(-1, 2),
            ),
            series=SeriesTable(
                np.array([kind for kind, _ in self._series], dtype=np.int64),
                np.cumsum([0, *lengths]).astype(np.int64),
                np.ascontiguousarray(pairs[:, 0]),
                np.ascontiguousarray(pairs[:, 1]),
            ),
            servers=self.servers,
        )


# Changes -----------------------------------------------------------------------------------


def scale_time(system: System, station: int, factor: float) -> System:
    """Multiply all that an operation at a station takes: load, processing, tasks, unload.

    What dispatching rules know of the remaining work stays as it is.
    """
    edit = Edit(system)
    steps = edit.tables.step
    here = np.flatnonzero(steps["station"] == station)
    for field in STEP_STREAMS:
        for stream in np.unique(steps[field][here]):
            if stream != NONE:
                edit.scale_stream(int(stream), factor)
    for k in here:
        for field in STEP_TIMES:
            if steps[field][k] != NONE:
                steps[field][k] = edit.times(int(steps[field][k]), factor)
        if steps["tasks"][k] != NONE:
            row = edit.tables.tasks[int(steps["tasks"][k])].copy()
            for field in ("time", "recovery"):
                if row[field] != NONE:
                    row[field] = edit.times(int(row[field]), factor)
            steps["tasks"][k] = edit.append("tasks", [tuple(row)])
    steps["work"][here] *= factor
    return edit.system()


def set_servers(system: System, station: int, servers: int) -> System:
    """Give a station so many servers; its shifts stay.

    Raises
    ------
    ValueError
        If it is less than one.
    """
    if servers < 1:
        raise ValueError(f"a station needs servers, not {servers}")
    edit = Edit(system)
    row = edit.tables.station[station]
    if row["level"] != NONE:
        row["level"] = edit.level_set(int(row["level"]), servers)
    return _with_servers(edit, station, servers - int(row["servers"]))


def add_server(system: System, station: int) -> System:
    """Give a station one more server, whenever it has any."""
    edit = Edit(system)
    row = edit.tables.station[station]
    if row["level"] != NONE:
        row["level"] = edit.level_plus(int(row["level"]), 1)
    return _with_servers(edit, station, 1)


def _with_servers(edit: Edit, station: int, more: int) -> System:
    stations = edit.tables.station
    later = stations["server"] > stations["server"][station]
    stations["server"][later] += more
    stations["servers"][station] += more
    edit.servers += more
    return edit.system()


def scale_failures(system: System, failure: int, mtbf: float = 1, mttr: float = 1) -> System:
    """Multiply the times between failures and the times to repair of one kind of breakdown."""
    edit = Edit(system)
    row = edit.tables.failure[failure]
    if mtbf != 1:
        edit.scale_stream(int(row["mtbf"]), mtbf)
    if mttr != 1:
        edit.scale_stream(int(row["mttr"]), mttr)
    return edit.system()


def add_pass(system: System, station: int, points: float) -> System:
    """Raise the probability that work at a station passes; beyond 1 it is 1."""
    edit = Edit(system)
    steps = edit.tables.step
    for k in np.flatnonzero((steps["station"] == station) & (steps["pass_"] != NONE)):
        steps["pass_"][k] = edit.plus(int(steps["pass_"][k]), points)
    return edit.system()


def set_buffers(system: System, stations: Iterable[int], places: Iterable[int]) -> System:
    """Give stations buffers of so many places."""
    edit = Edit(system)
    for station, count in zip(stations, places, strict=True):
        edit.tables.station["buffer"][station] = count
    return edit.system()


def add_pool(system: System, pool: int, units: float) -> System:
    """Add units to a pool, whenever it has any."""
    edit = Edit(system)
    level = int(edit.tables.pool["level"][pool])
    edit.tables.pool["level"][pool] = edit.level_plus(level, units)
    return edit.system()


def scale_pool(system: System, pool: int, factor: float) -> System:
    """Multiply what there is of a pool or budget."""
    edit = Edit(system)
    level = int(edit.tables.pool["level"][pool])
    edit.tables.pool["level"][pool] = edit.level_times(level, factor)
    return edit.system()


def scale_releases(system: System, source: int, factor: float) -> System:
    """Release so many times as often, or hold so many times the WIP or stock."""
    edit = Edit(system)
    row = edit.tables.source[source]
    if row["every"] != NONE:
        edit.scale_stream(int(row["every"]), 1 / factor)
    elif row["level"] != NONE:
        row["level"] = edit.level_plus(int(row["level"]), 1)
    return edit.system()


def steps_at(system: System, station: int) -> npt.NDArray[np.int64]:
    """Rows of STEP at a station."""
    return np.flatnonzero(system.tables.step["station"] == station)
