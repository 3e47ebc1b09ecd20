"""States of a token factory in a file: what follows from one is what would have followed anyway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.factories import factory, twin_of, write

from firsttoken import api
from firsttoken.serving import simulate as room
from firsttoken.serving.factory_system import NONE
from firsttoken.twin.findings import TwinError, UsageError

CHAT: dict[str, Any] = {
    "model": "llama3_1_8b",
    "engine": {"name": "vllm", "sequences": 64, "calibrated": False},
    "parallel": {"tensor": 1},
    "replicas": 4,
    "traffic": {
        "users": {
            "rate": "8 request/s",
            "prompt": "lognormal(800, 500) token",
            "output": "lognormal(200, 100) token",
        }
    },
    "slo": {"tpot": "50 ms"},
}
SITE = factory(
    **{
        "accelerators.pool": {
            "part": "h200_sxm",
            "count": 80,
            "mtbf": "200 hour",
            "mttr": "1 hour",
        },
        "services": {
            "asked": CHAT,
            "flow": {**CHAT, "mode": "fluid"},
            "apart": {
                **CHAT,
                "mode": "fluid",
                "prefill": {"replicas": 2, "parallel": {"tensor": 1}},
            },
            "both": {**CHAT, "mode": "hybrid", "sample": 2},
        },
        "training": {
            "job": {
                "model": "llama3_1_8b",
                "gpus": 32,
                "batch": 128,
                "sequence": 4096,
                "step_time": "4 s",
                "failures": {"any": {"mtbf": "40 hour", "detect": "1 minute", "replace": 0}},
                "restart": "lognormal(3, 1) minute",
            }
        },
        "step": "10 s",
        "report": "hour",
        "power_cap": "60 kW",
    }
)
TIMES = {"horizon": "3 hour", "replications": 1, "seed": 7}
HOUR = "2026-11-02T01:00"


def of_periods(run: api.Run) -> dict[tuple[str, str, str], float]:
    """Median of each figure of services, the factory and training by period."""
    found: dict[tuple[str, str, str], float] = {}
    with run.results as results:
        for column, table in (("service", "serving_period"), ("job", "serving_training_period")):
            rows = results.sql(f"select {column}, metric, period, p50 from {table}")
            for *key, value in zip(*(rows[name] for name in rows), strict=True):
                found[key[0], key[1], key[2]] = value
    return {key: value for key, value in found.items() if value == value}


@pytest.fixture(scope="module", autouse=True)
def uncorrected() -> Iterator[None]:
    """Flows without the runs that correct them: those cost seconds and do not know of states."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "corrections_of", lambda case, row: NONE)
        yield


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("states"), twin_of(SITE, **TIMES))


@pytest.fixture(scope="module")
def state(twin: Path) -> Path:
    path = twin / "s.npz"
    api.save_state(twin, path, HOUR)
    return path


def test_the_same_replication_goes_on_as_if_not_stopped(twin: Path, state: Path) -> None:
    """All modes, pools apart, training with failures, a power cap: equal but for the last digit.

    States are equal bit for bit; sums over a tick that the cut ends round otherwise.
    """
    whole = of_periods(api.run(twin, engines=("simulate",), out=twin / "a", report=False))
    rest = of_periods(api.forecast(twin, state, out=twin / "b", report=False))
    assert {period for _, _, period in rest} == {"2026-11-02T01:00", "2026-11-02T02:00"}
    assert {name for name, _, _ in rest} == {"", "asked", "flow", "apart", "both", "job"}
    assert rest == pytest.approx(
        {key: value for key, value in whole.items() if key[2] >= HOUR}, rel=1e-11
    )
    assert whole["job", "failures", "2026-11-02T01:00"] > 0


def test_a_forecast_ends_when_it_is_told(twin: Path, state: Path) -> None:
    done = api.forecast(twin, state, until="2026-11-02T02:00", out=twin / "c", report=False)
    rest = of_periods(done)
    whole = of_periods(api.forecast(twin, state, out=twin / "d", report=False))
    assert {period for _, _, period in rest} == {"2026-11-02T01:00"}
    # steps that are under way at the end are not counted yet
    assert rest == pytest.approx({key: whole[key] for key in rest}, rel=1e-6)


def test_futures_share_what_is_in_hand_and_differ_after(twin: Path, state: Path) -> None:
    run = api.forecast(twin, state, replications=4, out=twin / "e", report=False)
    with run.results as results:
        found = results.sql(
            "select p10, p90 from serving_period where metric = 'requests' and service <> ''"
        )
    assert all(low < high for low, high in zip(found["p10"], found["p90"], strict=True))


def test_a_state_of_a_state_is_the_same(twin: Path, state: Path) -> None:
    """What a state holds does not depend on where the simulation would have ended."""
    short = twin / "short"
    short.mkdir()
    write(short, twin_of(SITE, **{**TIMES, "horizon": "2 hour"}))
    api.save_state(short, short / "s.npz", HOUR)
    one, two = np.load(state), np.load(short / "s.npz")
    assert set(one) == set(two)
    for key in set(one) - {"snapshot"}:
        if "/world" not in key:  # it holds the end
            np.testing.assert_array_equal(one[key], two[key], err_msg=key)


def test_another_factory_is_refused(twin: Path, state: Path, tmp_path: Path) -> None:
    other = twin_of({**SITE, "step": "5 s"}, **TIMES)
    with pytest.raises(TwinError, match="of t, scenario base, that differs"):
        api.forecast(write(tmp_path, other), state, out=tmp_path / "a")
    with pytest.raises(UsageError, match="the forecast must end after"):
        api.forecast(twin, state, until=HOUR, out=tmp_path / "a")
    with pytest.raises(UsageError, match=f"is of {HOUR}: the forecast must end after"):
        api.forecast(twin, state, until="2026-11-02T00:30", out=tmp_path / "a")
    span = "outside of the twin's time, 2026-11-02T00:00 to 2026-11-02T03:00"
    with pytest.raises(UsageError, match=span):
        api.forecast(twin, state, until="2026-11-03", out=tmp_path / "a")


def test_a_service_with_other_replicas_is_refused(tmp_path: Path) -> None:
    """Its state has the requests of as many replicas as there were; the message names the file."""
    times = {"horizon": "2 minute", "replications": 1}
    for mode in ("requests", "hybrid"):
        chat = {**CHAT, "mode": mode} | ({"sample": 1} if mode == "hybrid" else {})
        folder = tmp_path / mode
        folder.mkdir()
        write(folder, twin_of(factory(services={"chat": chat}), **times))
        api.save_state(folder, folder / "s.npz", "2026-11-02T00:01")
        other = factory(services={"chat": {**chat, "replicas": 3}})
        write(folder, twin_of(other, **times))
        with pytest.raises(TwinError) as refused:
            api.forecast(folder, folder / "s.npz", out=folder / "a")
        assert str(refused.value).startswith(f"{folder / 's.npz'}: error: cannot start from s.npz")
        assert "services, their layouts, replicas or modes" in str(refused.value)


def test_gpus_that_a_job_lends_are_lent_after_a_state(tmp_path: Path) -> None:
    """A job from 00:30 to about 01:50 of 64 GPUs; a state while it runs, replicas before and after.

    600 steps of 8 s take 80 minutes.
    """
    job = {**SITE["training"]["job"], "begin": "2026-11-02T00:30", "step_time": "8 s"}
    job |= {"gpus": 64, "failures": {}, "tokens": f"{600 * 128 * 4096} token"}
    half = {key: value for key, value in CHAT.items() if key != "replicas"} | {"share": 0.5}
    services = {"asked": half, "flow": {**half, "mode": "fluid"}}
    made = {**SITE, "services": services, "training": {"job": job}}
    made.pop("power_cap")  # it would slow the job down
    folder = write(tmp_path, twin_of(made, **TIMES))
    api.save_state(folder, folder / "s.npz", HOUR)
    whole = of_periods(api.run(folder, engines=("simulate",), out=folder / "a", report=False))
    rest = of_periods(api.forecast(folder, folder / "s.npz", out=folder / "b", report=False))
    assert rest == pytest.approx(
        {key: value for key, value in whole.items() if key[2] >= HOUR}, rel=1e-11
    )
    # a replica of n GPUs fails every 200 / n hours, for an hour; flows have the mean
    share = 40 * 200 / (200 + CHAT["parallel"]["tensor"])
    first, _, last = (whole["flow", "gpus", f"2026-11-02T0{hour}:00"] for hour in range(3))
    assert first < last == pytest.approx(share, rel=1e-3)
