"""The fluid engine: nothing is lost, states go on, results do not depend on how they were run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.fluid_services import always, straight

from firsttoken.serving import factory_simulate
from firsttoken.serving import factory_state as columns
from firsttoken.serving.factory_compile import compile_factory
from firsttoken.serving.factory_simulate import check_books, simulate, snapshot, weighted_quantile
from firsttoken.serving.factory_state import wider
from firsttoken.serving.factory_system import Class, Inputs, Pool, Service, System
from firsttoken.serving.factory_tables import cut_lengths
from firsttoken.twin.findings import BalanceError, TwinError

DRAW = np.random.default_rng(5)
LENGTHS = cut_lengths(DRAW.lognormal(6, 1, 500), DRAW.geometric(0.01, 500) + 0.0, outputs=6)


def restless(seed: int, ticks: int, dispersion: float = 0.0, apart: bool = False) -> System:
    """Two services under rates, replicas, speeds, caps and failures that change."""
    draw = np.random.default_rng(seed)
    law = straight(step=0.01, token=2e-5, kv=1e-9, pair=1e-9, memory=2e5)
    pool = Pool(law, 2048.0, 64.0)
    kinds = (
        Class("a", LENGTHS, 1, dispersion, 1.0, 0.05),
        Class("b", always(300.0, 40.0), 0, dispersion, 1.0, 0.05, 4.0),
    )
    services = [
        Service("one", kinds, pool),
        Service("two", (Class("c", LENGTHS),), pool, prefill=pool if apart else None),
    ]
    pools = 2 + apart
    inputs = Inputs(
        rate=draw.uniform(0, 40, (3, ticks)) * (draw.uniform(0, 1, (3, ticks)) > 0.2),
        replicas=draw.integers(0, 8, (pools, ticks)).astype(float),
        speed=draw.uniform(0.5, 1.0, (pools, ticks)),
        cap=draw.uniform(200, 5000, (pools, ticks)),
        lost=0.3 * (draw.uniform(0, 1, (pools, ticks)) < 0.05),
    )
    return compile_factory(services, inputs)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_books_balance_whatever_happens(seed: int, apart: bool) -> None:
    """`simulate` raises where they do not; here they are added up once more, by hand."""
    system = restless(seed, 120, apart=apart)
    result = simulate(system, 1, 1, threads=1)
    books, rows = result.books[0], result.rows[0]
    come = system.factory.inputs.rate.sum(axis=1)
    assert books[:, columns.NEW] == pytest.approx(come, rel=1e-9)
    totals = rows.sum(axis=1)
    one, two = books[:2].sum(axis=0), books[2]
    for row, book in zip(totals, (one, two), strict=True):
        assert row[columns.FINISHED] == pytest.approx(book[columns.ENDED], rel=1e-9, abs=1e-9)
        assert row[columns.DECODED] == pytest.approx(book[columns.MADE], rel=1e-9, abs=1e-9)
        assert row[columns.LOST] == pytest.approx(book[columns.THROWN], rel=1e-9, abs=1e-9)
    made = books[:, columns.GIVEN] + books[:, columns.WASTED]
    assert (books[:, columns.MADE] >= made - 1e-6).all()
    assert (rows[:, :, columns.ATTAINED] <= rows[:, :, columns.FINISHED] + 1e-9).all()


def test_sketches_hold_every_request_that_ended() -> None:
    result = simulate(restless(3, 300), 1, 1, threads=1)
    ended = result.books[0, :, columns.ENDED]
    assert result.sketch[0, :, columns.BY_E2E].sum(axis=1) == pytest.approx(ended, rel=1e-9)
    begun = result.books[0, :, columns.BEGUN]
    assert result.sketch[0, :, columns.BY_TTFT].sum(axis=1) == pytest.approx(begun, rel=1e-9)


def test_books_that_do_not_balance_are_an_error() -> None:
    system = restless(3, 50)
    state = snapshot(system, 1, 0, 50).state
    state.books[0, columns.MADE] += 1.0
    with pytest.raises(BalanceError, match=r"one\.a: output tokens off by 1"):
        check_books(system, state)


def test_a_state_goes_on_bit_for_bit() -> None:
    system = restless(7, 300, dispersion=2.0, apart=True)
    whole = simulate(system, 1, 4, threads=1)
    state = snapshot(system, 4, 0, 130)
    rest = simulate(system, 1, 4, initial_state=state, threads=1)
    assert (rest.first, rest.rows.shape[2]) == (130, 170)
    assert (rest.rows[0] == whole.rows[0, :, 130:]).all()
    assert (rest.books == whole.books).all()


def test_threads_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    system = restless(8, 200, dispersion=2.0)
    one = simulate(system, 3, 4, threads=1)
    monkeypatch.setattr(factory_simulate, "BLOCK", 17)
    monkeypatch.setattr(factory_simulate, "WINDOW", 16)
    two = simulate(system, 3, 4, threads=3)
    assert (one.rows == two.rows).all()
    assert (one.sketch == two.sketch).all()
    assert not (one.rows[0] == one.rows[1]).all()


def test_wider_curves_hold_the_same() -> None:
    system = restless(9, 100)
    state = snapshot(system, 1, 0, 60)
    wide = factory_simulate.FactoryState(state.identity, wider(state.state, 9000))
    one = simulate(system, 1, 1, initial_state=state, threads=1)
    two = simulate(system, 1, 1, initial_state=wide, threads=1)
    assert (one.rows == two.rows).all()


def test_rows_of_many_ticks_are_sums_and_means() -> None:
    system = restless(10, 100)
    fine = simulate(system, 1, 1, threads=1).rows[0]
    coarse = simulate(system, 1, 1, every=30, threads=1).rows[0]
    assert coarse.shape[1] == 4
    means = list(columns.AVERAGED)
    for row, part in enumerate((slice(0, 30), slice(30, 60), slice(60, 90), slice(90, 100))):
        expected = fine[:, part].sum(axis=1)
        expected[:, means] = fine[:, part].mean(axis=1)[:, means]
        assert coarse[:, row] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_drawn_arrivals_vary_as_they_say() -> None:
    """Variance over mean of the requests of a second is the dispersion."""
    pool = Pool(straight(), 1e5, 1e4)
    kinds = (Class("all", always(1.0, 2.0), dispersion=3.0),)
    ones = np.ones((1, 4000))
    inputs = Inputs(50.0 * ones, 10.0 * ones, ones, np.inf * ones, 0.0 * ones)
    system = compile_factory([Service("s", kinds, pool)], inputs)
    come = simulate(system, 1, 9, threads=1).rows[0, 0, :, columns.ARRIVED]
    assert come.mean() == pytest.approx(50.0, rel=0.03)
    assert come.var() / come.mean() == pytest.approx(3.0, rel=0.1)


def test_a_state_of_another_factory_is_refused() -> None:
    state = snapshot(restless(1, 50), 1, 0, 20)
    other = restless(1, 50)
    other = other._replace(names=("x", "two"))
    with pytest.raises(TwinError, match="another factory"):
        simulate(other, 1, 1, initial_state=state)


def test_inputs_that_are_too_short_are_told() -> None:
    with pytest.raises(TwinError, match="the inputs hold 50"):
        simulate(restless(1, 50), 1, 1, ticks=60)


def test_a_service_without_replicas_keeps_its_queue() -> None:
    pool = Pool(straight(), 1e5, 1e4)
    ones = np.ones((1, 100))
    up = ones.copy()
    up[0, 20:60] = 0.0
    inputs = Inputs(5.0 * ones, up, ones, np.inf * ones, 0.0 * ones)
    system = compile_factory([Service("s", (Class("all", always(1.0, 50.0)),), pool)], inputs)
    row = simulate(system, 1, 1, threads=1).rows[0, 0]
    assert row[20:60, columns.FINISHED].sum() == 0.0
    # and the prompts that were in hand when the last replica went
    assert row[59, columns.WAITING] == pytest.approx(40 * 5.0, rel=1e-3)
    assert row[20:60, columns.POWER].sum() == 0.0
    assert row[-1, columns.WAITING] == pytest.approx(5.0 * 0.5 * 0.01, rel=0.02)  # half a step


def test_quantiles_of_weights() -> None:
    counts = np.zeros(columns.BUCKETS)
    assert np.isnan(weighted_quantile(counts, 0.5))
    counts[1000], counts[2000] = 0.25, 0.75
    from firsttoken.kernel.sketch import bucket_edges

    edges = bucket_edges()
    assert weighted_quantile(counts, 0.125) == pytest.approx(0.5 * (edges[1000] + edges[1001]))
    assert edges[2000] < weighted_quantile(counts, 0.9) < edges[2001]


def test_replications_of_one_seed_are_not_those_of_the_next() -> None:
    """Replication 1 of seed 1 is the one that runs alone, and is not replication 0 of seed 2."""
    system = restless(9, 200, dispersion=2.0)
    both = simulate(system, 2, 1)
    alone = simulate(system, 1, 1, number=1)
    other = simulate(system, 1, 2)
    np.testing.assert_array_equal(both.rows[1], alone.rows[0])
    assert not np.array_equal(alone.rows[0], other.rows[0])


def test_flows_are_the_same_without_spreads() -> None:
    """Only what is known of single requests is left out."""
    system = restless(11, 200, apart=True)
    whole = simulate(system, 1, 1, threads=1)
    flows = simulate(system, 1, 1, spreads=False, threads=1)
    told = [columns.TTFT, columns.TPOT, columns.ATTAINED, columns.TOOK]
    kept = [column for column in range(columns.COLUMNS) if column not in told]
    assert (whole.rows[..., kept] == flows.rows[..., kept]).all()
    assert flows.sketch.size == 0
