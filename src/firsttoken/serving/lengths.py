"""Lengths of requests as flows see them: whole distributions, and what a trace has.

A flow has no single requests: each tenant's requests have the lengths of its distribution, neither
more nor less in any replication.  The sample that stands for it holds the means of equal parts of
the distribution, so that heavy tails keep their weight; prompts and answers are paired by the
points of Hammersley (Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods, 1992,
section 3.1), evenly over the plane of both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import redraw
from firsttoken.kernel.sampling import quantile, table_quantile
from firsttoken.serving import deployment as to
from firsttoken.serving.rates import counted
from firsttoken.serving.timeline import Course

BITS = 12
SAMPLE = 1 << BITS
"""Requests that the distribution of a stream's lengths is taken from."""

SHIFT = 0b101010101010
"""Digits of the second coordinate that are turned."""

FINER = 16
"""Points of each part of a distribution whose mean stands for it."""


class Sample(NamedTuple):
    """Tokens of single requests, each f8[n]: prompt, answer, and the prompt's known part."""

    prompt: to.Floats
    output: to.Floats
    cached: to.Floats


def sample_of(system: to.System, stream: to.Stream, drawn: to.Floats) -> Sample:
    """Lengths of the requests of a stream: those of a trace that come, or its distributions."""
    if stream.trace is not None:
        found = stream.trace.requests
        come = found.arrival < system.horizon
        come = come if come.any() else ~come
        lengths = (found.prompt, found.output, found.cached)
        return Sample(*(part[come].astype(np.float64) for part in lengths))
    prompt = parts_of(system, stream.prompt)
    output = parts_of(system, stream.output)[reversed_bits()]
    return Sample(prompt, output, prompt * drawn[stream.cached])


def parts_of(system: to.System, parameter: int) -> to.Floats:
    """Means of SAMPLE equal parts of a distribution of lengths, rising; f8[SAMPLE].

    Lengths are whole tokens and at least 1.
    """
    points = SAMPLE * FINER
    found = quantiles(system, parameter, (np.arange(points) + 0.5) / points)
    whole = np.maximum(np.round(found), 1.0)
    return np.asarray(whole.reshape(SAMPLE, FINER).mean(axis=1), np.float64)


def quantiles(system: to.System, parameter: int, u: to.Floats) -> to.Floats:
    """Quantiles of a parameter at probabilities, those of many draws where it has no formula."""
    table = system.parameters
    code, args = int(table.code[parameter]), table.args[parameter]
    if code == codes.GAMMA:
        from scipy.special import gammaincinv

        return np.asarray(args[1] * gammaincinv(args[0], u))
    if code == codes.BETA_PERT:
        from scipy.special import betaincinv

        low, mode, high, peaked = args
        width = max(high - low, 1e-300)
        a, b = (1.0 + peaked * part / width for part in (mode - low, high - mode))
        return np.asarray(low + (high - low) * betaincinv(a, b, u))
    if code in (codes.DISCRETE, codes.EMPIRICAL):
        first, count = int(args[0]), int(args[1])
        return np.array([table_quantile(code, table.table, first, count, x) for x in u])
    if code < codes.SUM:
        return np.array([quantile(code, args[0], args[1], args[2], x) for x in u])
    drawn = np.empty(len(u))
    redraw(table, parameter, 0, 0, 1, drawn)
    return np.sort(drawn)


def reversed_bits() -> to.Ints:
    """The numbers below SAMPLE with their bits in reverse (van der Corput's sequence), shifted.

    The shift keeps the longest prompts from the longest answers.
    """
    number, found = np.arange(SAMPLE), np.zeros(SAMPLE, np.int64)
    for bit in range(BITS):
        found |= ((number >> bit) & 1) << (BITS - 1 - bit)
    return np.asarray(found ^ SHIFT)


def prompt_tokens(
    system: to.System, stream: to.Stream, course: Course, ended: to.Floats, first: int
) -> to.Floats:
    """Prompt tokens of the requests that end in each tick, and the known ones; f8[T, 2].

    Those of a trace are its own, in the order of arrival.

    Parameters
    ----------
    ended : requests by tick, f8[T]; first : tick from which on any can end.
    """
    drawn = course.drawn
    if stream.trace is None:
        sample = sample_of(system, stream, drawn)
        return np.outer(ended, [sample.prompt.mean(), sample.cached.mean()])
    trace, scale = stream.trace, course((stream.scale,))[0]
    found = trace.requests

    def gone(weights: to.Floats) -> to.Floats:
        come = counted(trace, course.edges, weights) * scale
        return np.asarray(np.cumsum(np.append(0.0, come)))

    prompt, known = (part.astype(np.float64) for part in (found.prompt, found.cached))
    come = gone(np.ones(len(prompt)))
    done = come[first] + np.cumsum(np.append(0.0, ended))
    tokens = [np.interp(done, come, gone(part)) for part in (prompt, known)]
    return np.asarray(np.diff(np.array(tokens).T, axis=0))
