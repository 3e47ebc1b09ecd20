"""Procedure KN keeps its promise on normal outputs, whose means are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from firsttoken.line.analyse_select import BATCH, select


def outputs(means: list[float], seed: int, common: float = 0.7, sd: float = 1.0) -> np.ndarray:
    """Normal outputs of lines under common random numbers, [line, batch, BATCH]."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(1, 200, BATCH))
    own = random.normal(size=(len(means), 200, BATCH))
    noise = np.sqrt(common) * shared + np.sqrt(1 - common) * own
    return np.array(means)[:, None, None] + sd * noise


def test_the_best_is_chosen_as_often_as_promised() -> None:
    # Slippage configuration: all others are worse by just the indifference zone, the worst case.
    means, trials, right, batches = [0.0, 0.0, 0.3, 0.0, 0.0], 200, 0, []
    for seed in range(trials):
        drawn = outputs(means, seed)
        choice = select(lambda i, b: drawn[i, :b].ravel(), 5, 0.3, most=200)  # noqa: B023
        assert choice.decided
        right += choice.best == 2
        batches.append(choice.replications / BATCH)
    # Kim and Nelson 2001: correct with probability 0.95 or more.
    assert stats.binomtest(right, trials, 0.95, alternative="less").pvalue > 0.01
    assert 1 < np.mean(batches) < 100


def test_clear_differences_are_seen_at_once() -> None:
    drawn = outputs([0.0, 50.0, 1.0], 1)
    choice = select(lambda i, b: drawn[i, :b].ravel(), 3, 0.5, most=200)
    assert (choice.best, choice.decided, choice.replications) == (1, True, BATCH)


def test_what_cannot_be_told_apart_is_said_to_be_so() -> None:
    drawn = outputs([0.0, 0.0], 2)
    choice = select(lambda i, b: drawn[i, :b].ravel(), 2, 0.01, most=3)
    assert not choice.decided
    assert choice.alive == (0, 1)
    assert choice.replications == 3 * BATCH


def test_of_one_line_it_is_the_best() -> None:
    assert select(lambda i, b: np.zeros(b * BATCH), 1, 1.0, most=1).best == 0


@pytest.mark.parametrize("wrong", [(0, 1.0, 1), (2, 0.0, 1), (2, 1.0, 0)])
def test_what_cannot_be_is_refused(wrong: tuple[int, float, int]) -> None:
    count, zone, most = wrong
    with pytest.raises(ValueError, match="cannot select"):
        select(lambda i, b: np.zeros(b * BATCH), count, zone, most=most)
