"""The fluid mode's tables against sums done by hand and textbook distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.serving.fluid_services import straight

from firsttoken.serving.factory_system import BATCHES, FILLS
from firsttoken.serving.factory_tables import (
    LARGEST_SHAPE,
    SMALLEST_SHAPE,
    WEIGHTS,
    batch_grid,
    cut_lengths,
    extra_table,
    fill_table,
    gamma_table,
    own_seconds,
    prompts_of,
    step_part,
)
from firsttoken.serving.system import StepLaw


def flat_then_steep() -> StepLaw:
    """Weights are read in 10 ms, which hides up to 200 tokens; then 50 us a token."""
    tokens = np.array([0.0, 200.0, 1e5])
    return straight()._replace(
        tokens=tokens, seconds=np.array([0.01, 0.01, 0.01 + (1e5 - 200) * 5e-5]), joules=0 * tokens
    )


def test_bins_keep_the_tokens_of_the_sample() -> None:
    draw = np.random.default_rng(1)
    prompt, output = draw.lognormal(6, 1, 5000).round(), draw.geometric(0.01, 5000).astype(float)
    cached = np.floor(prompt / 3)
    found = cut_lengths(prompt, output, cached)
    assert found.share.sum() == pytest.approx(1.0)
    assert found.share @ found.prompt == pytest.approx((prompt - cached).mean())
    assert found.share @ found.cached == pytest.approx(cached.mean())
    assert found.share @ found.output == pytest.approx(output.mean())


def test_a_single_request_is_one_bin() -> None:
    found = cut_lengths([100.0], [7.0])
    assert (found.prompt.tolist(), found.output.tolist()) == ([100.0], [7.0])


def test_thinned_prompts_keep_their_mean() -> None:
    draw = np.random.default_rng(2)
    found = cut_lengths(draw.lognormal(6, 1, 3000), np.full(3000, 5.0))
    rows = prompts_of(found)
    assert len(rows) <= 512
    assert rows[:, 0].mean() == pytest.approx(found.sample[:, 0].mean(), rel=0.01)


def test_steps_go_on_straight_beyond_the_table() -> None:
    law = flat_then_steep()
    assert step_part(law, law.seconds, 100.0) == pytest.approx(0.01)
    assert step_part(law, law.seconds, 2e5) == pytest.approx(0.01 + (2e5 - 200) * 5e-5)


def test_straight_laws_need_no_distribution_of_prompts() -> None:
    law, grid = straight(token=1e-5), batch_grid(256.0)
    sample = np.random.default_rng(3).lognormal(6, 1, 400)
    seconds, _ = fill_table(law, 2048.0, grid, sample)
    fills = np.linspace(0, 1, FILLS)
    for row in range(BATCHES):
        expected = fills * (2048.0 - grid[row]) * 1e-5
        assert seconds[row] == pytest.approx(expected, rel=2e-3, abs=1e-7)


def test_prompts_that_come_one_by_one_cost_more_than_their_mean() -> None:
    """Jensen: seconds against tokens are convex."""
    law, grid = flat_then_steep(), batch_grid(128.0)
    seconds, _ = fill_table(law, 2048.0, grid, np.full(100, 1000.0))
    fills = np.linspace(0, 1, FILLS)
    room = 2048.0 - grid[:, None]
    of_mean = step_part(law, law.seconds, grid[:, None] + fills * room)
    of_mean = of_mean - step_part(law, law.seconds, grid)[:, None]
    assert (seconds >= of_mean - 1e-6).all()
    assert seconds[:, -1] == pytest.approx(of_mean[:, -1])
    # 50 tokens a step are a prompt of 1,000 in one step of twenty: 5 % of (1,000 - 200) x 50 us.
    few = np.interp(50.0 / 2048.0, fills, seconds[0])
    assert few == pytest.approx(50.0 / 1000.0 * 800.0 * 5e-5, rel=0.1)


def test_what_a_prompt_adds_is_the_sum_of_its_pieces() -> None:
    law, grid = flat_then_steep()._replace(overhead=0.002, pair_second=1e-9), batch_grid(100.0)
    sample = np.array([2500.0])
    pairs = 0.5 * sample**2
    extra, own = extra_table(law, 1000.0, grid, sample, pairs)
    # Batch 0: two steps of 1,000 tokens (40 ms more each than without) and one of 500 (15 ms).
    added = 2 * 0.04 + 0.015 + 1e-9 * 0.5 * 2500.0**2
    assert extra[0] == pytest.approx([added, added**2, added**3], rel=1e-6)
    assert own[0, 0] == pytest.approx(added + 3 * 0.012)
    same = own_seconds(law, 1000.0, 0.0, sample, np.zeros(1), 0.012)
    assert same[0] == pytest.approx(own[0, 0])


def test_gamma_quantiles() -> None:
    table = gamma_table()
    assert table @ np.array(WEIGHTS) == pytest.approx(1.0)
    shapes = np.geomspace(SMALLEST_SHAPE, LARGEST_SHAPE, len(table))
    row = int(np.argmin(abs(np.log(shapes))))
    edges = np.concatenate([[0.0], np.cumsum(WEIGHTS)])
    middle = 0.5 * (edges[:-1] + edges[1:])
    # Near shape 1: the exponential's quantile, -ln(1 - p).
    ratio = table[row] / -np.log(1 - middle)
    assert ratio[8:-1] == pytest.approx(1.0, rel=0.15)
    # Large shapes: the normal's, 1 + z / sqrt(shape).
    z = 1.6449 / math.sqrt(LARGEST_SHAPE)
    assert np.interp(0.95, middle, table[-1]) == pytest.approx(1.0 + z, rel=1e-3)
