"""How many requests come when: declared rates by tick, and traces counted."""

from __future__ import annotations

import numpy as np

from firsttoken.serving import deployment as to
from firsttoken.serving.timeline import Course

HOUR = 3600.0
WEEK = 168
THURSDAY = 3 * 24
"""Hour of the week of 1970-01-01."""


def rate_of(stream: to.Stream, course: Course) -> to.Floats:
    """Requests/s of a stream by tick, f8[T].

    A trace is counted into the ticks, again and again if it repeats.
    """
    edges = course.edges
    scale, rate = course((stream.scale, stream.rate))
    if stream.trace is not None:
        return np.asarray(counted(stream.trace, edges) / np.diff(edges) * scale)
    middle = 0.5 * (edges[:-1] + edges[1:]) + course.system.start
    return np.asarray(rate * scale * stream.hours[hour_of_week(middle)])


def hour_of_week(seconds: to.Floats) -> to.Ints:
    """Hour of the week from Monday, 0 to 167, of seconds from 1970-01-01 (UTC)."""
    hours = np.floor(np.asarray(seconds) / HOUR).astype(np.int64)
    return np.asarray((hours + THURSDAY) % WEEK)


def counted(trace: to.Trace, edges: to.Floats, weights: to.Floats | None = None) -> to.Floats:
    """Requests of a trace in each tick, or the sum of their weights; f8[T]."""
    arrival = trace.requests.arrival
    each = np.ones(len(arrival)) if weights is None else np.asarray(weights, np.float64)
    total = np.append(0.0, np.cumsum(each))
    whole = np.floor(edges / trace.period) if trace.period > 0.0 else np.zeros(len(edges))
    arrived = whole * total[-1]
    arrived += total[np.searchsorted(arrival, edges - whole * trace.period, side="left")]
    return np.diff(arrived)


def dispersion_of(stream: to.Stream, drawn: to.Floats) -> float:
    """Variance over mean of the requests of a second; 0 for a trace, whose counts are given.

    Over times that are long beside those between requests a renewal process counts with
    variance / mean = cv^2 (Cox, Renewal Theory, 1962, section 4.2).
    """
    return 0.0 if stream.trace is not None else float(drawn[stream.burstiness]) ** 2
