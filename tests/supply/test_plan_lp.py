"""The sparse program and what happens when a solver is not good enough."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.supply import lp


def diet() -> lp.LinearProgram:
    """x + 2 y >= 4, 3 x + y >= 6, x, y >= 0."""
    entries = lp.Triplets()
    entries.add(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 3.0, 1.0]))
    start, index, value = entries.compress(2, 2)
    infinite = np.full(2, np.inf)
    return lp.LinearProgram(
        np.zeros(2),
        infinite,
        np.array([4.0, 6.0]),
        infinite,
        start,
        index,
        value,
        np.zeros(2, bool),
    )


def test_entries_in_one_place_add_up_and_zeros_vanish() -> None:
    entries = lp.Triplets()
    entries.add(np.array([1, 1, 0, 2, 2]), np.array([0, 0, 1, 1, 1]), np.array([1.0, 2, 5, 4, -4]))
    start, index, value = entries.compress(3, 2)
    assert start.tolist() == [0, 1, 2]
    assert index.tolist() == [1, 0]
    assert value.tolist() == [3.0, 5.0]


def test_products_and_violations() -> None:
    program = diet()
    x = np.array([1.0, 1.0])
    assert program.products(x).tolist() == [3.0, 4.0]
    assert program.transposed(np.array([1.0, 1.0])).tolist() == [4.0, 3.0]
    # rows lack 1 and 2; sizes of their terms are 3 and 4
    assert program.violations(x) == pytest.approx([1 / 4, 2 / 5])


def test_optimum_and_sensitivities_by_hand() -> None:
    # x + y is least where both rows bind: x = 8/5, y = 6/5; duals (2/5, 1/5)
    solver = lp.Solver(diet())
    found = solver.minimise(np.ones(2))
    assert found.x == pytest.approx([1.6, 1.2])
    assert found.objective == pytest.approx(2.8)
    rows, columns = solver.sensitivity(np.ones(2))
    assert rows == pytest.approx([0.4, 0.2])
    assert columns == pytest.approx([0.0, 0.0])
    # x alone along the same basis: x = (2 b2 - b1) / 5
    assert solver.sensitivity(np.array([1.0, 0.0]))[0] == pytest.approx([-0.2, 0.4])


def test_lower_ranks_stay_on_the_optimal_face() -> None:
    # every point of x + 2 y = 4 with x >= 1.6 is best for the first rank; x = 1.6 for the second
    solver = lp.Solver(diet())
    first = solver.minimise(np.array([1.0, 2.0]))
    solver.stay_optimal()
    second = solver.minimise(np.array([1.0, 0.0]))
    assert first.objective == pytest.approx(4.0)
    assert second.x == pytest.approx([1.6, 1.2])


def test_infeasible_and_unbounded_programs_have_no_solution() -> None:
    program = diet()
    with pytest.raises(lp.NoSolutionError, match="unbounded"):
        lp.Solver(program).minimise(np.array([-1.0, -1.0]))
    program.upper[:] = 0.5
    with pytest.raises(lp.NoSolutionError, match="infeasible"):
        lp.Solver(program).minimise(np.ones(2))


def test_a_coefficient_that_is_no_number_is_refused() -> None:
    program = diet()
    program.value[0] = np.inf
    with pytest.raises(lp.SolverError, match="not a number"):
        lp.Solver(program)


def test_an_inaccurate_solution_is_tried_again_by_other_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lp, "ACCURACY", -1.0)
    with pytest.raises(lp.SolverError, match=r"simplex: rows violated .* ipx: .* ipx: .* simplex"):
        lp.Solver(diet()).minimise(np.ones(2))


def test_no_time_no_plan() -> None:
    # market split: Cornuejols, Dawande, A class of hard small 0-1 programs, IPCO 1998
    rng = np.random.default_rng(1)
    rows, columns = 6, 50
    weights = rng.integers(0, 100, (rows, columns)).astype(float)
    entries = lp.Triplets()
    row, column = np.divmod(np.arange(rows * columns), columns)
    entries.add(row, column, weights.ravel())
    half = np.floor(weights.sum(axis=1) / 2)
    program = lp.LinearProgram(
        *(np.zeros(columns), np.ones(columns), half, half),
        *entries.compress(rows, columns),
        np.ones(columns, bool),
    )
    with pytest.raises(lp.SolverError, match=r"no solution within 0.05 s: allow more time"):
        lp.Solver(program, 0.05).minimise(np.ones(columns))
