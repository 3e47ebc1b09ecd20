"""Language models and accelerators of the library, against what their makers published."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest

from firsttoken.serving.parts import (
    HARDWARE,
    MODELS,
    architecture,
    find_accelerator,
    find_model,
    hardware,
    library_accelerator,
    library_architecture,
    library_hardware,
    library_model,
    shipped,
)
from firsttoken.serving.system import Architecture
from firsttoken.twin.dates import parse_date
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.library import FactError, Library, read_libraries

MODEL_PARTS = sorted(part.id for part in shipped().parts.values() if part.kind == "model")
GPU_PARTS = sorted(part.id for part in shipped().parts.values() if part.kind == "accelerator")


def parameters(a: Architecture) -> float:
    """All parameters but norms, biases and routers' biases, by the shapes of the matrices."""
    if a.kv_rank:
        queries = (
            a.hidden * a.q_rank + a.q_rank * a.heads * a.head_size
            if a.q_rank
            else a.hidden * a.heads * a.head_size
        )
        nope = a.head_size - a.rope_size
        keys = a.hidden * (a.kv_rank + a.rope_size)
        keys += 0 if a.shared_kv else a.kv_rank * a.heads * (nope + a.value_size)
    else:
        queries = a.hidden * a.heads * a.head_size
        keys = a.hidden * a.kv_heads * (a.head_size + a.value_size)
    # one matrix out, or a latent for each group of heads
    out = a.heads * a.value_size * (a.out_rank or a.hidden) + a.out_groups * a.out_rank * a.hidden
    attention = queries + keys + out
    fixed = (
        3.0 * a.hidden * a.linear_width
        if a.linear_width
        else 3.5 * a.hidden * a.heads * a.head_size
    )
    sparse = a.layers - a.dense_layers if a.experts else 0.0
    expert = (2 + a.gated) * a.hidden * a.expert_ffn
    dense = (2 + a.gated) * a.hidden * a.ffn
    total = (2 - a.tied) * a.vocabulary * a.hidden
    total += a.layers * ((1 - a.linear) * attention + a.linear * fixed)
    total += (a.layers - sparse) * dense
    return float(total + sparse * ((a.experts + a.shared) * expert + a.hidden * a.experts))


@pytest.mark.parametrize("name", MODEL_PARTS)
def test_matrices_add_up_to_the_published_parameters(name: str) -> None:
    """Vendors round totals to two or three digits; small matrices of layers with a fixed state and
    of compressed attention are left out, and Gemma's have towers for images."""
    a = library_architecture(name)
    if not a.parameters:
        pytest.skip("no total is published")
    rough = a.linear > 0 or name.startswith(("deepseek_v4", "gemma_4"))
    assert parameters(a) == pytest.approx(a.parameters, rel=0.035 if rough else 0.0135)
    assert a.active_parameters <= a.parameters


@pytest.mark.parametrize("name", MODEL_PARTS)
def test_active_matrices_add_up_to_the_published_parameters(name: str) -> None:
    """Experts that a token does not use left out.  Some makers count both embeddings, some one
    (gpt-oss), some none (GLM, MiniMax); Qwen, Gemma and DeepSeek round to a digit or two."""
    a = library_architecture(name)
    if not a.active_parameters:
        pytest.skip("no active parameters are published")
    idle = (a.layers - a.dense_layers) * (a.experts - a.active) if a.experts else 0.0
    most = parameters(a) - idle * (2 + a.gated) * a.hidden * a.expert_ffn
    table = a.vocabulary * a.hidden
    counted = (most, most - table, most - 2 * table)
    error = min(abs(float(found) / float(a.active_parameters) - 1.0) for found in counted)
    assert error <= (0.081 if name == "qwen3_5_35b" else 0.066)


def test_deepseek_v3_is_as_in_its_report() -> None:
    """arXiv 2412.19437, section 4.2."""
    a = library_architecture("deepseek_v3")
    assert (a.layers, a.hidden, a.heads, a.vocabulary) == (61, 7168, 128, 129280)
    assert (a.kv_rank, a.q_rank, a.rope_size) == (512, 1536, 64)
    assert a.head_size == 128 + 64
    assert a.value_size == 128
    assert (a.experts, a.active, a.shared, a.expert_ffn, a.dense_layers) == (256, 8, 1, 2048, 3)
    assert a.parameters == 671e9


def test_llama_405b_is_as_in_its_report() -> None:
    """arXiv 2407.21783, table 3."""
    a = library_architecture("meta-llama/Llama-3.1-405B")
    assert (a.layers, a.hidden, a.ffn, a.heads, a.kv_heads) == (126, 16384, 53248, 128, 8)
    assert a.value_size == a.head_size == 128
    assert a.experts == a.kv_rank == a.window == 0
    assert a.gated == 1


def test_gpt_oss_is_as_in_its_model_card() -> None:
    """OpenAI, gpt-oss model card (2025-08-05): 116.83B parameters, 64 query heads of 64."""
    a = library_architecture("gpt_oss_120b")
    assert parameters(a) == pytest.approx(116.83e9, rel=0.002)
    assert (a.heads, a.kv_heads, a.head_size, a.window, a.windowed) == (64, 8, 64, 128, 0.5)


@pytest.mark.parametrize("name", GPU_PARTS)
def test_data_sheets_are_of_one_order(name: str) -> None:
    """Narrower operands are faster, networks slower than NVLink; a GPU at rest takes less."""
    h = library_hardware(name)
    assert 0 < h.idle < h.tgp
    assert h.fp8 == 0 or h.fp8 >= h.bf16
    assert h.fp4 == 0 or h.fp4 >= 1.9 * h.fp8
    assert h.network < h.link * 2
    assert h.link < h.bandwidth
    assert 1e10 < h.memory < 2e12


def test_units_are_si() -> None:
    """NVIDIA's H100 data sheet: 989 TFLOP/s of dense BF16, 80 GB, 3.35 TB/s, 700 W."""
    h = library_hardware("h100_sxm")
    assert h.bf16 == pytest.approx(989e12)
    assert h.memory == pytest.approx(80 * 1024**3, rel=0.001)
    assert h.bandwidth == pytest.approx(3.35e12)
    assert (h.tgp, h.domain, h.fp4) == (700, 8, 0)


def test_racks_name_their_accelerators() -> None:
    assert library_hardware("gb300_nvl72") == library_hardware("gb300")
    assert library_hardware("gb200_nvl72").domain == 72
    assert find_accelerator(shipped(), "hgx_h200_x4") == "h200_sxm"


def test_published_names_lead_to_one_part() -> None:
    library = shipped()
    for kind in ("model", "accelerator"):
        names = Counter(
            alias.strip().lower()
            for part in library.parts.values()
            if part.kind == kind
            for alias in library.facts[f"{part.id}.names"][0].text.split(";")
        )
        assert max(names.values()) == 1, names.most_common(3)
    assert library_model("deepseek-ai/DeepSeek-R1") == "deepseek_v3"
    assert library_model("DEEPSEEK-R1") == "deepseek_v3"


MODEL_COLUMNS = (
    ("llm_silicon/silicon_sample.csv.gz", "model_path"),
    ("training_perf/megatron_bridge_perf.csv", "model"),
    ("mlperf/mlperf_inference_llm.csv", "model"),
    ("mlperf/mlperf_training_llm.csv", "benchmark"),
    ("ml_energy_leaderboard/llm_inference_power_energy.csv", "model_id"),
    ("sim_accuracy/s2r_trainval_error_records.csv", "model"),
)
GPU_COLUMNS = (
    ("llm_silicon/silicon_sample.csv.gz", "system"),
    ("training_perf/megatron_bridge_perf.csv", "system"),
    ("mlperf/mlperf_inference_llm.csv", "accelerator"),
    ("ml_energy_leaderboard/llm_inference_power_energy.csv", "gpu_model"),
)


def names_in(path: Path, column: str) -> set[str]:
    if not path.is_file():
        pytest.skip("the measured points are not here")
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as packed:
            return {row[column] for row in csv.DictReader(packed)}
    with path.open(newline="", encoding="utf-8") as stream:
        return {row[column] for row in csv.DictReader(stream)}


@pytest.mark.parametrize(("path", "column"), MODEL_COLUMNS)
def test_measured_models_are_known(path: str, column: str, shared_data: Path) -> None:
    for name in names_in(shared_data / path, column):
        assert library_model(name) in MODEL_PARTS


@pytest.mark.parametrize(("path", "column"), GPU_COLUMNS)
def test_measured_accelerators_are_known(path: str, column: str, shared_data: Path) -> None:
    for name in names_in(shared_data / path, column):
        assert library_accelerator(name) in GPU_PARTS


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(FactError, match="is no language model") as caught:
        library_architecture("deepsek_v3")
    assert "deepseek_v3" in caught.value.hint
    with pytest.raises(FactError, match="is no accelerator"):
        library_hardware("h1000_xsm")


def test_a_twin_without_the_library_is_told_to_name_it() -> None:
    with pytest.raises(FactError) as caught:
        find_model(Library(), "deepseek_v3")
    assert f"library: [{MODELS}]" in caught.value.hint
    with pytest.raises(FactError) as caught:
        find_accelerator(Library(), "gb200")
    assert f"library: [{HARDWARE}]" in caught.value.hint


def test_what_was_not_known_yet_is_told() -> None:
    with pytest.raises(FactError, match="was known only from"):
        architecture(shipped(), "deepseek_v3", parse_date("2024-06-01"))
    assert hardware(shipped(), "h100_sxm", parse_date("2024-06-01")).domain == 8


def written(folder: Path, text: str) -> Library:
    (folder / "own" / "parts").mkdir(parents=True)
    (folder / "own" / "parts" / "part.yaml").write_text(text, encoding="utf-8")
    findings = Findings()
    library = read_libraries([("own", Place("twin.yaml", 1))], folder, findings)
    assert not list(findings)
    return library


def test_a_sheet_without_a_needed_field_is_told(tmp_path: Path) -> None:
    text = "part: tiny\nkind: model\nsource: own\nattributes: {layers: {value: 2, unit: ''}}\n"
    with pytest.raises(FactError, match=r"part\(tiny\) has no attribute 'hidden'"):
        architecture(written(tmp_path, text), "tiny")


def test_a_figure_in_a_wrong_unit_is_told(tmp_path: Path) -> None:
    text = "part: chip\nkind: accelerator\nsource: own\nattributes: {bf16: {value: 2, unit: kW}}\n"
    with pytest.raises(FactError, match=r"fact\(chip.bf16\) is in kW, not in FLOP/s"):
        hardware(written(tmp_path, text), "chip")
