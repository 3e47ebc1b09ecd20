"""What limits a service and what a tenth more brings, against cases with one answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.factories import factory, tables

from firsttoken.serving import result as of
from firsttoken.serving.kpi_explain import asked_share, cause_of, limit_said
from firsttoken.serving.levers import (
    Prefill,
    Setting,
    busy,
    levers,
    pace_at,
    point_of,
    served,
    shares,
)
from firsttoken.serving.levers_speed import Draw, Slowdown, pace_of
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import GENERIC
from firsttoken.serving.system import Layout

INF = float("inf")
LLAMA = Setting(
    architecture=library_architecture("llama3_1_70b"),
    hardware=library_hardware("h100_sxm"),
    layout=Layout(4.0, 1.0, 1.0, 1.0, 4.0, 8.0, 8.0, 8.0, 8.0),
    engine=GENERIC,
    prompt=1000.0,
    output=500.0,
    cached=0.0,
    sequences=64.0,
    speed=1.0,
    ttft=INF,
    tpot=INF,
    e2e=INF,
)


def by_name(setting: Setting, flight: float) -> dict[str, tuple[float, float]]:
    return {lever.name: (lever.served, lever.pace) for lever in levers(setting, flight)}


def test_faster_software_is_faster_by_just_that() -> None:
    served_more, pace = by_name(LLAMA, 8.0)["speed"]
    assert served_more == pytest.approx(0.1)
    assert pace == pytest.approx(1 / 1.1 - 1)


def test_one_sequence_waits_for_bandwidth_not_for_arithmetic() -> None:
    """Decoding one sequence reads all weights for two operations a byte (roofline)."""
    found = by_name(LLAMA, 1.0)
    assert found["bandwidth"][1] < -0.04
    assert abs(found["arithmetic"][1]) < 0.01
    assert found["memory"][1] == pytest.approx(0.0, abs=1e-9)
    told = shares(LLAMA, 1.0)
    assert next(iter(told)) == "dense"
    assert sum(told.values()) == pytest.approx(1.0)


def test_a_goal_ends_the_load_where_it_is_reached() -> None:
    """Within the goal at the load that is found, and beyond it a little above."""
    free = served(LLAMA)
    assert (free.bound, free.flight) == ("sequences", 64.0)
    latency = float(point_of(LLAMA, np.array([16.0])).tpot[0])
    held = served(LLAMA._replace(tpot=latency))
    assert held.bound == "tpot"
    assert held.flight == pytest.approx(16.0, rel=0.02)
    assert held.tokens < free.tokens
    found = by_name(LLAMA._replace(tpot=latency), 16.0)
    assert found["tpot_goal"][0] > 0.05
    assert found["sequences"][0] == pytest.approx(0.0, abs=1e-9)


def test_a_goal_that_nobody_reaches() -> None:
    assert served(LLAMA._replace(tpot=1e-6)).tokens == 0.0


def test_memory_ends_the_load_of_long_contexts() -> None:
    """Weights of 70 GB on 4 x 80 GB leave about 55 GB a GPU: KV of 160 KiB a token in FP8."""
    long = LLAMA._replace(prompt=60_000.0, output=2000.0, sequences=512.0)
    found = served(long)
    assert found.bound in ("memory", "speed")
    # 4 x (0.9 x 80 - 17.6) GB over 163,840 B a token, 61,000 tokens a sequence
    room = 4 * (0.9 * 80e9 - 17.6e9) / 163_840 / 61_000
    assert found.flight <= room * 1.05


def apart(replicas: float, **more: Any) -> Setting:
    """The same model with prefill on replicas of its own."""
    before = Prefill(LLAMA.hardware, LLAMA.layout, replicas, 1.0)
    return LLAMA._replace(prefill=before, **more)


def test_few_replicas_that_prefill_end_the_load() -> None:
    """A closed queue of one server hands out one prompt each service time (utilisation law)."""
    tight = apart(0.5, prompt=8000.0, output=100.0, sequences=256.0)
    found = served(tight)
    assert found.bound == "prefill"
    # a prompt alone, of many replicas: its service time, and some ms of front end and handover
    alone = apart(64.0, prompt=8000.0, output=2.0, sequences=256.0)
    seconds = float(point_of(alone, np.array([1.0])).ttft[0])
    assert found.tokens / 100.0 == pytest.approx(0.5 / seconds, rel=0.15)
    assert busy(tight, found.tokens) == pytest.approx(1.0, abs=0.06)
    more = by_name(tight, 10.0)
    assert more["prefill"][0] == pytest.approx(0.1, abs=0.02)
    assert more["decode"][0] == pytest.approx(0.0, abs=0.02)
    assert more["arithmetic"][0] > more["bandwidth"][0]


def test_enough_replicas_that_prefill_leave_the_batch_as_the_end() -> None:
    wide = apart(4.0, sequences=64.0)
    found = served(wide)
    assert found.bound == "sequences"
    more = by_name(wide, 32.0)
    assert more["prefill"][0] == pytest.approx(0.0, abs=0.01)
    assert more["decode"][0] == pytest.approx(0.1, abs=0.01)
    assert more["sequences"][0] > 0.02


def test_pools_twice_as_fast_serve_twice_as_much() -> None:
    slow = apart(0.5, prompt=8000.0, output=100.0, sequences=256.0)
    quick = slow._replace(speed=2.0, prefill=slow.prefill and slow.prefill._replace(speed=2.0))
    assert served(quick).tokens == pytest.approx(2.0 * served(slow).tokens, rel=0.05)


def test_drafts_that_are_right_bring_tokens() -> None:
    """Of one token drafted 80 % right: up to 1.8 tokens a step (Leviathan et al., ICML 2023)."""
    plain = float(point_of(LLAMA, np.array([1.0])).tpot[0])
    drafts = LLAMA._replace(accepted=0.8, drafted=1.0)
    assert 1.4 < plain / float(point_of(drafts, np.array([1.0])).tpot[0]) <= 1.8


def slowed(throttle: float = 1.0, room: float = INF, more: float = 0.0) -> Slowdown:
    """All the time the same."""
    return Slowdown(np.array([throttle]), np.array([room]), np.array([more]))


def test_a_cap_slows_by_the_power_law() -> None:
    """Power above idle goes with speed^2.5: half the speed takes 2^-2.5 of it."""
    draw = Draw(np.array([2000.0]), 400.0)
    half = 400.0 + 2000.0 * 2**-2.5
    assert pace_of(slowed(room=half), draw) == pytest.approx(0.5)
    assert pace_of(slowed(room=2400.0), draw) == pytest.approx(1.0)
    assert pace_of(slowed(0.3, half), draw) == pytest.approx(0.3)
    assert pace_of(slowed(room=100.0), draw) == pytest.approx(0.15)  # clocks go no lower
    assert pace_of(slowed(0.0), draw) == pytest.approx(0.0)
    by_time = Slowdown(np.array([1.0, 0.6]), np.full(2, INF), np.zeros(2))
    assert pace_of(by_time, draw) == pytest.approx(0.8)


def test_throttling_lowers_what_is_served_within_the_goals() -> None:
    """At 0.85 of the speed a goal of 20 ms is one of 17 ms at full speed, and tokens are 0.85."""
    assert served(LLAMA._replace(slowed=slowed(0.85))).tokens == pytest.approx(
        0.85 * served(LLAMA).tokens
    )
    goal = float(point_of(LLAMA, np.array([32.0])).tpot[0])
    full, hot = LLAMA._replace(tpot=goal), LLAMA._replace(tpot=goal, slowed=slowed(0.85))
    strict = served(LLAMA._replace(tpot=0.85 * goal))
    found = served(hot)
    assert found.flight == pytest.approx(strict.flight)
    assert found.tokens == pytest.approx(0.85 * strict.tokens)
    gain = served(full).tokens / found.tokens - 1.0
    assert gain > 0.2
    assert by_name(hot, 8.0)["cooling"][0] == pytest.approx(gain)
    assert by_name(hot, 8.0)["cooling"][1] == pytest.approx(0.85 - 1.0)
    assert "power_cap" not in by_name(hot, 8.0)
    cause = cause_of(hot, found)
    assert cause is not None
    assert cause.name == "cooling"
    assert cause.speed == pytest.approx(0.85)
    said = limit_said(found, 1.2, None, cause)
    assert "cooling (`throttle`), which leaves 85 % of its speed" in said
    assert cause_of(full, served(full)) is None


def test_nothing_is_served_where_cooling_leaves_nothing() -> None:
    found = served(LLAMA._replace(slowed=slowed(0.0)))
    assert found.tokens == 0.0
    assert by_name(LLAMA._replace(slowed=slowed(0.0)), 8.0)["cooling"][0] > 0


@pytest.mark.parametrize("setting", [LLAMA, apart(2.0)])
def test_a_power_cap_binds_and_is_a_lever(setting: Setting) -> None:
    """4 GPUs with 400 W each: far below the 700 W of an H100, far above its idle power."""
    tight = slowed(room=1600.0, more=160.0)
    early = setting.prefill and setting.prefill._replace(slowed=tight)
    held = setting._replace(slowed=tight, prefill=early)
    free, found = served(setting), served(held)
    assert found.tokens < 0.95 * free.tokens
    cause = cause_of(held, found)
    assert cause is not None
    assert cause.name == "power_cap"
    assert cause.tokens == pytest.approx(free.tokens)
    # room above idle of r watts over the watts at full speed leaves its 2.5th root: 10 % more of
    # the cap brings up to ((1760 - idle) / (1600 - idle))^0.4
    idle = 4 * float(np.asarray(setting.hardware.idle))
    most = ((1760 - idle) / (1600 - idle)) ** 0.4 - 1
    assert 0.5 * most < by_name(held, 32.0)["power_cap"][0] <= most * 1.05
    assert pace_at(held, found.flight) < 0.95


def test_pools_apart_are_throttled_alike() -> None:
    slow = apart(0.5, prompt=8000.0, output=100.0, sequences=256.0)
    early = slow.prefill and slow.prefill._replace(slowed=slowed(0.5))
    half = slow._replace(slowed=slowed(0.5), prefill=early)
    assert served(half).tokens == pytest.approx(0.5 * served(slow).tokens, rel=0.05)


def test_asked_is_what_arrives_not_what_is_served() -> None:
    """30 requests/s of 500 tokens in 100 s, 2 replicas of 2,500 tokens/s: three times as much."""
    counts = np.zeros((1, of.COUNTS))
    counts[0, of.ARRIVED], counts[0, of.REPLICA_SECONDS] = 3000.0, 200.0
    counts[0, of.OUTPUT] = 500_000.0
    assert asked_share(counts, 500.0, 2500.0) == pytest.approx(3.0)


USERS = "services.chat.traffic.users"
EVEN: dict[str, Any] = {
    USERS: {"rate": "4 request/s", "prompt": "1000 token", "output": "100 token"},
    "services.chat.mode": "fluid",
    "accelerators.pool": {"part": "gb300", "count": 16},
}


def told(folder: Path, **changes: Any) -> tuple[dict[str, Any], set[str], float]:
    """What binds, levers, and requests/s that came."""
    found = tables(folder, factory(**EVEN, **changes), horizon="5 minute", replications=1)
    came = next(r["p50"] for r in found["serving_summary"] if r["kpi"] == "x.chat.requests")
    return (
        found["serving_binding"][0],
        {row["lever"] for row in found["serving_levers"]},
        float(came),
    )


def test_a_service_is_told_what_binds_it(tmp_path: Path) -> None:
    """A calm service, one with four times what it can serve, a throttled and a capped one."""
    calm, names, _ = told(tmp_path)
    assert not calm["binds"]
    assert not {"cooling", "power_cap"} & names
    capacity = float(re.search(r"up to ([\d,]+)", calm["sentence"])[1].replace(",", ""))  # type: ignore[index]
    much, _, came = told(tmp_path, **{f"{USERS}.rate": f"{4 * 4 * capacity / 100} request/s"})
    assert much["binds"]
    assert much["name"] not in ("cooling", "power_cap")
    now = float(re.search(r"up to ([\d,]+)", much["sentence"])[1].replace(",", ""))  # type: ignore[index]
    assert much["share"] == pytest.approx(came * 100.0 / 4 / now, rel=0.01)

    # 4 replicas, and requests for two thirds of what they serve at full speed
    busy_now = {f"{USERS}.rate": f"{4 * capacity / 100 / 1.5} request/s"}
    hot, names, _ = told(tmp_path, **busy_now, throttle=0.3)
    assert (hot["name"], hot["binds"]) == ("cooling", True)
    assert "30 % of its speed" in hot["sentence"]
    assert "cooling" in names
    held, names, _ = told(tmp_path, **busy_now, power_cap="11 kW")
    assert (held["name"], held["binds"]) == ("power_cap", True)
    assert "power_cap" in names
