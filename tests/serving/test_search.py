"""The configuration search, against loops, brute force and arithmetic by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.perf_point import aggregated_point, disaggregated_point
from firsttoken.serving.search import NEARLY, Answer, Question, pareto, search
from firsttoken.serving.search_costs import YEAR, Prices, annuity, gpu_second
from firsttoken.serving.search_point import Load, mean_of, prefill_seconds
from firsttoken.serving.search_space import BF16, FP8, LOADS, NVFP4, layouts, supported
from firsttoken.serving.system import Layout

DEEPSEEK = library_architecture("deepseek_v3")
LLAMA = library_architecture("llama3_1_8b")
GB200 = library_hardware("gb200")
H100 = library_hardware("h100_sxm")

SMALL = Question(LLAMA, H100, (BF16, FP8), 1024.0, 256.0, gpus=4.0, apart=False)
LARGE = Question(DEEPSEEK, GB200, (FP8, NVFP4), 1024.0, 1024.0, gpus=72.0, ttft=2.0, tpot=0.05)


@cache
def answer(question: Question) -> Answer:
    return search(question)


def test_layouts_are_consistent() -> None:
    found = layouts(DEEPSEEK, GB200, (FP8, NVFP4), 72.0)
    t, p, d, split, expert = (np.asarray(field) for field in found.layout[:5])
    assert (t * p * d <= 72).all()
    assert (split * expert == t * d).all()
    assert (DEEPSEEK.heads % t == 0).all()
    assert (DEEPSEEK.experts % expert == 0).all()
    rows = np.stack([t, p, d, split, expert, found.format])
    assert len(np.unique(rows, axis=1).T) == len(found)


def test_a_dense_model_has_no_data_or_expert_ranks() -> None:
    found = layouts(LLAMA, H100, (FP8,), 8.0)
    assert set(np.asarray(found.layout.data)) == {1.0}
    assert (np.asarray(found.layout.expert) == 1).all()


def test_hopper_does_not_multiply_fp4() -> None:
    """NVIDIA's H100 data sheet lists FP8 as its narrowest format of floating point."""
    assert supported((BF16, FP8, NVFP4), H100) == [BF16, FP8]
    assert supported((BF16, FP8, NVFP4), GB200) == [BF16, FP8, NVFP4]


def one(layout: Layout, row: int) -> Layout:
    return Layout(*(float(np.asarray(field)[row]) for field in layout))


def test_the_best_replica_is_the_best_of_a_loop() -> None:
    """Every layout and load on its own, through the performance model's scalars."""
    question = replace(SMALL, tpot=0.03, ttft=1.0, formats=(FP8,), gpus=2.0, sequences=300.0)
    best = (0.0, 0.0, 0.0)
    found = layouts(LLAMA, H100, (FP8,), 2.0)
    for row in range(len(found)):
        layout = one(found.layout, row)
        for users in LOADS:
            held = users * (1024 + 128)
            if users > 300 or held > kv_capacity(LLAMA, H100, layout, 1024 + 128, users):
                continue
            point = aggregated_point(LLAMA, H100, layout, 1024.0, 256.0, users)
            if point.tpot > 0.03 or point.ttft > 1.0:
                continue
            gpus = float(layout.tensor * layout.pipeline)
            total = float(point.tokens) * math.floor(2 / gpus)
            best = max(best, (total, gpus, float(users)))
    found_best = answer(question)
    row = found_best.best
    most = int(np.argmax(np.where(found_best.meets, found_best.total, 0.0)))
    assert found_best.total[most] == pytest.approx(best[0])
    assert found_best.columns.gpus[most] == best[1]
    assert found_best.columns.flight[most] == best[2]
    assert found_best.total[row] >= NEARLY * best[0]


def test_units_apart_are_as_the_performance_model_says() -> None:
    """Each on its own, through the performance model's scalars."""
    question = replace(LARGE, together=False)
    columns = answer(question).columns
    for row in (0, len(columns) // 2, len(columns) - 1):
        before, after = one(columns.prefill, row), one(columns.layout, row)
        point = disaggregated_point(
            DEEPSEEK,
            GB200,
            before,
            after,
            columns.prefill_workers[row],
            columns.workers[row],
            1024.0,
            1024.0,
            columns.flight[row],
        )
        assert columns.tokens[row] == pytest.approx(float(point.tokens))
        assert columns.tpot[row] == pytest.approx(float(point.tpot))
        assert columns.ttft[row] == pytest.approx(float(point.ttft))


def test_prefill_workers_keep_up() -> None:
    """Little's law: requests a second times a prompt's seconds are the workers that are busy."""
    columns = answer(replace(LARGE, together=False)).columns
    load = Load(DEEPSEEK, GB200, 1024.0, 1024.0)
    busy = columns.tokens / 1024.0 * prefill_seconds(load, columns.prefill)
    assert (busy <= 0.95 * columns.prefill_workers).all()
    assert (columns.gpus <= 72).all()


def test_ten_thousand_configurations_and_more_are_looked_at() -> None:
    """The bar of issue 5: 72 GB200 and a model of DeepSeek-V3's class."""
    found = answer(LARGE)
    assert len(found.columns) >= 10_000
    assert found.best >= 0
    assert found.meets[found.best]


def test_the_best_meets_what_is_asked() -> None:
    found = answer(LARGE)
    row = found.best
    assert found.columns.ttft[row] <= 2.0
    assert found.columns.tpot[row] <= 0.05
    assert found.units[row] * found.columns.gpus[row] <= 72
    near = found.meets & (found.total >= NEARLY * found.total[found.meets].max())
    assert near[row]
    assert found.columns.gpus[row] == found.columns.gpus[near].min()


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40))
def test_the_frontier_is_that_of_all_pairs(points: list[tuple[int, int]]) -> None:
    first, second = np.array(points, dtype=float).T
    kept = {(first[row], second[row]) for row in pareto(first, second)}
    beaten = {
        (a, b) for a, b in points if any(x >= a and y >= b and (x > a or y > b) for x, y in points)
    }
    assert kept == {(float(a), float(b)) for a, b in points} - {
        (float(a), float(b)) for a, b in beaten
    }
    assert len(pareto(first, second)) == len(kept)


def test_the_frontier_falls() -> None:
    found = answer(LARGE)
    users, gpus = found.per_user[found.frontier], found.per_gpu[found.frontier]
    assert all(a < b for a, b in pairwise(users))
    assert all(a > b for a, b in pairwise(gpus))


@settings(max_examples=8, deadline=None)
@given(st.floats(0.008, 0.2), st.floats(1.0, 4.0))
def test_a_looser_goal_never_serves_less(tpot: float, factor: float) -> None:
    strict = search(replace(SMALL, tpot=tpot))
    loose = search(replace(SMALL, tpot=tpot * factor))
    if strict.best >= 0:
        assert loose.total[loose.best] >= strict.total[strict.best] * NEARLY


def test_more_gpus_never_serve_less() -> None:
    totals = [
        found.total[found.best]
        for found in (search(replace(SMALL, gpus=float(n), tpot=0.02)) for n in (1, 2, 3, 5, 8))
    ]
    assert all(a * NEARLY <= b for a, b in pairwise(totals))


def test_a_budget_of_power_holds() -> None:
    found = search(replace(SMALL, gpus=math.inf, watts=10_000.0, tpot=0.05))
    row = found.best
    used = found.units[row] * found.columns.gpus[row] * found.watts[row]
    assert used <= 10_000.0
    assert used + found.columns.gpus[row] * found.watts[row] > 10_000.0
    assert H100.idle + H100.host < found.watts[row] < H100.tgp + H100.host


def test_a_rate_takes_the_fewest_gpus() -> None:
    question = replace(SMALL, gpus=64.0, rate=60.0, tpot=0.03)
    found = search(question)
    row = found.best
    used = found.units[row] * found.columns.gpus[row]
    assert found.total[row] >= 60.0 * 256.0
    assert (found.units[row] - 1) * found.columns.tokens[row] < 60.0 * 256.0
    every = found.units * found.columns.gpus
    assert used * NEARLY <= every[found.meets].min()


@pytest.mark.parametrize(("objective", "column"), [("cost", "dollars"), ("energy", "joules")])
def test_other_objectives_are_met(objective: str, column: str) -> None:
    question = replace(SMALL, tpot=0.05, rent=2.0 / 3600, energy=80 / 3.6e9, pue=1.2)
    found = search(replace(question, objective=objective))  # type: ignore[arg-type]
    scores = getattr(found, column)
    assert scores[found.best] * NEARLY <= scores[found.meets].min()


def test_money_and_energy_by_hand() -> None:
    """A GPU of 2 USD/hour, energy of 80 USD/MWh, a PUE of 1.2."""
    found = search(replace(SMALL, tpot=0.05, rent=2.0 / 3600, energy=80 / 3.6e9, pue=1.2))
    row = found.best
    a_second = found.columns.tokens[row] / found.columns.gpus[row]
    joules = found.watts[row] * 1.2 / a_second
    assert found.joules[row] == pytest.approx(joules)
    million = 1e6 / a_second / 3600 * 2.0 + joules * 1e6 / 3.6e9 * 80
    assert found.dollars[row] == pytest.approx(million)


def test_a_goal_for_most_of_the_time_leaves_room_for_bursts() -> None:
    """At most `flight` requests for 95 % of the time: z = 1.645 (tables of the normal)."""
    mean = mean_of(np.array([100.0]), 1.645)[0]
    assert mean + 1.645 * math.sqrt(mean) == pytest.approx(100.0)
    usual, always = search(replace(SMALL, tpot=0.02)), search(replace(SMALL, tpot=0.02, share=0.95))
    assert always.total[always.best] < usual.total[usual.best]
    assert always.columns.tpot[always.best] <= 0.02


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": DEEPSEEK}, "the model does not fit: its weights take 6.. GB"),
        ({"ttft": 1e-3}, "no configuration reaches a time to the first token of 1 ms"),
        ({"tpot": 1e-4}, "no configuration reaches a time per output token of 0.1 ms"),
        ({"e2e": 0.01}, "no configuration reaches a time of a request of 10 ms"),
        ({"rate": 1e6}, "the budget does not suffice for 1e\\+06 requests/s"),
        ({"watts": 600.0}, "the power does not suffice for one replica"),
        ({"formats": (NVFP4,)}, "multiplies none of the number formats"),
    ],
)
def test_why_nothing_serves(change: dict[str, object], said: str) -> None:
    found = search(replace(SMALL, **change))  # type: ignore[arg-type]
    assert found.best == -1
    import re

    assert re.search(said, found.reason), found.reason


def test_the_remedies_that_are_named_work() -> None:
    def named(text: str, before: str) -> float:
        import re

        match = re.search(before + r" ([\d.]+)", text)
        assert match, text
        return float(match[1])

    large = replace(LARGE, hardware=H100, formats=(FP8,), gpus=8.0, tpot=math.inf, ttft=math.inf)
    gpus = named(search(large).reason, "give at least")
    assert search(replace(large, gpus=2 ** math.ceil(math.log2(gpus)))).best >= 0
    slow = replace(SMALL, tpot=1e-3)
    best = named(search(slow).reason, "the best has") / 1e3
    assert search(replace(SMALL, tpot=best * 1.001)).best >= 0
    busy = replace(SMALL, rate=1e3, tpot=0.03)
    gpus = named(search(busy).reason, "that takes about")
    assert search(replace(busy, gpus=gpus * 1.02 + 8)).best >= 0


@pytest.mark.parametrize("change", [{"prompt": 0.0}, {"output": math.nan}, {"gpus": -1.0}])
def test_questions_without_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        search(replace(SMALL, **change))  # type: ignore[arg-type]


def test_annuities_are_those_of_tables() -> None:
    """5 years at 10 %: 0.26380 (Brealey, Myers and Allen, appendix table 3: 1 / 3.791)."""
    assert annuity(0.10, 5 * YEAR) == pytest.approx(1 / 3.791, rel=2e-4)
    assert annuity(0.0, 4 * YEAR) == pytest.approx(0.25)


def test_a_gpu_hour_by_hand() -> None:
    """43,000 USD for a GPU of GB200 NVL72, 12 % network, 5 years, 15 years for 11.7 USD/W."""
    prices = Prices(43e3, 0.12, 5 * YEAR, 0.0, 0.05, 11.7, 15 * YEAR, 0.0, 1.2)
    yearly = 43e3 * 1.12 / 5 + 43e3 * 0.05 + 11.7 * 1667 / 15
    assert gpu_second(prices, 1667.0) * 3600 == pytest.approx(yearly / 8766)
