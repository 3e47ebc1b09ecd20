"""Training jobs from a twin file: what is read, what is told, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.factories import Rows, check, tables, twin_of, write

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.twin.room import Settings

LLAMA: dict[str, Any] = {
    "model": "llama3_1_405b",
    "gpus": 16384,
    "batch": 2048,
    "sequence": 8192,
    "parallel": {"tensor": 8, "pipeline": 16, "chunks": 8},
    "spares": 16,
    "step_time": "6.46 s",
    "restart": "4 minute",
    "failures": {
        "gpu": {"mtbf": "50677 hour", "detect": "3 minute", "replace": "80 %"},
        "planned": {"mtbf": "450000 hour", "planned": True, "replace": 0},
    },
    "checkpoints": {"interval": "10 minute", "pause": "2 s", "write": "1 minute"},
}
"""Llama 3 405B (arXiv:2407.21783, Tables 4 and 5): 400 TFLOP/s on each of 16,384 GPUs."""

SMALL: dict[str, Any] = {
    "model": "llama3_1_70b",
    "gpus": 64,
    "batch": 256,
    "sequence": 8192,
    "precision": "mxfp8",
    "release": "26.04",
    "parallel": {"pipeline": 4, "chunks": 5},
}


def factory(job: dict[str, Any], part: str = "h100_sxm", count: int = 16512) -> dict[str, Any]:
    pools = {"pool": {"part": part, "count": count}}
    return {"step": "1 hour", "accelerators": pools, "training": {"job": job}}


def found(rows: Rows, key: str, column: str = "p50", by: str = "kpi") -> float:
    """One cell of a table."""
    return float(next(row[column] for row in rows if row[by] == key))


def small(**changes: Any) -> dict[str, Any]:
    declared = factory({**SMALL, **changes}, "gb300", 72)
    declared["accelerators"]["pool"] |= {"idle": "170 W", "host": "475 W"}
    return declared


def test_utilisation_is_of_the_peak_of_the_format(tmp_path: Path) -> None:
    """H100 has 989 TFLOP/s in BF16 and twice that in FP8 (data sheet), with a step as long."""
    found_in = {}
    for precision in ("bf16", "fp8"):
        job = {**LLAMA, "precision": precision, "step_time": "6.46 s"}
        got = tables(tmp_path, factory(job), horizon="1 day", replications=1)
        found_in[precision] = found(got["serving_training"], "mfu")
    assert found_in["fp8"] == pytest.approx(found_in["bf16"] / 2, rel=0.01)


def test_llama_3(tmp_path: Path) -> None:
    """54 days of Llama 3: 466 interruptions, more than 90 % effective time, MFU of 41 %.

    15.6 T tokens at 16 M a step would take 54 days were nothing lost: 54 x 0.9 days train 10.9 to
    12.1 T.
    """
    assert check(tmp_path, factory(LLAMA), horizon="1 day") == ""
    got = tables(tmp_path, factory(LLAMA), horizon="54 day", replications=20)
    rows = got["serving_training"]
    assert found(rows, "failures", "mean") == pytest.approx(466, rel=0.1)
    assert 90.0 < found(rows, "ettr") < 95.0
    assert found(rows, "mfu") == pytest.approx(41.0, abs=1.0)
    steps = 54 * 86400 / 6.46
    ettr = found(rows, "ettr", "mean") / 100.0
    assert found(rows, "tokens", "mean") == pytest.approx(steps * 2048 * 8192 * ettr, rel=0.01)
    kinds = got["serving_training_failures"]
    share = found(kinds, "planned", "mean", "kind") / found(rows, "failures", "mean")
    assert share == pytest.approx(50677 / (50677 + 450000), rel=0.2)
    time = got["serving_training_time"]
    hours = [found([row], row["state"], "mean", "state") for row in time if row["state"] != "lost"]
    assert sum(hours) == pytest.approx(16512 * 54 * 24, rel=1e-9)
    # What the facility sees: about 1.1 kW a GPU with its host.
    power = [row["p50"] for row in got["serving_training_period"] if row["metric"] == "power"]
    assert 15.0 < np.median(power) < 20.0


def test_the_step_is_predicted_with_its_uncertainty(tmp_path: Path) -> None:
    """Megatron Bridge 26.04 on 64 GB300: 4,742 tokens/s a GPU; the spread is the interval's."""
    got = tables(tmp_path, small(), horizon="1 hour", replications=200)
    step = got["serving_training_step"]
    low, middle, high = (
        found(step, f"time.{k}", "value", "part") for k in ("low", "median", "high")
    )
    assert low < 6.91 < high
    assert middle == pytest.approx(6.91, rel=0.05)
    rows = got["serving_training"]
    assert found(rows, "step_time") == pytest.approx(middle, rel=0.02)
    assert low < found(rows, "step_time", "p10") < found(rows, "step_time", "p90") < high
    inputs = [row["path"] for row in got["serving_training_inputs"]]
    assert "serving.x.training.job.step_time" in inputs


def test_time_energy_and_cost_to_train(tmp_path: Path) -> None:
    """100 steps of 7 s, 300 s to start: 16 min 40 s; 64 GPUs at 3 USD, and the energy of it."""
    declared = small(step_time="7 s", tokens="209715200 token", restart="5 minute", activity=1)
    declared["accelerators"]["pool"]["rent"] = "3 USD/hour"
    declared |= {"energy_price": "100 USD/MWh", "pue": 1.25}
    rows = tables(tmp_path, declared, horizon="1 hour")["serving_training"]
    assert found(rows, "time_to_train") * 86400 == pytest.approx(1000.0, rel=1e-4)
    assert found(rows, "tokens") == pytest.approx(100 * 256 * 8192)
    # GB300: limit 1,400 W and 475 W of the host; while it starts 15 % of the way up from 170 W
    joules = 64 * (700 * 1875.0 + 300 * (475 + 170 + 0.15 * 1230))
    assert found(rows, "energy") == pytest.approx(joules / 3.6e9, rel=1e-3)
    cost = 64 * 1000 / 3600 * 3.0 + 1.25 * joules / 3.6e9 * 100.0
    assert found(rows, "cost") == pytest.approx(cost, rel=1e-3)
    assert found(rows, "token_cost") == pytest.approx(cost / 209.7152, rel=1e-3)


def test_a_cap_on_power_slows_training_less_than_it_saves(tmp_path: Path) -> None:
    """Cap at 85 % of what the job takes: (0.85 P - base) / (P - base) to the power 1 / 2.5."""
    full = tables(tmp_path, small(step_time="7 s", activity=1, restart="0 s"), horizon="1 hour")
    assert found(full["serving_training"], "energy") == pytest.approx(64 * 1.875e-3, rel=1e-3)
    declared = small(step_time="7 s", activity=1, restart="0 s")
    declared["accelerators"]["pool"]["count"] = 64
    declared["power_cap"] = f"{64 * 1.875 * 0.85} kW"
    capped = tables(tmp_path, declared, horizon="1 hour")
    assert found(capped["serving_training"], "energy") == pytest.approx(
        64 * 1.875e-3 * 0.85, rel=1e-3
    )
    share = found(capped["serving_training"], "tokens") / found(full["serving_training"], "tokens")
    base = 475.0 + 170.0
    expected = ((0.85 * 1875 - base) / (1875 - base)) ** 0.4
    assert share == pytest.approx(expected, rel=1e-3)
    assert share > 0.88


CHAT: dict[str, Any] = {
    "model": "qwen3_235b",
    "engine": {"name": "sglang", "calibrated": False},
    "precision": {"weights": "fp8"},
    "parallel": {"tensor": 4},
    "replicas": 2,
    "traffic": {"users": {"rate": "20 request/s", "prompt": "1000 token", "output": "300 token"}},
}
LIMIT, BASE = 1875.0, 645.0
"""W of a GB300 and its host at the limit, and without work, as `small` declares them."""


def capped(tmp_path: Path, first: str, cap: float, **more: Any) -> dict[str, Rows]:
    """64 GPUs that train and 8 that serve, under a cap (W)."""
    declared = small(step_time="7 s", activity=1, restart="0 s")
    declared |= {"services": {"chat": CHAT}, "step": "10 s", "power_first": first, **more}
    declared["power_cap"] = f"{cap} W"
    return tables(tmp_path, declared, horizon="10 minute", replications=1)


def pace_of(watts: float) -> float:
    """Speed of a GPU whose power above its base goes with the speed to the power 2.5."""
    return float(((min(watts, LIMIT) - BASE) / (LIMIT - BASE)) ** 0.4)


@pytest.mark.parametrize("first", ["nobody", "services", "training"])
def test_who_keeps_its_power_under_a_cap(tmp_path: Path, first: str) -> None:
    """Watts dealt out by hand; energy of the pool is that of its parts, and never above the cap."""
    cap = 0.8 * 72 * LIMIT
    told = capped(tmp_path, first, cap)
    each = {
        "nobody": cap / 72,
        "services": (cap - 8 * LIMIT) / 64,
        "training": min((cap - 8 * BASE) / 64, LIMIT),
    }[first]
    job = told["serving_training"]
    whole = 64 * 600 / 7.0 / 64 * 256 * 8192
    assert found(job, "tokens") == pytest.approx(whole * pace_of(each), rel=1e-3)
    assert found(job, "energy") == pytest.approx(64 * each * 600 / 3.6e9, rel=1e-3)
    summary = told["serving_summary"]
    # services keep 15 % of their speed, whatever is left to them
    slack = 1e-3 if first == "training" else 1e-9
    assert found(summary, "x.peak_power") <= cap / 1e3 * (1 + slack)
    tokens = found(summary, "x.chat.tokens") * 600
    served = found(summary, "x.chat.joules") * tokens / 3.6e6
    trained = found(job, "energy") * 1e3
    assert found(summary, "x.energy") == pytest.approx(served + trained, rel=1e-6)


def test_services_slow_down_if_training_goes_first(tmp_path: Path) -> None:
    """All the cap leaves them beside training is 1 kW a GPU, and then all they like."""
    cap = 64 * LIMIT + 8 * 1000.0
    slow = capped(tmp_path, "training", cap)["serving_summary"]
    quick = capped(tmp_path, "services", cap)["serving_summary"]
    alone = capped(tmp_path, "nobody", 1e6)["serving_summary"]
    pace = [found(rows, "x.chat.tpot_p50") for rows in (alone, quick, slow)]
    assert pace[1] == pytest.approx(pace[0], rel=1e-6)
    assert pace[2] > 1.02 * pace[0]


def test_training_slows_with_the_cooling_and_with_a_cap_at_its_minute(tmp_path: Path) -> None:
    """Half the speed for the last third of the time, which is no whole hour: 5/6 of the tokens."""
    throttle = {"unit": "", "2026-11-02T00:00": 1, "2026-11-02T00:06:40": 0.5}
    told = capped(tmp_path, "nobody", 1e6, throttle=throttle)
    whole = 600 / 7.0 * 256 * 8192
    assert found(told["serving_training"], "tokens") == pytest.approx(whole * 5 / 6, rel=1e-3)
    power = BASE + (LIMIT - BASE) * 0.5**2.5
    energy = 64 * (400 * LIMIT + 200 * power) / 3.6e9
    assert found(told["serving_training"], "energy") == pytest.approx(energy, rel=1e-3)


def test_waiting_for_a_node_in_repair_is_time(tmp_path: Path) -> None:
    """No spares: while a node is away the clock runs, so throughput is tokens over the 48 hours."""
    failures = {"any": {"mtbf": "640 hour", "detect": "0 s"}}
    declared = small(step_time="7 s", failures=failures, repair="3 hour", node=4)
    got = tables(tmp_path, declared, horizon="2 day")
    rows = got["serving_training"]
    assert found(got["serving_training_time"], "repair", by="state") > 0
    tokens = found(rows, "tokens")
    assert 0 < tokens < 0.9 * 2 * 86400 / 7 * 256 * 8192
    assert found(rows, "throughput") == pytest.approx(tokens / (2 * 86400), rel=1e-9)
    assert found(rows, "mtbf") * found(rows, "failures") == pytest.approx(48.0, rel=1e-9)
    assert found(rows, "ettr") == pytest.approx(tokens / (256 * 8192) * 7 / 864 / 2, rel=1e-3)


def test_jobs_take_their_gpus_in_order(tmp_path: Path) -> None:
    """Two jobs of 64 GPUs on a pool of 96: the second waits."""
    declared = small(step_time="7 s")
    declared["accelerators"]["pool"]["count"] = 96
    declared["training"]["second"] = dict(declared["training"]["job"])
    got = tables(tmp_path, declared, horizon="1 hour")["serving_training"]
    trained = {row["job"]: row["p50"] for row in got if row["kpi"] == "tokens"}
    assert trained["job"] > 0.0
    assert trained["second"] == 0.0


def test_gpus_that_fail_as_the_pool_says(tmp_path: Path) -> None:
    declared = small(step_time="7 s", spares=2)
    declared["accelerators"]["pool"] |= {"mtbf": "64 hour", "mttr": "1 hour"}
    got = tables(tmp_path, declared, horizon="10 day", replications=10)
    assert [row["kind"] for row in got["serving_training_failures"]] == ["gpu"]
    assert found(got["serving_training"], "failures", "mean") > 100


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"gpus": 63}, "63 GPUs are no whole number of replicas of 4", "must divide `gpus`"),
    ({"batch": 250}, "a batch of 250 sequences cannot be shared evenly", "16 replicas"),
    ({"parallel": {"chunks": 2}}, "there is one", "raise `pipeline`"),
    ({"precision": "nvfp4", "on": "old"}, "the GPUs have no nvfp4", "bf16, fp8"),
    ({"release": "newest"}, "'newest' is no release", "write yy.mm"),
    ({"model": "llama3_1_405b", "gpus": 64}, "the job needs", "more ranks"),
    ({"model": "lama"}, "lama", "llama"),
    ({"on": "pol"}, "'pol' is no pool of GPUs", "pool"),
    (
        {"model": "qwen3_235b", "parallel": {"pipeline": 4, "expert": 3}},
        "128 experts cannot be spread over 3 ranks",
        "divisor",
    ),
    (
        {"model": "qwen3_235b", "parallel": {"pipeline": 4, "expert": 32}},
        "32 ranks of experts do not divide the 16 of a stage",
        "multiple",
    ),
]


@pytest.mark.parametrize(("changes", "what", "hint"), FAULTS, ids=lambda x: str(x)[:40])
def test_what_cannot_be(tmp_path: Path, changes: dict[str, Any], what: str, hint: str) -> None:
    declared = small(**changes)
    if changes.get("on") == "old":
        declared["accelerators"]["old"] = {"part": "h100_sxm", "count": 64}
    elif "on" not in changes:
        declared["training"]["job"]["on"] = "pool"
    said = check(tmp_path, declared)
    assert what in said
    assert hint in said
    assert "twin.yaml:" in said


def test_the_factory_tells_power_with_the_dips_of_checkpoints(tmp_path: Path) -> None:
    """An hour at one second: a checkpoint of 30 s every 10 min; 8 idle GPUs beside."""
    saved = {"interval": "600 s", "pause": "30 s", "write": "0 s"}
    declared = small(step_time="7 s", activity=1, restart="60 s", checkpoints=saved)
    declared |= {"step": "1 s", "port_step": "1 s"}
    got = tables(tmp_path, declared, horizon="1 hour", replications=1)
    peak = found(got["serving_summary"], "x.peak_power")
    idle = 8 * (170 + 475)
    assert peak * 1e3 == pytest.approx(64 * 1875 + idle, rel=1e-3)
    # 60 s to start, then 600 s and 30 s by turns: 3,540 s are 5 whole turns and 390 s
    low = 64 * (475 + 170 + 0.15 * 1230)
    mean = (64 * 1875 * 3390 + low * 210) / 3600 + idle
    assert found(got["serving_summary"], "x.power") * 1e3 == pytest.approx(mean, rel=1e-3)


def test_a_closed_pool_stops_training(tmp_path: Path) -> None:
    """A day of four without GPUs, closed just when a checkpoint is whole: a quarter is lost."""
    saved = {"interval": "2 hour", "pause": "0 s", "write": "0 s", "load": "0 s"}
    declared = small(step_time="7 s", restart="0 s", checkpoints=saved)
    closed = {"close": "serving.x.accelerators.pool", "from": "2026-11-03", "for": "1 day"}
    data = twin_of(declared, horizon="4 day") | {"scenarios": {"closed": {"disruptions": [closed]}}}
    done = execute(
        api.load(write(tmp_path, data)), ["base", "closed"], Settings(engines=("simulate",))
    )
    tokens = {}
    for table in done.tables:
        if table.name == "serving_training":
            row = list(table.columns["kpi"]).index("tokens")
            tokens[table.columns["scenario"][row]] = table.columns["p50"][row]
    assert tokens["base"] == pytest.approx(4 * 86400 / 7 * 256 * 8192, rel=1e-6)
    assert tokens["closed"] == pytest.approx(0.75 * tokens["base"], rel=1e-3)


def lent() -> dict[str, Any]:
    """A job on 64 of 72 GPUs beside a service on the rest; each GPU and host idles at 645 W.

    A step of 10 s trains 2,097,152 tokens; from 01:00 to about 02:30 are 540 of them.
    """
    job = {
        "begin": "2026-11-02T01:00",
        "step_time": "10 s",
        "tokens": f"{540 * 256 * 8192} token",
    }
    declared = small(**job, checkpoints={"interval": "1 day"})
    chat = {**CHAT, "replicas": None, "share": 1.0, "mode": "fluid"}
    chat["traffic"] = {"users": {**CHAT["traffic"]["users"], "scale": 0.0}}
    chat = {key: value for key, value in chat.items() if value is not None}
    declared |= {"services": {"chat": chat}, "step": "10 s", "report": "hour"}
    return declared


def test_gpus_of_a_job_are_lent_before_it_begins_and_after_it_ends(tmp_path: Path) -> None:
    """72 GPUs serve for an hour, 8 until the job is finished, 72 again; no watt counts twice."""
    got = tables(tmp_path, lent(), horizon="4 hour")
    finish = 1 + 24 * found(got["serving_training"], "time_to_train")  # hours
    assert 2.4 < finish < 2.6
    rows = [r for r in got["serving_period"] if r["service"] == "chat" and r["metric"] == "gpus"]
    third = 72 * (3 - finish) + 8 * (finish - 2)
    # the job's last tick of 10 s is the job's
    assert [r["p50"] for r in rows] == pytest.approx([72, 8, third, 72], abs=64 * 10 / 3600 + 0.01)
    rows = [r for r in got["serving_period"] if r["service"] == "" and r["metric"] == "power"]
    assert [rows[0]["p50"], rows[3]["p50"]] == pytest.approx([72 * 0.645] * 2)
    assert rows[1]["p50"] > 72 * 0.645
