"""The room as the rest of the house sees it: tables, ports, scenarios, modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.factories import Rows, check, factory, tables, twin_of, write

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.serving.room import ROOM
from firsttoken.twin.findings import InfeasibleError
from firsttoken.twin.room import Settings

USERS = "services.chat.traffic.users"
EVEN = {USERS: {"rate": "4 request/s", "prompt": "1000 token", "output": "100 token"}}
"""4 requests/s of 1,000 and 100 tokens."""


def figure(found: dict[str, Rows], kpi: str, scenario: str = "base") -> dict[str, Any]:
    rows = found["serving_summary"]
    return next(r for r in rows if r["kpi"] == f"x.{kpi}" and r["scenario"] == scenario)


def middle(found: dict[str, Rows], kpi: str, scenario: str = "base") -> float:
    return float(figure(found, kpi, scenario)["p50"])


def period(found: dict[str, Rows], metric: str, service: str = "chat") -> list[float]:
    rows = found["serving_period"]
    return [r["p50"] for r in rows if r["metric"] == metric and r["service"] == service]


@pytest.mark.parametrize("mode", ["requests", "fluid", "hybrid"])
def test_tokens_power_and_money_add_up(tmp_path: Path, mode: str) -> None:
    """4 requests/s make 400 tokens/s; 72 GPUs at 3 USD/h, energy at 100 USD/MWh and PUE 1.2."""
    changes = {
        **EVEN,
        "services.chat.mode": mode,
        "accelerators.pool.rent": "3 USD/hour",
        "energy_price": "100 USD/MWh",
        "pue": 1.2,
    }
    if mode == "hybrid":
        changes["services.chat.sample"] = 2
    found = tables(tmp_path, factory(**changes), horizon="20 minute", replications=4)
    # 4,800 requests are Poisson: the mean of four replications strays by 0.7 %
    assert figure(found, "chat.requests")["mean"] == pytest.approx(4.0, rel=0.03)
    assert figure(found, "chat.tokens")["mean"] == pytest.approx(400.0, rel=0.03)
    assert figure(found, "chat.prompt_tokens")["mean"] == pytest.approx(4000.0, rel=0.03)
    assert middle(found, "gpus") == 72
    assert middle(found, "chat.gpus") == 16
    assert middle(found, "used") == pytest.approx(100 * 16 / 72)
    energy = figure(found, "energy")  # kWh
    assert energy["unit"] == "kWh"
    assert figure(found, "power")["mean"] == pytest.approx(energy["mean"] / (1 / 3), rel=1e-9)
    money = 72 * 3 / 3 + energy["mean"] * 1.2 * 0.1
    assert figure(found, "cost")["mean"] == pytest.approx(money, rel=1e-9)
    # the service pays for its own 16 GPUs and what they take
    joules, made = figure(found, "chat.joules")["mean"], figure(found, "chat.tokens")["mean"]
    own = (16 * 3 / 3600 + joules * made * 1.2 * 0.1 / 3.6e6) / made * 1e6
    assert figure(found, "chat.dollars")["mean"] == pytest.approx(own, rel=0.01)
    assert middle(found, "chat.attained") > 99


def test_gpus_without_work_take_their_idle_power(tmp_path: Path) -> None:
    """56 GPUs idle at 170 to 220 W beside their hosts; a cap is kept by those that work."""
    sheet = {"idle": "200 W", "host": "400 W", "tgp": "1.4 kW"}
    pool = {"part": "gb300", "count": 72, **sheet}
    nothing = {**EVEN, "accelerators.pool": pool, f"{USERS}.scale": 0.0}
    found = tables(tmp_path, factory(**nothing), horizon="2 minute")
    assert middle(found, "power") == pytest.approx(72 * 0.6, rel=1e-9)
    assert middle(found, "chat.tokens") == 0


def test_speed_follows_the_throttle(tmp_path: Path) -> None:
    """At half the speed a step takes twice as long (few requests: batches stay near one)."""
    few = {**EVEN, f"{USERS}.rate": "0.2 request/s"}
    cool = tables(tmp_path, factory(**few))
    hot = tables(tmp_path, factory(**few, throttle=0.5))
    ratio = middle(hot, "chat.tpot_p50") / middle(cool, "chat.tpot_p50")
    assert ratio == pytest.approx(2.0, rel=0.03)
    faster = tables(tmp_path, factory(**few, **{"services.chat.engine": {"speed": 2}}))
    slower = tables(tmp_path, factory(**few, **{"services.chat.engine": {"speed": 1}}))
    gain = middle(slower, "chat.tpot_p50") / middle(faster, "chat.tpot_p50")
    assert gain == pytest.approx(2.0, rel=0.03)


def test_a_cap_is_kept(tmp_path: Path) -> None:
    """16 GPUs under load with a cap that falls; no tick lies above it, and tokens come later."""
    sheet = {"part": "gb300", "count": 16, "idle": "200 W", "host": "400 W", "tgp": "1.4 kW"}
    busy = {"accelerators.pool": sheet, f"{USERS}.rate": "60 request/s", "trace": True}
    cap = {"unit": "kW", "2026-11-02": 25, "2026-11-02T00:03": 13}
    free = tables(tmp_path, factory(**busy), horizon="6 minute")
    held = tables(tmp_path, factory(**busy, power_cap=cap), horizon="6 minute")
    power = np.array([row["power"] for row in held["serving_trace"]])
    assert power[185:].max() <= 13_000 * 1.001
    assert power[:180].max() > 13_000
    assert middle(held, "chat.tpot_p95") > 1.1 * middle(free, "chat.tpot_p95")
    assert middle(held, "power") < middle(free, "power")


def test_gpus_move_in_time(tmp_path: Path) -> None:
    """8 GPUs, then 32: 2 and 8 replicas; the closure of half the pool takes some away."""
    moved = {
        "services.chat.replicas": None,
        "services.chat.gpus": {"unit": "gpu", "2026-11-02": 8, "2026-11-02T01:00": 32},
        **EVEN,
        "report": "hour",
        "services.chat.mode": "fluid",
        "step": "10 s",
    }
    shut = [
        {
            "capacity": "serving.x.accelerators.pool",
            "factor": 0.25,
            "from": "2026-11-02T02:00",
        }
    ]
    scenarios = {"shut": {"disruptions": shut}}
    made = factory(**moved)
    found = tables(tmp_path, made, ["base", "shut"], horizon="3 hour", scenarios=scenarios)
    rows = [r for r in found["serving_period"] if r["metric"] == "gpus"]
    by = {
        name: [r["p50"] for r in rows if r["scenario"] == name and r["service"] == "chat"]
        for name in ("base", "shut")
    }
    assert by["base"] == pytest.approx([8, 32, 32])
    assert by["shut"] == pytest.approx([8, 32, 16]), "18 GPUs are left, replicas have 4 each"


def test_gpus_that_fail(tmp_path: Path) -> None:
    """A replica of 4 GPUs fails every hour and is back after 15 minutes: up for 0.8 of the time."""
    fails = {"mtbf": "4 hour", "mttr": "15 minute", "part": "gb300", "count": 72}
    found = tables(
        tmp_path, factory(**{"accelerators.pool": fails}, **EVEN), horizon="6 hour", replications=8
    )
    # 4 replicas x 6 hours x 8 replications: about 154 failures, 192 replica-hours
    assert figure(found, "chat.gpus")["mean"] == pytest.approx(0.8 * 16, rel=0.06)
    assert figure(found, "chat.thrown")["mean"] > 0


def test_a_trace_is_served_to_the_last_request(tmp_path: Path) -> None:
    """300 requests, one a second; twice as many with scale 2, and again with `repeat`."""
    lines = ["arrival,prompt,output", *(f"{i},{100 + i},{10 + i % 5}" for i in range(300))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    tokens = sum(10 + i % 5 for i in range(300))
    cases = [({}, 1.0), ({"scale": 2}, 2.0), ({"repeat": True}, 2.0)]
    for more, times in cases:
        changes = {"services.chat.traffic": {"users": {"trace": "t.csv", **more}}}
        found = tables(tmp_path, factory(**changes), horizon="10 minute", replications=1)
        assert middle(found, "chat.requests") * 600 == pytest.approx(300 * times)
        row = next(r for r in found["serving_tenants"] if r["metric"] == "finished")
        assert row["p50"] * 600 == pytest.approx(300 * times, abs=2)
        made = middle(found, "chat.tokens") * 600
        # the engine's first token of each answer comes with prefill
        assert made == pytest.approx(tokens * times, rel=0.1)


def test_modes_agree(tmp_path: Path) -> None:
    """Flows against single requests at a third of the capacity."""
    changes = {f"{USERS}.rate": "40 request/s", "services.chat.replicas": 2}
    found = {
        mode: tables(
            tmp_path, factory(**changes, **{"services.chat.mode": mode}), horizon="15 minute"
        )
        for mode in ("requests", "fluid")
    }
    for kpi, off in (("tokens", 0.05), ("tpot_p50", 0.05), ("tpot_p95", 0.1), ("ttft_p50", 0.15)):
        one, other = (middle(found[mode], f"chat.{kpi}") for mode in ("requests", "fluid"))
        assert other == pytest.approx(one, rel=off), kpi
    one, other = (middle(found[mode], "power") for mode in ("requests", "fluid"))
    assert other == pytest.approx(one, rel=0.02)


def test_prefill_on_gpus_of_its_own(tmp_path: Path) -> None:
    """Both kinds of replicas take GPUs, and appear with their roles."""
    changes = {"services.chat.prefill": {"parallel": {"tensor": 2}, "replicas": 6}, **EVEN}
    found = tables(tmp_path, factory(**changes))
    assert middle(found, "chat.gpus") == 4 * 4 + 6 * 2
    roles = {row["role"]: row["layout"] for row in found["serving_replicas"]}
    assert roles == {"decode": "TP4 EP4", "prefill": "TP2 EP2"}
    dense = tables(tmp_path, factory(**{"services.chat.model": "qwen3_32b", **EVEN}))
    assert {row["layout"] for row in dense["serving_replicas"]} == {"TP4"}
    assert middle(found, "chat.tokens") == pytest.approx(400, rel=0.1)


def test_replicas_follow_the_load(tmp_path: Path) -> None:
    scaling = {"least": 1, "target": "10 %", "interval": "10 s", "startup": "20 s"}
    changes = {**EVEN, "services.chat.scaling": scaling, "services.chat.replicas": 8}
    found = tables(tmp_path, factory(**changes))
    assert 4 <= middle(found, "chat.gpus") < 32


def test_training_takes_its_gpus_first(tmp_path: Path) -> None:
    """64 of 72 GPUs train; of the 8 left the service gets two replicas of four."""
    job = {
        "model": "llama3_1_8b",
        "gpus": 64,
        "batch": 64,
        "sequence": 4096,
        "parallel": {"tensor": 2},
    }
    changes = {"training": {"pretrain": job}, "services.chat.replicas": 9, **EVEN}
    found = tables(tmp_path, factory(**changes), horizon="1 hour")
    assert middle(found, "chat.gpus") == 8
    assert middle(found, "used") == 100
    row = {r["metric"]: r["p50"] for r in found["serving_pools"]}
    assert row["training"] == pytest.approx(100 * 64 / 72)
    assert any(r["kpi"].startswith("x.pretrain.") for r in found["serving_summary"])


def test_a_goal_out_of_reach_has_no_plan(tmp_path: Path) -> None:
    changes = {"services.chat.parallel": None, "services.chat.slo": {"tpot": "0.5 ms"}}
    write(tmp_path, twin_of(factory(**changes)))
    with pytest.raises(InfeasibleError, match="no configuration reaches a time per output token"):
        execute(api.load(tmp_path), None, Settings(engines=("plan",)))


def test_a_layout_that_is_missing_is_the_planned_one(tmp_path: Path) -> None:
    changes = {"services.chat.parallel": None, "services.chat.replicas": None, **EVEN}
    found = tables(tmp_path, factory(**changes), engines=("plan", "simulate"))
    said = next(r["sentence"] for r in found["serving_plan"] if r["figure"] == "units")
    layout = found["serving_replicas"][0]["layout"]
    assert said.endswith(layout) or f"({layout})" in said


@pytest.mark.parametrize(
    ("model", "part", "gpus"),
    [
        # 8 GB and 235 GB of weights in FP8 on 72 and 259 GB; 405 GB on 8 nodes of 72 GB a GPU
        ("llama3_1_8b", "h100_sxm", 1),
        ("qwen3_235b", "gb300", 1),
        ("llama3_1_405b", "h100_sxm", 8),
    ],
)
def test_the_smallest_layout_that_fits_is_taken(
    tmp_path: Path, model: str, part: str, gpus: int
) -> None:
    """Dense or MoE: half as many GPUs hold no weights, or there are none."""
    changes = {
        "accelerators.pool": {"part": part, "count": 16},
        "services.chat.model": model,
        "services.chat.parallel": None,
        "services.chat.replicas": 2,
        "services.chat.traffic.users.rate": "0.1 request/s",
        "services.chat.slo": {"tpot": "200 ms"},
    }
    found = tables(tmp_path, factory(**changes), horizon="1 minute", replications=1)
    row = found["serving_replicas"][0]
    assert row["gpus"] == gpus
    assert row["chosen"].startswith("planned: the smallest")
    if gpus > 1:
        said = check(tmp_path, factory(**{**changes, "services.chat.parallel": {"tensor": 4}}))
        assert "the weights take 10" in said


def test_a_goal_or_a_load_takes_more_gpus_than_the_weights(tmp_path: Path) -> None:
    base = {
        "accelerators.pool": {"part": "h100_sxm", "count": 8},
        "services.chat.model": "llama3_1_70b",
        "services.chat.parallel": None,
        "services.chat.replicas": 1,
        "services.chat.traffic.users.rate": "0.05 request/s",
        "services.chat.slo": {"tpot": "200 ms"},
    }
    sizes = []
    for more in (
        {},
        {"services.chat.slo": {"tpot": "14 ms"}},
        {"services.chat.traffic.users.rate": "4 request/s"},
    ):
        made = factory(**{**base, **more})
        found = tables(tmp_path, made, horizon="1 minute", replications=1)
        sizes.append(found["serving_replicas"][0]["gpus"])
    assert sizes[0] < min(sizes[1:])


def test_ports_feed_a_site(tmp_path: Path) -> None:
    """A rack draws what 72 GPUs and hosts take; the site's IT is what the factory says."""
    made = twin_of(factory(**EVEN, port_step="30 s"), replications=1)
    rack = {"part": "gb300_nvl72", "from": "grid", "draws": "model(serving.x.pool_rack_power)"}
    made["facility"] = {
        "site": {"feeds": {"grid": {"rating": "1 MW"}}, "racks": {"r": rack}, "step": "30 s"}
    }
    write(tmp_path, made)
    done = execute(api.load(tmp_path), None, Settings(engines=("simulate",)))
    found = {table.name: table for table in done.tables}
    summary = found["serving_summary"]
    mine = dict(zip(summary.columns["kpi"], summary.columns["p50"], strict=True))
    site = found["facility_summary"]
    theirs = dict(zip(site.columns["kpi"], site.columns["p50"], strict=True))
    assert theirs["site.it_energy"] * 1e3 == pytest.approx(mine["x.energy"], rel=1e-6)


def test_every_port_is_filled(tmp_path: Path) -> None:
    from firsttoken.chain.ports import Resolver

    twin = api.load(write(tmp_path, twin_of(factory(**EVEN))))
    outcome = ROOM.execute(twin, "x", Resolver(twin), Settings(engines=("simulate",)))
    assert set(outcome.ports) == set(ROOM.ports(twin.rooms["serving"]["x"]))


def test_results_do_not_depend_on_threads(tmp_path: Path) -> None:
    write(tmp_path, twin_of(factory(), replications=3))
    twin = api.load(tmp_path)
    one, two = (
        execute(twin, None, Settings(engines=("simulate",), threads=n)).tables for n in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        for column in a.columns:
            left, right = a.array(column), b.array(column)
            same = np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
            assert same, f"{a.name}.{column}"


def test_scenarios_see_the_same_requests(tmp_path: Path) -> None:
    """Common random numbers: a slower engine serves the very same requests."""
    scenarios = {"slow": {"overrides": {"serving.x.services.chat.engine.speed": 0.5}}}
    found = tables(tmp_path, factory(), ["base", "slow"], scenarios=scenarios, replications=3)
    base, slow = (figure(found, "chat.requests", name) for name in ("base", "slow"))
    assert [base[q] for q in ("p10", "p50", "mean")] == [slow[q] for q in ("p10", "p50", "mean")]


@pytest.mark.parametrize("mode", ["requests", "fluid"])
def test_requests_wait_where_nothing_serves(tmp_path: Path, mode: str) -> None:
    """4 requests/s for 10 minutes come and stay: 1,200 wait in the mean, none is served."""
    shut = {"capacity": "serving.x.accelerators.pool", "factor": 0.04, "from": "2026-11-02"}
    made = factory(**EVEN, **{"services.chat.mode": mode})
    scenarios = {"shut": {"disruptions": [shut]}}
    found = tables(tmp_path, made, ["shut"], scenarios=scenarios, replications=4)
    assert middle(found, "gpus", "shut") == 2
    # 2,400 requests are Poisson: the mean of four replications strays by 1 %, of waiting by 1.2 %
    assert figure(found, "chat.requests", "shut")["mean"] == pytest.approx(4.0, rel=0.04)
    assert figure(found, "chat.waiting", "shut")["mean"] == pytest.approx(1200.0, rel=0.05)
    assert middle(found, "chat.attained", "shut") == 0.0
    assert middle(found, "chat.tokens", "shut") == 0.0
    assert period(found, "attained") == [0.0]
    assert np.isnan(middle(found, "chat.ttft_p50", "shut"))


def test_even_requests_that_nothing_serves(tmp_path: Path) -> None:
    """Requests at 0.25, 0.5 ... 599.75 s are 2,399, which wait 300 s each in the mean."""
    shut = {"capacity": "serving.x.accelerators.pool", "factor": 0.04, "from": "2026-11-02"}
    made = factory(**EVEN, **{"services.chat.mode": "requests", f"{USERS}.burstiness": 1e-3})
    found = tables(tmp_path, made, ["shut"], scenarios={"shut": {"disruptions": [shut]}})
    # gaps of 0.25 s +- 0.1 %: the last of 2,400 comes at 600 s +- 0.01 s
    assert middle(found, "chat.requests", "shut") == pytest.approx(4.0, abs=1.01 / 600)
    assert middle(found, "chat.waiting", "shut") == pytest.approx(2399 * 300 / 600, rel=2e-4)


def test_gpus_that_are_down_cost_what_they_cost(tmp_path: Path) -> None:
    """72 GPUs at 3 USD/hour for an hour are 216 USD, also with half of them closed at 00:30."""
    pool = "serving.x.accelerators.pool"
    later = {"from": "2026-11-02T00:30"}
    scenarios = {
        "tripped": {"disruptions": [{"capacity": pool, "factor": 0.5, **later}]},
        "more": {"disruptions": [{"capacity": pool, "factor": 1.5, **later}]},
    }
    changes = {
        **EVEN,
        "services.chat.mode": "fluid",
        "services.chat.replicas": 18,
        "accelerators.pool.rent": "3 USD/hour",
        "energy_price": "0 USD/MWh",
        "step": "10 s",
    }
    names = ["base", "tripped", "more"]
    found = tables(tmp_path, factory(**changes), names, horizon="1 hour", scenarios=scenarios)
    assert middle(found, "cost") == pytest.approx(72 * 3)
    assert middle(found, "gpus", "tripped") == pytest.approx(54)
    assert middle(found, "cost", "tripped") == pytest.approx(72 * 3)
    assert middle(found, "cost", "more") == pytest.approx((72 + 36 / 2) * 3)
    # the service pays for its own: 72 GPUs, then 36
    output = figure(found, "chat.tokens", "tripped")["p50"] * 3600
    own = figure(found, "chat.dollars", "tripped")["p50"] * output / 1e6
    assert own == pytest.approx(54 * 3, rel=0.01)
