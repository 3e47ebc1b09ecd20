"""Requests of a service while it is simulated: renewal arrivals at a rate, and traces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, redraw
from firsttoken.serving import deployment as to
from firsttoken.serving.lengths import drawn_lengths
from firsttoken.serving.rates import rate_of
from firsttoken.serving.requests_system import Requests, requests_of
from firsttoken.serving.timeline import Course

WINDOW = 100_000
"""Requests made at a time, about."""


class Traffic:
    """The requests of all streams of a service, in order of arrival.

    Parameters
    ----------
    drawn : parameters of the replication, [P].
    edges : of the ticks between which rates are constant, s, [T + 1].
    """

    def __init__(
        self, system: to.System, service: to.Service, drawn: to.Floats, edges: to.Floats
    ) -> None:
        self.system, self.service, self.drawn, self.edges = system, service, drawn, edges

    def chunks(self, seed: int, replication: int) -> Iterator[Requests]:
        """Yield the requests of a replication, chunk after chunk, in order of arrival."""
        course = Course(self.system, self.drawn, self.edges, seed, replication)
        length = np.diff(self.edges)
        streams = [
            _Stream(self, stream, rate_of(stream, course) * length, seed, replication)
            for stream in self.service.streams
        ]
        expected = np.sum([stream.expected for stream in streams], axis=0)
        steps = max(int(np.ceil(expected[-1] / WINDOW)), 1)
        marks = np.linspace(0.0, expected[-1], steps + 1)[1:-1]
        ends = [*np.interp(marks, expected, self.edges), self.edges[-1]]
        for end in ends:
            parts = [stream.until(float(end), row) for row, stream in enumerate(streams)]
            yield merged(parts)


class _Stream:
    """One tenant's requests on their way."""

    def __init__(
        self, traffic: Traffic, stream: to.Stream, counts: to.Floats, seed: int, replication: int
    ) -> None:
        self.traffic, self.stream = traffic, stream
        self.seed, self.replication = seed, replication
        self.expected = np.concatenate([[0.0], np.cumsum(counts)])
        spread = float(traffic.drawn[stream.burstiness]) ** 2
        # gaps of mean 1 in a time in which one request comes each unit
        self.gap = ParameterTable(
            np.array([codes.GAMMA], np.int64),
            np.array([[1.0 / spread, spread, 0.0, 0.0]]),
            np.array([stream.entity], np.uint32),
            np.empty((0, 2)),
        )
        self.made, self.at = 0, 0.0
        self.left = np.empty(0)

    def until(self, end: float, row: int) -> Requests:
        """Requests that arrive before `end`, of tenant `row`."""
        limit = float(np.interp(end, self.traffic.edges, self.expected))
        final = end >= self.traffic.edges[-1]
        places = [self.left]
        while self.at <= limit:
            count = int(1.1 * (limit - self.at)) + 64
            gaps = np.empty(count)
            drawn = self.made + sum(len(part) for part in places)
            redraw(self.gap, 0, self.seed, self.replication, drawn + 1, gaps)
            found = self.at + np.cumsum(gaps)
            self.at = float(found[-1])
            places.append(found)
        every = np.concatenate(places)
        inside = every < limit if final else every <= limit
        self.left = every[~inside]
        return self._requests(every[inside], row)

    def _requests(self, places: to.Floats, row: int) -> Requests:
        traffic, stream = self.traffic, self.stream
        rising = np.r_[True, np.diff(self.expected) > 0.0]
        arrival = np.interp(places, self.expected[rising], traffic.edges[rising])
        first, count = self.made + 1, len(places)
        self.made += count
        address = (self.seed, self.replication, first, count)
        prompt = drawn_lengths(traffic.system, stream.prompt, *address)
        output = drawn_lengths(traffic.system, stream.output, *address)
        known = np.floor(prompt * traffic.drawn[stream.cached])
        return requests_of(
            arrival,
            prompt.astype(np.int64),
            output.astype(np.int64),
            row,
            session=np.arange(first, first + count),
            cached=known.astype(np.int64),
        )


def merged(parts: list[Requests]) -> Requests:
    """Requests of several streams in order of arrival."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([part.arrival for part in parts]), kind="stable")
    columns = [np.concatenate([part[i] for part in parts])[order] for i in range(6)]
    return requests_of(
        columns[0],
        *columns[1:4],
        session=columns[4] * len(parts) + columns[3],
        cached=columns[5],
    )
