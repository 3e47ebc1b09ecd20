"""Draws that lie evenly over replications: what is uncertain of calibration, in few replications.

A calibrated speed is off by a normal error, drawn once a replication.  Quantiles of a few
independent draws vary much from seed to seed; those of draws that lie evenly over the distribution
hardly do.  The draws are van der Corput's sequence in base 2, numbers and digits permuted at random
for each error (nested uniform scrambling: Owen, Randomly permuted (t, m, s)-nets and
(t, s)-sequences, 1995): the first 2^k of any run, and every 2^k after them, are a Latin hypercube
(McKay, Beckman and Conover, 1979), errors are independent of each other, and replication r draws
the same number however many there are.  Digits are computed from the seed: they do not depend on
threads, and scenarios see the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, draw_parameters
from firsttoken.kernel.random import PARAMETER, uniform
from firsttoken.kernel.sampling import quantile
from firsttoken.serving import deployment as to

DIGITS = 40
"""Binary digits of a draw; beyond those of the replication's number they are random."""

NUMBERS = 24
"""Binary digits of a replication's number that are shuffled."""

SHUFFLE, SCRAMBLE = 1, 101
"""Indices of the digits' addresses, beside the index 0 of parameters."""


def stratified(seed: int, replication: int, entity: int) -> float:
    """A uniform number in (0, 1), the draws of replications 0 to n - 1 evenly spread over it.

    Parameters
    ----------
    entity : stream key of what is drawn.
    """
    number = _shuffled(seed, replication, entity)
    found, path = 0.0, 1
    for digit in range(DIGITS):
        own = (number >> digit) & 1
        # the digit is turned or not by all digits before it
        found += (own ^ _coin(seed, path, entity, SCRAMBLE + digit)) * 0.5 ** (digit + 1)
        path = (2 * path + own) & 0xFFFFFFFF
    return found + 0.5 ** (DIGITS + 1)


def _shuffled(seed: int, number: int, entity: int) -> int:
    """The number at another place of each block of 2^k: so that errors do not go together."""
    found, path = number >> NUMBERS, 1
    for digit in reversed(range(NUMBERS)):
        own = (number >> digit) & 1
        found = 2 * found + (own ^ _coin(seed, path, entity, SHUFFLE + digit))
        path = (2 * path + own) & 0xFFFFFFFF
    return found


def _coin(seed: int, path: int, entity: int, index: int) -> int:
    return int(uniform(seed, path, entity, PARAMETER, index) < 0.5)


def draw_evenly(
    parameters: ParameterTable, errors: Iterable[int], seed: int, replication: int, out: to.Floats
) -> None:
    """Fill `out` as `kernel.parameters.draw_parameters`, but errors of calibration evenly.

    Parameters
    ----------
    errors : rows of them, normal or lognormal; NONE is none.
    """
    draw_parameters(parameters, seed, replication, out)
    for row in errors:
        if row != to.NONE and parameters.code[row] in (codes.NORMAL, codes.LOGNORMAL):
            u = stratified(seed, replication, int(parameters.entity[row]))
            a, b = parameters.args[row, :2]
            out[row] = quantile(int(parameters.code[row]), a, b, 0.0, u)


def errors_of(system: to.System) -> list[int]:
    """Rows of the errors of a factory's calibrated services."""
    return [service.engine.error for service in system.services]
