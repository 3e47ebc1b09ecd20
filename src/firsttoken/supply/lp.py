"""Linear programs as sparse arrays, handed to HiGHS in one call.

Minimise ``cost @ x`` subject to ``row_lower <= A x <= row_upper``, ``lower <= x <= upper``
and some x integer. HiGHS: Huangfu, Hall: Parallelizing the dual revised simplex method,
Mathematical Programming Computation 10 (2018) 119-142; interior point solvers IPX (Schork,
Gondzio, Mathematical Programming Computation 12 (2020) 603-635) and, if the package
`highspy-extras` is there, HiPO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import highspy as _highspy
import numpy as np
from numpy.typing import NDArray

from firsttoken.supply.system import Floats, Ints
from firsttoken.twin.findings import FirsttokenError

# its stubs lack half of the solver's methods
highspy: Any = _highspy

SIMPLEX_COLUMNS, HIPO_COLUMNS = 15_000, 40_000
"""Up to the first the simplex method is fastest, up to the second IPX, beyond it HiPO
(measured with `benchmarks/plan_lp.py --weeks`); both with crossover to a basis."""

ACCURACY = 5e-7
"""Largest violation of a row, relative to its terms, that is accepted as a solution."""

_FIX = 1e-7
_STATUS = highspy.HighsModelStatus
_SOLVED = {_STATUS.kOptimal: "optimal", _STATUS.kModelEmpty: "optimal"}
_NO_PLAN = (_STATUS.kInfeasible, _STATUS.kUnboundedOrInfeasible, _STATUS.kUnbounded)
_STOPPED = (_STATUS.kTimeLimit, _STATUS.kInterrupt, _STATUS.kSolutionLimit)


class SolverError(FirsttokenError):
    """The solver gave up: numerical trouble, or no solution within the time limit."""


class NoSolutionError(FirsttokenError):
    """The program is infeasible or unbounded; whoever built it says why in its terms."""


@dataclass(frozen=True, slots=True)
class LinearProgram:
    """A program in compressed columns (CSC), entries of a column in ascending rows.

    Attributes
    ----------
    lower, upper : [n]; row_lower, row_upper : [m]; infinite where there is no bound.
    start : int32[n + 1]; index : int32[nnz], row of each entry; value : float64[nnz].
    integer : bool[n].
    """

    lower: Floats
    upper: Floats
    row_lower: Floats
    row_upper: Floats
    start: NDArray[np.int32]
    index: NDArray[np.int32]
    value: Floats
    integer: NDArray[np.bool_]

    def products(self, x: Floats) -> Floats:
        """``A x`` [m]."""
        terms = self.value * np.repeat(x, np.diff(self.start))
        return np.bincount(self.index, terms, self.row_lower.size).astype(np.float64)

    def violation(self, x: Floats) -> float:
        """Largest violation of a row, relative to 1 + the sizes of its terms."""
        if not self.row_lower.size:
            return 0.0
        return float(self.violations(x).max())

    def violations(self, x: Floats) -> Floats:
        """Violation of each row [m], relative to 1 + the sizes of its terms."""
        terms = self.value * np.repeat(x, np.diff(self.start))
        total = np.bincount(self.index, terms, self.row_lower.size)
        sizes = np.bincount(self.index, np.abs(terms), self.row_lower.size)
        over = np.maximum(total - self.row_upper, self.row_lower - total)
        return np.asarray(np.maximum(over, 0.0) / (1.0 + sizes), np.float64)

    def transposed(self, y: Floats) -> Floats:
        """``A' y`` [n]."""
        columns = np.repeat(np.arange(self.lower.size), np.diff(self.start))
        terms = self.value * y[self.index]
        return np.bincount(columns, terms, self.lower.size).astype(np.float64)


class Triplets:
    """Entries (row, column, value) of a matrix under construction."""

    def __init__(self) -> None:
        self._parts: list[tuple[Ints, Ints, Floats]] = []

    def add(self, rows: Ints, columns: Ints, values: Floats | float) -> None:
        """Add entries; the three broadcast against each other."""
        r, c, v = np.broadcast_arrays(rows, columns, np.asarray(values, np.float64))
        self._parts.append((r.ravel(), c.ravel(), v.ravel()))

    def compress(
        self, rows: int, columns: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """(start, index, value) by columns; entries in the same place add up, zeros vanish."""
        row, column, value = (
            (np.concatenate(part) for part in zip(*self._parts, strict=True))
            if self._parts
            else (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        )
        place = column * max(rows, 1) + row
        order = np.argsort(place, kind="stable")
        place, value = place[order], value[order]
        if place.size:
            first = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
            place, value = place[first], np.add.reduceat(value, first)
        place, value = place[value != 0.0], value[value != 0.0]
        column, row = np.divmod(place, max(rows, 1))
        start = np.zeros(columns + 1, np.int32)
        np.cumsum(np.bincount(column, minlength=columns), out=start[1:])
        return start, row.astype(np.int32), value


@dataclass(frozen=True, slots=True)
class Solution:
    """What a solve found.

    Attributes
    ----------
    x : [n]; objective : cost @ x; status : "optimal" or "time limit"; gap : relative, of
        integer programs; method : simplex, hipo, ipx or branch and cut.
    """

    x: Floats
    objective: float
    status: str
    gap: float
    method: str


@cache
def interior_point() -> str:
    """The best interior point method at hand: hipo with `highspy-extras`, else ipx."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    found = highs.setOptionValue("solver", "hipo") == highspy.HighsStatus.kOk
    return "hipo" if found else "ipx"


class Solver:
    """One program in HiGHS, solved for one objective after another.

    Parameters
    ----------
    program : handed over once.
    time_limit : s for each solve, or None.
    """

    def __init__(self, program: LinearProgram, time_limit: float | None = None) -> None:
        self.program = program
        self._lower, self._upper = program.lower.copy(), program.upper.copy()
        self._scale = 1.0
        self._ranked = False
        self._cost = np.zeros(program.lower.size)
        self._highs = highspy.Highs()
        self._set(output_flag=False, parallel="off", random_seed=0, mip_rel_gap=1e-6)
        self._set(hipo_system="normaleq")
        self._limit = time_limit
        n, m = program.lower.size, program.row_lower.size
        passed = self._highs.passModel(
            *(n, m, program.value.size, int(highspy.MatrixFormat.kColwise), 1, 0.0),
            *(self._cost, program.lower, program.upper, program.row_lower, program.row_upper),
            *(program.start[:-1] if n == 0 else program.start, program.index, program.value),
            program.integer.astype(np.int32),
        )
        if passed == highspy.HighsStatus.kError:
            raise SolverError("the solver refused the program: a coefficient is not a number")

    def _set(self, **options: Any) -> None:
        for name, value in options.items():
            self._highs.setOptionValue(name, value)

    # Solving ------------------------------------------------------------------------------

    def minimise(self, cost: Floats) -> Solution:
        """Minimise ``cost @ x``, with an optimal basis unless there are integers.

        Raises
        ------
        NoSolutionError
            If the program is infeasible or unbounded.
        SolverError
            If no solution was found within the time limit or at all.
        """
        columns = np.arange(cost.size, dtype=np.int32)
        self._cost = cost
        sizes = np.abs(cost[cost != 0.0])
        # a power of two keeps the digits; the solver's tolerances are absolute
        self._scale = 2.0 ** -np.round(np.log2(np.median(sizes))) if sizes.size else 1.0
        self._highs.changeColsCost(cost.size, columns, cost * self._scale)
        method = "simplex"
        if self.program.integer.any():
            method = "branch and cut"
            self._set(solver="choose")
        elif cost.size > SIMPLEX_COLUMNS:
            method = interior_point() if cost.size > HIPO_COLUMNS else "ipx"
        return self._run(method)

    def _run(self, method: str) -> Solution:
        chain = [(method, "choose"), ("ipx", "choose"), ("ipx", "off"), ("simplex", "off")]
        if method == "branch and cut":
            chain = chain[:1]
        told: list[str] = []
        for attempt, presolve in dict.fromkeys(chain):
            if attempt != "branch and cut":
                self._set(solver=attempt, run_crossover="on", presolve=presolve)
            if told or attempt in ("ipx", "hipo"):
                self._highs.clearSolver()
            self._limit_time()
            self._highs.run()
            status = self._highs.getModelStatus()
            self._set(presolve="choose")
            if status in _SOLVED:
                found = self._solution("optimal", attempt)
                error = self.program.violation(found.x)
                if error <= ACCURACY:
                    return found
                told.append(f"{attempt}: rows violated by {error:.1e}")
                continue
            # a higher rank was solved: what is infeasible now is only noise
            if status in _NO_PLAN and not self._ranked:
                raise NoSolutionError(self._highs.modelStatusToString(status).lower())
            if status in _STOPPED:
                return self._stopped(attempt)
            told.append(f"{attempt}: {self._highs.modelStatusToString(status).lower()}")
        raise SolverError(f"the solver gave up on this program ({'; '.join(told)})")

    def _limit_time(self) -> None:
        if self._limit is not None:
            # HiGHS counts the time of all runs together
            self._set(time_limit=self._highs.getRunTime() + self._limit)

    def _stopped(self, method: str) -> Solution:
        info = self._highs.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            raise SolverError(f"no solution within {self._limit:g} s: allow more time")
        return self._solution("time limit", method)

    def _solution(self, status: str, method: str) -> Solution:
        found = self._highs.getSolution()
        x = np.asarray(found.col_value, np.float64)
        if x.size == 0:
            x = np.zeros(self._cost.size)
        x = np.clip(x, self._lower, self._upper)
        integer = self.program.integer
        x[integer] = np.round(x[integer])
        info = self._highs.getInfo()
        gap = float(info.mip_gap) if integer.any() else 0.0
        return Solution(x, float(self._cost @ x), status, gap, method)

    # After a solve ------------------------------------------------------------------------

    def stay_optimal(self) -> None:
        """Keep to the optimal face of the last objective.

        By complementary slackness the optimal solutions are the feasible ones whose columns
        with a reduced cost, and rows with a dual, stay at their bounds. So lower ranks need
        no constraint on the value of higher ones, and no tolerance on it.
        """
        self._ranked = True
        found = self._highs.getSolution()
        x, dual = np.asarray(found.col_value), np.asarray(found.col_dual)
        fixed = np.flatnonzero((np.abs(dual) > _FIX) & (self._lower < self._upper))
        # the bound itself, not a value with the noise of the solution
        value = np.where(dual[fixed] > 0, self._lower[fixed], self._upper[fixed])
        near = np.abs(value - x[fixed]) <= 1e-6 * (1.0 + np.abs(value))
        fixed, value = fixed[near], value[near]
        self._lower[fixed] = self._upper[fixed] = value
        self._highs.changeColsBounds(fixed.size, fixed.astype(np.int32), value, value)
        rows = np.flatnonzero(np.abs(np.asarray(found.row_dual)) > _FIX)
        lower, upper = self.program.row_lower[rows], self.program.row_upper[rows]
        loose = lower < upper
        rows, lower, upper = rows[loose], lower[loose], upper[loose]
        side = np.where(np.asarray(found.row_dual)[rows] > 0, lower, upper)
        # a dual of the wrong sign for its only bound is noise: that row stays as it is
        good = np.isfinite(side)
        rows, side = rows[good], side[good]
        self._highs.changeRowsBounds(rows.size, rows.astype(np.int32), side, side)

    def sensitivity(self, quantity: Floats) -> tuple[Floats, Floats]:
        """Change of ``quantity @ x`` along the optimal basis.

        With the basis B of the last solve and ``B' y = q_B``, the quantity changes by ``y_i``
        per unit of the right-hand side of a binding row i and by ``q_j - A_j' y`` per unit of
        the bound that column j stands at; if the quantity is the objective these are the
        shadow prices and reduced costs (Bertsimas, Tsitsiklis: Introduction to Linear
        Optimization, 1997, section 5.2).

        Returns
        -------
        tuple of float64[m] and float64[n]
            Per unit of rows and of columns; 0 where a bound does not bind.
        """
        n, m = self.program.lower.size, self.program.row_lower.size
        if m == 0:
            return np.zeros(0), np.array(quantity)
        basic = self._basic_variables()
        right = np.where(basic >= 0, quantity[np.clip(basic, 0, n - 1)], 0.0)
        status, y = self._highs.getBasisTransposeSolve(right)
        if status == highspy.HighsStatus.kError:
            raise SolverError("the solver lost the basis of its solution")
        rows = np.array(y, np.float64)
        columns = quantity - self.program.transposed(rows)
        columns[basic[basic >= 0]] = 0.0
        rows[-1 - basic[basic < 0]] = 0.0
        return rows, columns

    def _basic_variables(self) -> Ints:
        status, basic = self._highs.getBasicVariables()
        if status == highspy.HighsStatus.kError:
            self._set(solver="simplex", presolve="off")
            self._highs.run()
            self._set(presolve="choose")
            status, basic = self._highs.getBasicVariables()
        if status == highspy.HighsStatus.kError:
            raise SolverError("the solver has no basis for its solution")
        return np.asarray(basic, np.int64)


def add_rows(
    program: LinearProgram, rows: Sequence[Floats], lower: Sequence[float], upper: Sequence[float]
) -> LinearProgram:
    """The program with further dense rows."""
    entries = Triplets()
    n, m = program.lower.size, program.row_lower.size
    columns = np.repeat(np.arange(n), np.diff(program.start))
    entries.add(program.index.astype(np.int64), columns, program.value)
    for k, row in enumerate(rows):
        where = np.flatnonzero(row)
        entries.add(np.full(where.size, m + k), where, row[where])
    start, index, value = entries.compress(m + len(rows), n)
    return LinearProgram(
        program.lower,
        program.upper,
        np.concatenate([program.row_lower, lower]),
        np.concatenate([program.row_upper, upper]),
        start,
        index,
        value,
        program.integer,
    )
