"""Flows in a twin: corrections are found once, the compiler is announced, hybrids agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.serving.factories import factory, tables, twin_of, write

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.serving import simulate, simulate_fluid
from firsttoken.serving.simulate_fluid import fingerprint
from firsttoken.twin.room import Settings

FLUID = {"services.chat.mode": "fluid"}


def test_a_fingerprint_is_of_every_number() -> None:
    one = (1.0, ("a", np.array([1.0, 2.0]), None))
    same = (1.0, ("a", np.array([1.0, 2.0]), None))
    assert fingerprint(one) == fingerprint(same)
    others = [
        (1.0, ("a", np.array([1.0, np.nextafter(2.0, 3.0)]), None)),
        (1.0, ("a", np.array([[1.0], [2.0]]), None)),
        (1.0, ("a", (np.array([1.0, 2.0]), None))),
        (np.nextafter(1.0, 2.0), ("a", np.array([1.0, 2.0]), None)),
    ]
    assert len({fingerprint(other) for other in [one, *others]}) == 5


def test_corrections_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run of the same service has the same results, and no run of the request mode."""
    first = tables(tmp_path, factory(**FLUID), horizon="2 minute", replications=1)

    def never(*_: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr(simulate_fluid, "calibrate", never)
    again = tables(tmp_path, factory(**FLUID), horizon="2 minute", replications=1)
    assert again["serving_summary"] == first["serving_summary"]


@pytest.mark.parametrize("cold", [True, False])
def test_waiting_for_the_compiler_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(simulate, "must_compile", lambda _: cold)
    write(tmp_path, twin_of(factory(**FLUID), horizon="1 minute"))
    progress = lambda what, done, total: said.append(what)  # noqa: E731
    execute(api.load(tmp_path), None, Settings(engines=("simulate",), progress=progress))
    assert ("compile the simulation, once" in said) == cold


def test_a_hybrid_is_as_all_requests(tmp_path: Path) -> None:
    """One replica in four of sixteen with its part of the requests, against all sixteen."""
    parts = {}
    for mode, more in (("requests", {}), ("hybrid", {"services.chat.sample": 4})):
        changes = {
            "accelerators.pool.count": 64,
            "services.chat.replicas": 16,
            "services.chat.mode": mode,
            "services.chat.traffic.users.rate": "60 request/s",
            **more,
        }
        found = tables(tmp_path, factory(**changes), horizon="4 minute", replications=1)
        kpis = {row["kpi"]: row["p50"] for row in found["serving_summary"]}
        parts[mode] = {key: kpis[f"x.chat.{key}"] for key in ("tokens", "joules", "tpot_p95")}
    for key, bar in (("tokens", 0.03), ("joules", 0.05), ("tpot_p95", 0.10)):
        assert parts["hybrid"][key] == pytest.approx(parts["requests"][key], rel=bar)
