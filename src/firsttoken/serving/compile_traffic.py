"""Streams of requests on their way into the system: traces as arrays, rates as series."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from firsttoken.kernel.parameters import (
    ParameterTable,
    SeriesTable,
    evaluate_series,
    fixed_parameters,
)
from firsttoken.kernel.streams import entity_key
from firsttoken.serving import deployment as to
from firsttoken.serving.slots import Slots
from firsttoken.serving.traffic_trace import TraceFile, read_trace_file
from firsttoken.twin.findings import Finding, TwinError, UsageError
from firsttoken.twin.sheets import NONE

HOURS = 24
DAYS = 7


def compile_stream(slots: Slots, service: str, name: str) -> to.Stream:
    """One tenant's requests.

    Raises
    ------
    TwinError
        If a trace cannot be read, or a rate lacks its lengths.
    """
    traffic = slots.factory.services[service].traffic[name]
    path = f"services.{service}.traffic.{name}"
    sheet = slots.sheet(path, traffic)
    trace, rate, prompt, output = None, NONE, NONE, NONE
    if traffic.trace is not None:
        trace = read(slots, traffic.trace, traffic.repeat, f"{slots.path}.{path}.trace")
    else:
        rate = sheet.series("rate")
        if rate == NONE:
            sheet.needed("rate", "requests come at a rate, or from a `trace`")
        prompt = sheet.needed("prompt", "requests have prompts")
        output = sheet.needed("output", "requests have answers")
    return to.Stream(
        name=name,
        trace=trace,
        rate=rate,
        scale=sheet.series("scale"),
        hours=hours_of(traffic.day, traffic.week),
        burstiness=sheet.scalar("burstiness"),
        prompt=prompt,
        output=output,
        cached=sheet.scalar("cached"),
        priority=traffic.priority,
        entity=entity_key(f"{slots.path}.{path}"),
    )


def weighted(
    streams: Sequence[to.Stream], parameters: ParameterTable, table: SeriesTable, horizon: float
) -> tuple[to.Stream, ...]:
    """Streams with the requests/s that they bring in the mean of the time."""
    if not streams:
        return ()
    fixed = fixed_parameters(parameters)
    levels = np.empty((len(table.kind), 1))
    edges = np.array([0.0, horizon])
    evaluate_series(table, parameters, fixed, edges, 0, 0, levels)
    found = []
    for stream in streams:
        mean = float(levels[stream.scale, 0])
        if stream.trace is not None:
            trace = stream.trace
            mean *= len(trace.requests.arrival) / (trace.period or horizon)
        else:
            mean *= float(levels[stream.rate, 0]) * float(stream.hours.mean())
        found.append(replace(stream, mean=mean))
    return tuple(found)


def hours_of(day: list[float], week: list[float]) -> to.Floats:
    """Factors by hour of the week from Monday, [168], with a mean of those given."""
    hours = np.array(day or [1.0] * HOURS, np.float64)
    days = np.array(week or [1.0] * DAYS, np.float64)
    return np.asarray((days[:, None] * hours[None, :]).ravel())


def read(slots: Slots, file: str, repeat: bool, path: str) -> to.Trace:
    """Read a trace beside the twin.

    Raises
    ------
    TwinError
        If there is no such file, or it cannot be used; each finding names its line.
    """
    source = slots.twin.folder / file
    try:
        status = source.stat()
        found = _read(source, status.st_mtime_ns, status.st_size)
    except (OSError, UsageError):
        what, hint = f"there is no file {file!r}", "name a file beside the twin"
        place = slots.twin.place(path)
        raise TwinError(Finding(what, "", hint, path, "file", place=place)) from None
    arrival = found.requests.arrival
    period = 0.0
    if repeat:
        # one mean gap after the last request the first comes again
        period = float(arrival[-1] * (1.0 + 1.0 / max(len(arrival) - 1, 1)))
        if period <= 0.0:
            what = "a trace of one moment cannot repeat"
            place = slots.twin.place(path)
            raise TwinError(Finding(what, "", "leave out `repeat`", path, "trace", place=place))
    return to.Trace(found.requests, found.hash_block, period)


@functools.lru_cache(maxsize=4)
def _read(source: Path, changed: int, size: int) -> TraceFile:
    """A trace, read once while the file stays as it is."""
    return read_trace_file(source)
