"""Lengths of requests: samples from declared distributions or from a trace."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from firsttoken.kernel.parameters import redraw
from firsttoken.serving import deployment as to

SAMPLE = 4096
"""Requests that the distribution of a stream's lengths is taken from."""


class Sample(NamedTuple):
    """Tokens of single requests, each f8[n]: prompt, answer, and the prompt's known part."""

    prompt: to.Floats
    output: to.Floats
    cached: to.Floats


def sample_of(
    system: to.System, stream: to.Stream, drawn: to.Floats, seed: int, replication: int
) -> Sample:
    """Lengths of typical requests of a stream."""
    if stream.trace is not None:
        found = stream.trace.requests
        return Sample(
            found.prompt.astype(np.float64),
            found.output.astype(np.float64),
            found.cached.astype(np.float64),
        )
    prompt = drawn_lengths(system, stream.prompt, seed, replication, 1, SAMPLE)
    output = drawn_lengths(system, stream.output, seed, replication, 1, SAMPLE)
    return Sample(prompt, output, np.floor(prompt * drawn[stream.cached]))


def drawn_lengths(
    system: to.System, parameter: int, seed: int, replication: int, first: int, count: int
) -> to.Floats:
    """Lengths number `first` and following of a stream, whole tokens and at least 1."""
    found = np.empty(count)
    redraw(system.parameters, parameter, seed, replication, first, found)
    return np.asarray(np.maximum(np.round(found), 1.0), np.float64)
