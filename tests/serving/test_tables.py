"""Steps, laws, runs and plans with tables of measured operators; the tables here are formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.factories import check, factory, tables

from firsttoken.serving import tables_compile
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC
from firsttoken.serving.perf_law import step_law
from firsttoken.serving.perf_point import aggregated_point
from firsttoken.serving.search import Question, search
from firsttoken.serving.search_space import FP8
from firsttoken.serving.system import Layout
from firsttoken.serving.tables import (
    BATCHES,
    CONTEXTS,
    OPERATORS,
    PROMPTS,
    TOKENS,
    Grid,
    Tables,
    TablesError,
)
from firsttoken.serving.tables_pace import SPREAD
from firsttoken.twin.findings import InfeasibleError, TwinError

WEIGHTS, TOKEN, READ, PAIR = 4e-3, 2e-5, 3e-8, 1e-10
"""Seconds of a step that reads weights, of a token more, of a KV token, of an attended pair; all
halved by each doubling of the tensor ranks."""

MODEL, GPU = library_architecture("qwen3_235b"), library_hardware("gb300")
FOUR = Layout(4, 1, 1, 1, 4, 8, 8, 8, 8)


class Formulas:
    """A source whose times are straight lines, for tensor ranks up to 8."""

    origin, entry = "formulas 1.0", "qwen3 on gb300, sglang 1.0"

    def __init__(self) -> None:
        self.asked: list[Layout] = []

    def grid(self, layout: Layout) -> Grid:
        self.asked.append(layout)
        if layout.tensor > 8:
            raise TablesError("parallel", "no such ranks", f"tensor {layout.tensor:g}", "take 8")
        share = 4.0 / float(layout.tensor)
        batch, context = np.array(BATCHES, float), np.array(CONTEXTS, float)
        decode, fill = np.zeros((6, len(BATCHES))), np.zeros((6, len(TOKENS)))
        # a quarter of the time is that of experts, which see the tokens of all data ranks
        for row, part in ((OPERATORS.index("dense"), 0.75), (OPERATORS.index("experts"), 0.25)):
            decode[row] = part * share * (WEIGHTS + TOKEN * batch)
            fill[row] = part * share * (WEIGHTS + TOKEN * np.array(TOKENS, float))
        read = READ * share * np.outer(batch, context - context[0])
        pair = np.full((2, len(PROMPTS)), PAIR * share)
        return Grid(decode, read, fill, pair, 0.9, "fp8/fp8/fp8/bfloat16")


@pytest.fixture
def source() -> Formulas:
    return Formulas()


def total(terms: Any) -> float:
    return float(sum(np.asarray(term) for term in terms))


@pytest.mark.parametrize(("batch", "context"), [(1, 200), (7, 3000), (250, 900), (900, 200_000)])
def test_decoding_steps_between_and_beyond_the_knots(
    source: Formulas, batch: int, context: int
) -> None:
    found = total(Tables(source).terms(FOUR, batch, batch, batch * context, 0.0))
    read = READ * batch * (context - CONTEXTS[0])
    assert found == pytest.approx(WEIGHTS + TOKEN * batch + read, rel=1e-9)


def test_steps_with_prompts_beside_sequences_that_decode(source: Formulas) -> None:
    prompt, beside, context = 1500, 20, 4000
    pairs = prompt**2 / 2.0
    terms = Tables(source).terms(FOUR, prompt + beside, beside + 1, beside * context, pairs)
    assert float(terms.prefill) == pytest.approx(PAIR * pairs, rel=1e-9)
    # the mean context of 21 sequences, of which one ends its prompt
    assert float(terms.decode) == pytest.approx(READ * (beside * context - 21 * 16), rel=1e-9)
    rest = total(terms) - float(terms.prefill) - float(terms.decode)
    assert rest == pytest.approx(WEIGHTS + TOKEN * (prompt + beside), rel=1e-9)


def test_the_busiest_data_rank_is_waited_for_but_by_experts(source: Formulas) -> None:
    eight = FOUR._replace(data=8.0, expert=32.0)
    terms = Tables(source).terms(eight, 8000.0, 8.0, 0.0, 0.0, busiest=4000.0)
    assert float(terms.dense) == pytest.approx(0.75 * (WEIGHTS + TOKEN * 4000), rel=1e-9)
    assert float(terms.experts) == pytest.approx(0.25 * (WEIGHTS + TOKEN * 1000), rel=1e-9)


def test_layouts_side_by_side_are_looked_up_once(source: Formulas) -> None:
    known = Tables(source)
    tensor = np.array([2.0, 4.0, 8.0, 4.0])
    many = Layout(*(np.broadcast_to(v, 4) for v in FOUR._replace(tensor=tensor)))
    found = sum(np.asarray(t) for t in known.terms(many, 10.0, 10.0, 0.0, 0.0))
    alone = (WEIGHTS + 10 * TOKEN) * np.array([2.0, 1.0, 0.5, 1.0])
    np.testing.assert_allclose(found, alone)
    known.terms(many._replace(), 20.0, 20.0, 0.0, 0.0)
    assert len(source.asked) == 3


def test_layouts_that_are_not_held_are_an_error_not_a_guess(source: Formulas) -> None:
    known = Tables(source)
    sixteen = FOUR._replace(tensor=16.0)
    for _ in range(2):
        with pytest.raises(TablesError, match="no such ranks: tensor 16"):
            known.terms(sixteen, 1.0, 1.0, 0.0, 0.0)
    assert len(source.asked) == 1
    tensor = np.array([4.0, 16.0])
    held = known.held(Layout(*(np.broadcast_to(v, 2) for v in FOUR._replace(tensor=tensor))))
    assert held.tolist() == [True, False]
    assert known.why() == "no such ranks: tensor 16"


def test_laws_are_the_tables_and_the_host_work_of_the_engine(source: Formulas) -> None:
    engine = ENGINES["sglang"]._replace(host=0.0)
    law = step_law(MODEL, GPU, FOUR, engine=engine, context=3000.0, tables=Tables(source))
    assert law.kv_second == pytest.approx(READ * (3000 - 16) / 3000, rel=1e-6)
    assert law.pair_second == pytest.approx(PAIR, rel=1e-6)
    for batch in (1, 8, 100, 256):
        step = law.overhead + np.interp(batch, law.tokens, law.seconds)
        step += law.kv_second * batch * 3000.0
        host = float(engine.overhead) + float(engine.sequence) * batch
        read = READ * batch * (3000 - 16)
        assert step == pytest.approx(WEIGHTS + TOKEN * batch + read + host, rel=1e-6)
    fill = law.overhead + np.interp(4096, law.tokens, law.seconds)
    # a law counts 256 sequences of a step that is filled with prompts
    host = float(engine.overhead) + float(engine.sequence) * 256
    assert fill == pytest.approx(WEIGHTS + TOKEN * 4096 + host, rel=1e-6)
    assert np.all(np.diff(law.seconds) >= 0.0)
    assert np.all(np.diff(law.joules) >= 0.0)


def test_the_steady_state_of_one_request_is_its_steps(source: Formulas) -> None:
    bare = GENERIC._replace(overhead=0.0, sequence=0.0, request=0.0, layer=0.0, host=0.0)
    point = aggregated_point(
        *(MODEL, GPU, FOUR, 1000.0, 500.0, 1.0), engine=bare, tables=Tables(source)
    )
    mean = WEIGHTS + TOKEN + READ * (1250 - 16)
    assert float(point.tpot) == pytest.approx(mean, rel=0.02)
    first = WEIGHTS + TOKEN * 1000 + PAIR * 1000**2 / 2
    # half a step passes until the next one takes the request
    assert float(point.ttft) == pytest.approx(first + mean / 2, rel=0.02)


def test_corrections_of_a_declared_speed_hold_for_tables_too(source: Formulas) -> None:
    from firsttoken.serving.perf_efficiency import NONE, Corrections

    known, bare = Tables(source), GENERIC._replace(host=0.0)
    double = Corrections(*(2.0 for _ in Corrections._fields))._replace(wait=1.0)
    args = (MODEL, GPU, FOUR, 1000.0, 500.0, 16.0)
    one, two = (
        aggregated_point(
            *args, engine=bare._replace(request=0.0, layer=0.0), corrections=c, tables=known
        )
        for c in (NONE, double)
    )
    assert float(two.tpot) == pytest.approx(2.0 * float(one.tpot), rel=1e-6)


def question(**changes: Any) -> Question:
    asked = Question(MODEL, GPU, (FP8,), 1000.0, 500.0, gpus=64.0, tpot=0.05, ttft=2.0)
    return replace(asked, **changes)


def test_a_search_takes_layouts_that_the_tables_hold(source: Formulas) -> None:
    known = Tables(source)
    physics, found = search(question()), search(question(tables=known))
    assert found.best >= 0
    assert max(found.columns.layout.tensor) == 8.0 < max(physics.columns.layout.tensor)
    assert found.fitted < physics.fitted
    # twice as many ranks halve the formulas' step and nothing is lost between them
    at = found.columns
    one = np.flatnonzero((at.flight == 4.0) & (at.layout.data == 1.0) & (at.layout.pipeline == 1.0))
    one = one[at.apart[one] == 0.0]
    tpot = {float(at.layout.tensor[k]): float(at.tpot[k]) for k in one}
    host = float(GENERIC.overhead)
    assert (tpot[4.0] - host) / (tpot[8.0] - host) == pytest.approx(2.0, rel=0.05)


def test_a_search_says_why_the_tables_hold_no_layout(source: Formulas) -> None:
    def nothing(_: Layout) -> Grid:
        raise TablesError("precision", "no fp8", "nothing measured", "take bf16")

    source.grid = nothing  # type: ignore[method-assign]
    found = search(question(tables=Tables(source)))
    assert found.best == -1
    assert "the tables hold none: no fp8: nothing measured" in found.reason


ENGINE = {"name": "sglang", "tables": "aiconfigurator"}


@pytest.fixture
def known(source: Formulas, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Formulas in place of the package."""
    held = Tables(source)
    monkeypatch.setattr(tables_compile, "tables_of", lambda *_: held)
    return held


LENGTHS = {"prompt": "1000 token", "output": "300 token", "rate": "0.05 request/s"}


def declared(**changes: Any) -> dict[str, Any]:
    more = {
        "services.chat.engine": ENGINE,
        "services.chat.replicas": 1,
        "services.chat.traffic.users": LENGTHS,
    }
    return factory(**{**more, **changes})


def test_runs_of_both_modes_take_their_steps_from_the_tables(tmp_path: Path, known: Tables) -> None:
    engine = ENGINES["sglang"]
    step = WEIGHTS + TOKEN + READ * (1150 - 16)
    step += float(engine.overhead) + float(engine.sequence)
    for mode in ("requests", "fluid"):
        calm = {**ENGINE, "calibrated": False}
        found = tables(
            tmp_path,
            declared(**{"services.chat.mode": mode, "services.chat.engine": calm}),
        )
        latency = {(r["metric"], r["share"]): r["p50"] for r in found["serving_latency"]}
        # alone on the replica: rarely does a prompt come between
        assert latency["tpot", 0.5] == pytest.approx(1e3 * step, rel=0.03), mode


def test_results_say_which_source_the_times_have(tmp_path: Path, known: Tables) -> None:
    found = tables(tmp_path, declared(), engines=("plan", "simulate", "explain"))
    (row,) = found["serving_tables"]
    assert row["source"] == "formulas 1.0"
    assert row["entry"] == "qwen3 on gb300, sglang 1.0"
    assert row["formats"] == "fp8/fp8/fp8/bfloat16"
    assert row["measured"] == pytest.approx(90.0)
    # the interval is that of the tables' own errors; corrections of the physics are not applied
    wide = np.exp(1.6448536269514722 * SPREAD)
    assert row["tpot_high"] / row["tpot"] == pytest.approx(wide)
    assert row["tpot"] / row["tpot_low"] == pytest.approx(wide)
    assert "serving_calibration" not in found
    assert "serving_tables" not in tables(tmp_path, factory())


def test_services_that_ask_for_no_interval_get_none(tmp_path: Path, known: Tables) -> None:
    calm = {**ENGINE, "calibrated": False}
    (row,) = tables(tmp_path, declared(**{"services.chat.engine": calm}))["serving_tables"]
    assert row["tpot_low"] == row["tpot"] == row["tpot_high"]


def test_plans_with_tables_name_them(tmp_path: Path, known: Tables) -> None:
    wanted = {"services.chat.search": {"gpus": 16}, "services.chat.parallel": None}
    found = tables(tmp_path, declared(**wanted), engines=("plan",))
    said = {row["figure"]: row["sentence"] for row in found["serving_plan"]}
    assert "formulas 1.0: qwen3 on gb300, sglang 1.0; not calibrated" in said["tpot_calibrated"]


def test_prefill_pools_have_tables_of_their_own(tmp_path: Path, known: Tables) -> None:
    apart = {"parallel": {"tensor": 2}, "replicas": 1}
    found = tables(tmp_path, declared(**{"services.chat.prefill": apart}))
    roles = {row["role"]: row for row in found["serving_tables"]}
    assert set(roles) == {"decode", "prefill"}
    assert {float(layout.tensor) for layout in known.source.asked} == {2.0, 4.0}  # type: ignore[attr-defined]


def test_what_the_tables_do_not_hold_is_found_where_it_stands(
    tmp_path: Path, known: Tables
) -> None:
    said = check(tmp_path, declared(**{"services.chat.parallel": {"tensor": 16}}))
    lines = (tmp_path / "twin.yaml").read_text().splitlines()
    line = 1 + next(k for k, text in enumerate(lines) if "parallel:" in text)
    assert f"twin.yaml:{line}: " in said
    assert "no such ranks" in said
    assert "take 8" in said


@pytest.mark.parametrize(
    ("field", "marks"),
    [("release", "engine:"), ("name", "name:"), ("model", "model:"), ("on", "chat:")],
)
def test_findings_name_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, marks: str
) -> None:
    def missing(*_: Any) -> Tables:
        raise TablesError(field, "not held", "tables end there", "take the next")

    monkeypatch.setattr(tables_compile, "tables_of", missing)
    said = check(tmp_path, declared())
    assert "not held" in said
    assert "tables end there" in said
    assert "take the next" in said
    lines = (tmp_path / "twin.yaml").read_text().splitlines()
    numbers = [k + 1 for k, text in enumerate(lines) if marks in text]
    assert any(f"twin.yaml:{number}:" in said for number in numbers), said


def test_a_missing_package_is_an_error_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firsttoken.serving import tables_aiconfigurator
    from firsttoken.twin.findings import MissingExtraError

    tables_compile.tables_of.cache_clear()
    monkeypatch.setattr(tables_aiconfigurator.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'firsttoken\[aisim\]'") as error:
        check(tmp_path, declared())
    assert error.value.exit_code == 3


def test_a_run_without_a_held_layout_is_infeasible(
    tmp_path: Path, known: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(layout: Layout) -> Grid:
        raise TablesError("parallel", "nothing held", "", "take others")

    monkeypatch.setattr(known.source, "grid", nothing)
    with pytest.raises((InfeasibleError, TwinError), match="nothing held"):
        tables(tmp_path, declared(**{"services.chat.parallel": None}))
