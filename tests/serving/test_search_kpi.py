"""The plan's tables: what they say is what the search found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.serving.factories import factory, tables

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.search import Question, search
from firsttoken.serving.search_kpi import (
    Planned,
    Told,
    figure_table,
    frontier_table,
    rival_table,
    tell,
)
from firsttoken.serving.search_space import FP8, NVFP4
from firsttoken.twin.findings import InfeasibleError

QUESTION = Question(
    library_architecture("qwen3_30b_a3b"),
    library_hardware("b200_sxm"),
    (FP8, NVFP4),
    2000.0,
    500.0,
    gpus=8.0,
    ttft=1.0,
    tpot=0.02,
    rent=3.0 / 3600,
    energy=80 / 3.6e9,
    pue=1.2,
)


@pytest.fixture(scope="module")
def told() -> Told:
    return tell(Planned("abilene", "chat", search(QUESTION)))


def test_figures_are_those_of_the_best(told: Told) -> None:
    table = figure_table("base", [told])
    figures = dict(zip(table.columns["figure"], table.columns["value"], strict=True))
    answer = told.plan.answer
    row = answer.best
    assert figures["gpus"] == figures["units"] * answer.columns.gpus[row] <= 8
    assert figures["tokens"] == pytest.approx(figures["per_gpu"] * figures["gpus"])
    assert figures["requests"] == pytest.approx(figures["tokens"] / 500)
    assert figures["per_user"] == pytest.approx(1000 / figures["tpot"])
    assert figures["ttft"] <= 1000
    assert figures["power"] * 1e6 * 1.2 / figures["tokens"] * 1e6 == pytest.approx(
        figures["energy"]
    )
    # 3.3e9 active parameters (model card); dense PFLOP/s of B200 (data sheet): 2.25, 4.5, 9
    form = answer.question.formats[answer.columns.format[row]]
    peak = {16.0: 2.25e15, 8.0: 4.5e15, 4.5: 9e15}[form.compute]
    products = 2 * 3.3e9 * figures["per_gpu"] * (2000 + 500) / 500
    assert figures["mfu"] == pytest.approx(100 * products / peak)
    hours = 1e6 / figures["tokens"] / 3600
    by_hand = hours * figures["gpus"] * 3.0 + figures["energy"] / 3.6e9 * 80
    assert figures["cost"] == pytest.approx(by_hand)


def test_slower_requests_serve_fewer_tokens(told: Told) -> None:
    """Little's law: with as many in flight, tokens are as the inverse of a request's time."""
    answer = told.plan.answer
    row = answer.best
    whole = float(answer.columns.e2e[row]) * 1000
    ends = {"calibrated": 1.25 * whole, "low": whole, "high": 2 * whole}
    known = {f"e2e_{end}": value for end, value in ends.items()}
    known |= {f"{name}_{end}": 10.0 for name in ("ttft", "tpot") for end in ends}
    table = figure_table("base", [Told(told.plan, {row: known})])
    rows = dict(
        zip(
            table.columns["figure"],
            zip(table.columns["value"], table.columns["sentence"], strict=True),
            strict=True,
        )
    )
    tokens = float(answer.total[row])
    assert rows["tokens_calibrated"][0] == pytest.approx(tokens / 1.25)
    low, high = (float(f"{value:.4g}") for value in (tokens / 2, tokens))
    assert f"{low:,.0f} to {high:,.0f}" in rows["tokens_calibrated"][1]


def test_the_frontier_names_the_chosen_kind(told: Told) -> None:
    table = frontier_table("base", [told])
    users, gpus = table.array("per_user"), table.array("per_gpu")
    assert (users[1:] > users[:-1]).all()
    assert (gpus[1:] < gpus[:-1]).all()
    kinds = set(table.columns["deployment"])
    assert kinds <= {"together", "apart"}
    for kind, prefill, workers in zip(
        *(table.columns[name] for name in ("deployment", "prefill", "workers")), strict=True
    ):
        assert bool(prefill) == bool(workers) == (kind == "apart")


def test_rivals_meet_the_goals(told: Told) -> None:
    rivals = rival_table("base", [told])
    assert all(rivals.columns["meets"])
    assert rivals.array("tpot").max() <= 20
    seen = set(zip(*(rivals.columns[name] for name in rivals.keys), strict=True))
    assert len(seen) == len(rivals)
    assert {"fp8", "nvfp4"} == set(rivals.columns["format"])


def test_a_service_without_an_answer_has_no_figures() -> None:
    found = search(replace(QUESTION, tpot=1e-5))
    assert len(figure_table("base", [tell(Planned("abilene", "chat", found))])) == 0


def test_a_twin_is_planned(tmp_path: Path) -> None:
    declared = factory(**{"services.chat.parallel": None, "services.chat.replicas": None})
    found = tables(tmp_path, declared, engines=("plan",))
    figures = {row["figure"]: row for row in found["serving_plan"]}
    assert figures["gpus"]["value"] <= 72
    assert figures["tpot"]["value"] <= 50
    assert figures["cost"]["value"] > 0
    assert found["serving_frontier"]
    assert {row["service"] for row in found["serving_rivals"]} == {"chat"}


def planned_tokens(folder: Path, gpus: int = 2, **engine: object) -> float:
    declared = factory(
        **{
            "services.chat.parallel": None,
            "services.chat.replicas": None,
            "services.chat.engine": {"name": "sglang", "sequences": 4096, **engine},
            "services.chat.search": {"disaggregation": False, "gpus": gpus},
        }
    )
    folder.mkdir()
    rows = tables(folder, declared, engines=("plan",))["serving_plan"]
    return next(float(row["value"]) for row in rows if row["figure"] == "tokens")


def test_the_plan_sees_the_engine_as_it_is_declared(tmp_path: Path) -> None:
    """Software of twice the speed serves at least twice as much within the same goals, for it may
    hold more in flight; 235 GB of weights do not fit into a quarter of two GPUs of 288 GB."""
    usual = planned_tokens(tmp_path / "usual")
    assert planned_tokens(tmp_path / "fast", speed=2) > 1.9 * usual
    with pytest.raises(InfeasibleError, match="the model does not fit"):
        planned_tokens(tmp_path / "small", memory="25 %")


def test_a_goal_out_of_reach_is_named_with_what_can_be_had(tmp_path: Path) -> None:
    declared = factory(
        **{
            "services.chat.parallel": None,
            "services.chat.replicas": None,
            "services.chat.slo": {"tpot": "0.2 ms"},
        }
    )
    with pytest.raises(
        InfeasibleError, match=r"serving.x.services.chat: .* the best has [\d.]+ ms"
    ):
        tables(tmp_path, declared, engines=("plan",))
