"""Requests that are made up: a rate in time, bursts, distributions of lengths, many clients.

Arrivals of a stream are a renewal process in operational time: the gaps, gamma numbers with mean 1
and the stream's coefficient of variation, are laid on the integral of its rate.  With gaps of CV 1
that is a Poisson process with this rate; with more, requests come in bursts.  Real traffic is the
sum of few large clients with rates and bursts of their own, so a service may have many streams
(Xiang et al., ServeGen: workload characterization and generation of large language model serving
in production, arXiv 2505.09999, whose top clients' gaps are gamma or Weibull with CVs to 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.random import ARRIVAL, DEMAND, PROCESS
from firsttoken.kernel.sampling import sample
from firsttoken.serving.requests_system import Floats, Ints, Requests, requests_of

BLOCK: Final = 4096
"""Requests of a stream that are drawn at a time."""

CHUNK: Final = 1 << 17
"""Requests of a chunk, about."""

NO_TABLE: Final = np.zeros((1, 2))


class Drawn(NamedTuple):
    """A distribution, as in `kernel.sampling`: code, arguments [4], table [n, 2]."""

    code: int
    args: Floats
    table: Floats = NO_TABLE


class Stream(NamedTuple):
    """Requests of one client, or of many that are alike.

    Attributes
    ----------
    edges : s, rising, [T + 1]; rate : requests/s between them, [T].
    prompt, output : tokens; what is drawn is rounded, and is at least 1.
    burstiness : coefficient of variation of the gaps between requests; 0: evenly spaced.
    tenant : row of `System.tenants`.
    cached : share of the prompt tokens whose KV is known.
    entity : stream key.
    """

    edges: Floats
    rate: Floats
    prompt: Drawn
    output: Drawn
    burstiness: float = 1.0
    tenant: int = 0
    cached: float = 0.0
    entity: int = 0


@dataclass(frozen=True)
class Generator:
    """A source of requests of several streams, see `requests_system.Source`.

    Raises
    ------
    ValueError
        If a stream has a rate that is negative or no number, or edges out of order.
    """

    streams: tuple[Stream, ...]

    def __post_init__(self) -> None:
        for stream in self.streams:
            if len(stream.rate) != len(stream.edges) - 1 or (np.diff(stream.edges) <= 0.0).any():
                raise ValueError("the rates of a stream need rising edges, one more than rates")
            if not (np.isfinite(stream.rate) & (stream.rate >= 0.0)).all():
                raise ValueError("the rate of a stream must be finite and not negative")
            if not stream.burstiness >= 0.0:
                raise ValueError("the burstiness of a stream must not be negative")

    def chunks(self, seed: int, replication: int) -> Iterator[Requests]:
        """Yield the requests of a replication in order of arrival."""
        flows = [_Flow(stream, seed, replication) for stream in self.streams]
        total = sum(float(flow.area[-1]) for flow in flows)
        end = max((float(stream.edges[-1]) for stream in self.streams), default=0.0)
        windows = max(int(np.ceil(total / CHUNK)), 1)
        for k in range(1, windows + 1):
            parts = [flow.until(end * k / windows if k < windows else np.inf) for flow in flows]
            arrival = np.concatenate([part.arrival for part in parts])
            order = np.argsort(arrival, kind="stable")
            columns = [
                np.concatenate([getattr(part, name) for part in parts])[order]
                for name in ("prompt", "output", "tenant")
            ]
            session = np.concatenate([part.session for part in parts])[order]
            cached = np.concatenate([part.cached for part in parts])[order]
            if len(order):
                yield requests_of(arrival[order], *columns, session=session, cached=cached)

    def requests(self, seed: int, replication: int = 0) -> Requests:
        """All requests of a replication at once."""
        from firsttoken.serving.traffic_scale import merged

        parts = list(self.chunks(seed, replication))
        return merged(parts) if parts else requests_of(*_nothing())


def _nothing() -> tuple[Floats, Ints, Ints]:
    none = np.empty(0, np.int64)
    return np.empty(0), none, none


class _Flow:
    """One stream, drawn block by block."""

    def __init__(self, stream: Stream, seed: int, replication: int) -> None:
        self.stream, self.seed, self.replication = stream, seed, replication
        self.area = np.concatenate([[0.0], np.cumsum(stream.rate * np.diff(stream.edges))])
        self.drawn = 0
        self.position = 0.0
        self.ended = self.area[-1] <= 0.0
        self.ahead = requests_of(*_nothing())

    def until(self, time: float) -> Requests:
        """The requests before a time that have not been given yet."""
        parts = [self.ahead]
        while not self.ended and (not len(parts[-1].arrival) or parts[-1].arrival[-1] < time):
            parts.append(self._block())
        names = ("arrival", "prompt", "output", "tenant", "session", "cached")
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        now = int(np.searchsorted(columns["arrival"], time, "left"))
        head = {name: column[:now] for name, column in columns.items()}
        self.ahead = requests_of(**{name: column[now:] for name, column in columns.items()})
        return requests_of(**head)

    def _block(self) -> Requests:
        stream = self.stream
        gaps, lengths = np.empty(BLOCK), np.empty((2, BLOCK))
        address = (self.seed, self.replication, stream.entity, self.drawn)
        code, args = gap_of(stream.burstiness)
        draw_block(code, args, NO_TABLE, *address, ARRIVAL, gaps)
        for row, drawn, purpose in ((0, stream.prompt, DEMAND), (1, stream.output, PROCESS)):
            draw_block(drawn.code, drawn.args, drawn.table, *address, purpose, lengths[row])
        places = self.position + np.cumsum(gaps)
        self.position = float(places[-1])
        inside = places < self.area[-1]
        self.ended = not inside.all()
        if not np.isfinite(lengths[:, inside]).all():
            raise ValueError("a drawn length is not a number")
        arrival = np.interp(places[inside], self.area, stream.edges)
        tokens = np.maximum(np.rint(lengths[:, inside]), 1.0).astype(np.int64)
        number = np.arange(self.drawn, self.drawn + len(arrival))
        self.drawn += BLOCK
        return requests_of(
            arrival,
            tokens[0],
            tokens[1],
            stream.tenant,
            session=number + ((stream.entity & 0x7FFFFFFF) << 32),
            cached=(tokens[0] * stream.cached).astype(np.int64),
        )


def gap_of(variation: float) -> tuple[int, Floats]:
    """The distribution of gaps with mean 1 and a coefficient of variation."""
    if variation == 0.0:
        return codes.CONSTANT, np.array([1.0, 0.0, 0.0, 0.0])
    if variation == 1.0:
        return codes.EXPONENTIAL, np.array([1.0, 0.0, 0.0, 0.0])
    square = variation * variation
    return codes.GAMMA, np.array([1.0 / square, square, 0.0, 0.0])


@compiled
def draw_block(
    code: int,
    args: Floats,
    table: Floats,
    seed: int,
    replication: int,
    entity: int,
    first: int,
    purpose: int,
    out: Floats,
) -> None:
    """Fill `out` with the draws number `first` and following of a stream."""
    for i in range(len(out)):
        out[i] = sample(code, args, table, seed, replication, entity, purpose, first + i)
