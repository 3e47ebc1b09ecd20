"""Tables of the real package (extra `aisim`) against what it says itself; skipped without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiconfigurator_core")

from tests.serving.factories import check, factory, tables

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import GENERIC
from firsttoken.serving.perf_point import aggregated_point
from firsttoken.serving.system import Layout
from firsttoken.serving.tables import Tables, TablesError
from firsttoken.serving.tables_aiconfigurator import Aiconfigurator, kind_of
from firsttoken.serving.tables_compile import tables_of

DENSE = Layout(4, 1, 1, 4, 1, 8, 8, 8, 8)
SPARSE = Layout(1, 1, 8, 1, 8, 8, 8, 8, 8)
MLA = ("deepseek_v3", "h200_sxm", "sglang", SPARSE)
GQA = ("llama3_1_70b", "h100_sxm", "vllm", DENSE)


def found(model: str, gpu: str, engine: str, release: str = "") -> Tables:
    return tables_of(library_architecture(model), library_hardware(gpu), model, engine, release)


def handle(known: Tables, layout: Layout) -> Any:
    """The package's own engine for a layout."""
    from aiconfigurator_core.sdk.engine import EngineHandle

    source: Any = known.source
    gemm, moe, kv, fmha = known.grid(layout).modes.split("/")
    experts = {}
    if source.sparse:
        experts = {
            "moe_tp_size": int(layout.expert_tensor),
            "moe_ep_size": int(layout.expert),
            "moe_quant_mode": moe,
        }
    return EngineHandle.compile(
        *(source.model, source.gpu, source.engine),
        backend_version=source.release,
        tp_size=int(layout.tensor),
        attention_dp_size=int(layout.data),
        gemm_quant_mode=gemm,
        kvcache_quant_mode=kv,
        fmha_quant_mode=fmha,
        **experts,
    )


@pytest.mark.parametrize(("model", "gpu", "engine", "layout"), [GQA, MLA], ids=["gqa", "mla"])
def test_steps_are_those_of_the_package(model: str, gpu: str, engine: str, layout: Layout) -> None:
    known = found(model, gpu, engine)
    own, ranks = handle(known, layout), float(layout.data)
    for batch, context in ((1, 1024), (8, 3000), (50, 700), (256, 10_000)):
        here = known.terms(layout, batch * ranks, batch * ranks, batch * ranks * context, 0.0)
        told = own.decode_step_latency(batch, context - 2, 2) / 1e3
        assert float(sum(np.asarray(t) for t in here)) == pytest.approx(told, rel=0.03)
    for prompt in (1024, 4096):
        here = known.terms(layout, prompt * ranks, ranks, 0.0, prompt**2 / 2.0 * ranks)
        told = own.mixed_step_latency(prompt, 0, prompt, 2) / 1e3
        assert float(sum(np.asarray(t) for t in here)) == pytest.approx(told, rel=0.03)


def test_the_steady_state_is_that_of_the_package() -> None:
    from aiconfigurator_core.sdk import perf_database
    from aiconfigurator_core.sdk.backends.factory import get_backend
    from aiconfigurator_core.sdk.config import RuntimeConfig
    from aiconfigurator_core.sdk.config_builders import build_model_config
    from aiconfigurator_core.sdk.models import get_model

    model, gpu, engine, layout = GQA
    known = found(model, gpu, engine)
    source: Any = known.source
    config = build_model_config(4, 1, 1, 1, 1, "fp8", "fp8", "bfloat16")
    told = get_backend(engine).run_agg(
        get_model(source.model, config, engine),
        perf_database.get_database(source.gpu, engine, source.release),
        RuntimeConfig(batch_size=32, isl=1024, osl=1024),
        ctx_tokens=1024,
    )
    # the package counts no host work in a step
    bare = GENERIC._replace(overhead=0.0, sequence=0.0, request=0.0, layer=0.0, host=0.0)
    here = aggregated_point(
        *(library_architecture(model), library_hardware(gpu), layout, 1024.0, 1024.0, 32.0),
        engine=bare,
        tables=known,
    )
    assert float(here.tpot) * 1e3 == pytest.approx(told.get_result_dict()["tpot"], rel=0.05)


def test_plain_models_by_their_shapes_are_those_by_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from firsttoken.serving import tables_aiconfigurator as module

    asked = (library_architecture(GQA[0]), library_hardware(GQA[1]), GQA[0], GQA[2], "")
    named = Aiconfigurator(*asked)
    one = {"x": module._models()["openai/gpt-oss-20b"]}
    monkeypatch.setattr(module, "_models", lambda: one)
    shaped = Aiconfigurator(*asked)
    assert named.entry.startswith("meta-llama/Meta-Llama-3.1-70B on h100_sxm")
    assert shaped.entry.startswith("a plain transformer of the shapes of llama3_1_70b on h100_sxm")
    for mine, theirs in zip(shaped.grid(DENSE)[:4], named.grid(DENSE)[:4], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    folder = Path(shaped.model)
    assert (folder / "config.json").is_file()
    del shaped
    assert not folder.exists()


def test_most_of_a_step_was_measured() -> None:
    grid = found(*GQA[:3]).grid(DENSE)
    assert 0.9 < grid.measured <= 1.0
    assert grid.modes == "fp8/fp8/fp8/bfloat16"


def test_longer_contexts_and_more_ranks() -> None:
    known = found(*GQA[:3])
    one, two = known.grid(DENSE), known.grid(DENSE._replace(tensor=8.0, expert_tensor=8.0))
    assert np.all(np.diff(one.attention, axis=1) >= -1e-6)
    assert np.all(two.fill.sum(axis=0)[-5:] < one.fill.sum(axis=0)[-5:])


@pytest.mark.parametrize(
    ("changes", "field", "hint"),
    [
        ({"gpu": "mi300x"}, "on", "the nearest is"),
        ({"engine": "mlc"}, "name", "trtllm, sglang, vllm"),
        ({"engine": ""}, "name", "known are"),
        ({"release": "0.1.0"}, "release", "the nearest is"),
        ({"model": "gpt3_175b"}, "model", "the nearest is"),
    ],
)
def test_what_is_not_held(changes: dict[str, str], field: str, hint: str) -> None:
    asked = {"model": "llama3_1_70b", "gpu": "h100_sxm", "engine": "vllm", "release": "", **changes}
    with pytest.raises(TablesError) as error:
        found(**asked)
    assert error.value.field == field
    assert hint in error.value.hint


def test_a_format_that_the_gpu_lacks_is_told_with_those_it_has() -> None:
    narrow = DENSE._replace(weight_bits=4.5, expert_bits=4.5, compute_bits=4.5)
    with pytest.raises(TablesError, match="do not hold nvfp4") as error:
        found(*GQA[:3]).grid(narrow)
    assert error.value.field == "precision"
    assert "fp8" in error.value.hint


def test_ranks_that_were_not_measured_are_told() -> None:
    model, gpu, engine, _ = MLA
    with pytest.raises(TablesError) as error:
        found(model, gpu, engine).grid(SPARSE._replace(tensor=3.0, expert_tensor=3.0))
    assert error.value.field == "parallel"
    assert "tensor 3" in error.value.what


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("generation_qkv_gemm", "dense"),
        ("context_moe", "experts"),
        ("context_moe_pre_dispatch", "exchange"),
        ("generation_ar_1", "reduce"),
        ("generation_p2p", "exchange"),
        ("context_logits_gemm", "head"),
        ("context_add_norm_1", "elementwise"),
        ("context_router_gemm", "experts"),
    ],
)
def test_operators_by_their_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_a_run_and_its_source(tmp_path: Path) -> None:
    changes = {
        "services.chat.engine": {"name": "sglang", "tables": "aiconfigurator"},
        "services.chat.replicas": 1,
        "services.chat.traffic.users.rate": "0.5 request/s",
    }
    (row,) = tables(tmp_path, factory(**changes), horizon="2 minute")["serving_tables"]
    assert row["source"].startswith("aiconfigurator-core ")
    assert row["entry"].startswith("Qwen/Qwen3-235B-A22B on gb300, sglang ")
    assert row["tpot"] > 0.0


def test_an_unknown_release_is_found_at_its_line(tmp_path: Path) -> None:
    changes = {
        "services.chat.engine": {
            "name": "sglang",
            "release": "0.5.9",
            "tables": "aiconfigurator",
        }
    }
    said = check(tmp_path, factory(**changes))
    lines = (tmp_path / "twin.yaml").read_text().splitlines()
    line = 1 + next(k for k, text in enumerate(lines) if "release:" in text)
    assert f"twin.yaml:{line}: error: the tables hold no release '0.5.9' of sglang on gb" in said
    assert "the nearest is" in said


def test_the_package_says_nothing_on_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    Aiconfigurator(
        *(library_architecture("qwen3_32b"), library_hardware("h200_sxm")),
        *("qwen3_32b", "sglang", ""),
    ).grid(Layout(1, 1, 1, 1, 1, 16, 16, 16, 16))
    assert capfd.readouterr() == ("", "")
