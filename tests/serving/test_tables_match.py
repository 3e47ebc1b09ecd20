"""Which entries of operator tables models, GPUs, releases and formats are; no package is needed."""

from __future__ import annotations

import pytest

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.system import Layout
from firsttoken.serving.tables import TablesError
from firsttoken.serving.tables_match import (
    Shape,
    Speeds,
    find_gpu,
    find_model,
    find_release,
    modes_of,
    plain_config,
    shape_of,
)

# shapes as the models' published configurations have them
KNOWN = {
    "meta/Llama-70B": Shape(80, 8192, 64, 8, 128256, 0, 0, 28672, 0),
    "meta/Llama-8B": Shape(32, 4096, 32, 8, 128256, 0, 0, 14336, 0),
    "deepseek/DeepSeek-V3": Shape(61, 7168, 128, 128, 129280, 256, 8, 2048, 512),
    "deepseek/DeepSeek-V3.2": Shape(61, 7168, 128, 128, 129280, 256, 8, 2048, 512),
}
# data sheets of NVIDIA: dense FLOP/s, bytes/s of HBM and of NVLink in one direction
GPUS = {
    "h100": Speeds(989e12, 1979e12, 0.0, 3.35e12, 450e9),
    "h200": Speeds(989e12, 1979e12, 0.0, 4.8e12, 450e9),
    "b200": Speeds(2.25e15, 4.5e15, 9e15, 8e12, 900e9),
}


def test_models_are_known_by_their_shape() -> None:
    shape = shape_of(library_architecture("llama3_1_70b"))
    assert find_model(shape, "my-own-name", KNOWN) == "meta/Llama-70B"


@pytest.mark.parametrize(
    ("name", "found"),
    [("deepseek_v3", "deepseek/DeepSeek-V3"), ("deepseek_v3_2", "deepseek/DeepSeek-V3.2")],
)
def test_of_models_of_one_shape_the_name_decides(name: str, found: str) -> None:
    assert find_model(shape_of(library_architecture(name)), name, KNOWN) == found


def test_models_that_are_not_held_are_told_with_the_nearest() -> None:
    with pytest.raises(TablesError, match="no model of the shape of 'phi_4'") as error:
        find_model(shape_of(library_architecture("phi_4")), "phi_4", KNOWN)
    assert error.value.field == "model"
    assert error.value.hint.startswith("the nearest is meta/Llama-8B")


def test_plain_models_are_their_shapes() -> None:
    found = plain_config(library_architecture("llama3_1_70b"))
    # config.json of Llama 3.1 70B
    assert found is not None
    assert found["architectures"] == ["LlamaForCausalLM"]
    assert (found["hidden_size"], found["intermediate_size"]) == (8192, 28672)
    assert (found["num_attention_heads"], found["num_key_value_heads"]) == (64, 8)
    assert (found["num_hidden_layers"], found["vocab_size"]) == (80, 128256)
    mixtral = plain_config(library_architecture("mixtral_8x7b"))
    assert mixtral is not None
    assert (mixtral["num_experts"], mixtral["num_experts_per_tok"]) == (8, 2)
    assert mixtral["moe_intermediate_size"] == 14336


@pytest.mark.parametrize(
    "model", ["deepseek_v3", "gpt_oss_120b", "qwen3_5_27b", "glm_4_5", "gpt3_175b", "gemma_3_27b"]
)
def test_models_with_more_than_shapes_are_not_plain(model: str) -> None:
    """Latent heads, windows, linear attention, shared experts, two matrices, windows."""
    assert plain_config(library_architecture(model)) is None


@pytest.mark.parametrize(("gpu", "found"), [("h100_sxm", "h100"), ("h200_sxm", "h200")])
def test_gpus_are_known_by_their_speeds(gpu: str, found: str) -> None:
    assert find_gpu(library_hardware(gpu), GPUS) == found


def test_data_sheets_may_differ_a_little() -> None:
    # 7.7 TB/s in the library, 8 in the table above
    assert find_gpu(library_hardware("b200"), GPUS) == "b200"


def test_gpus_that_are_not_held_are_told_with_the_nearest() -> None:
    # an H800 is an H100 with slower links, a GB300 is a faster B200
    for gpu, near in (("h800_sxm", "h100"), ("gb300", "b200")):
        with pytest.raises(TablesError, match="no GPU of these speeds") as error:
            find_gpu(library_hardware(gpu), GPUS)
        assert error.value.field == "on"
        assert f"the nearest is {near}" in error.value.hint


SLOTS = {"current": "1.3.0rc20", "next": "1.4.0"}


@pytest.mark.parametrize(
    ("given", "found"),
    [("", "1.3.0rc20"), ("current", "1.3.0rc20"), ("next", "1.4.0"), ("1.4.0", "1.4.0")],
)
def test_releases_that_are_held(given: str, found: str) -> None:
    assert find_release(given, SLOTS, "trtllm", "h100") == found


@pytest.mark.parametrize(("given", "near"), [("1.3.0rc5", "1.3.0rc20"), ("1.4.1", "1.4.0")])
def test_releases_that_are_not_held_are_told_with_the_nearest(given: str, near: str) -> None:
    with pytest.raises(TablesError, match=r"they hold 1\.3\.0rc20, 1\.4\.0") as error:
        find_release(given, SLOTS, "trtllm", "h100")
    assert error.value.field == "release"
    assert error.value.hint == f"the nearest is {near}"


@pytest.mark.parametrize(
    ("bits", "sparse", "gemm", "moe", "kv"),
    [
        ((16, 16, 16, 16), False, "bfloat16", "bfloat16", "bfloat16"),
        ((8, 8, 8, 8), False, "fp8", "fp8", "fp8"),  # scales by tensor
        ((8, 8, 8, 8), True, "fp8_block", "fp8_block", "fp8"),  # by blocks: DeepSeek, Qwen
        ((4.5, 4.5, 8, 4.5), False, "nvfp4", "nvfp4", "fp8"),
        ((8, 4.5, 8, 4.5), True, "fp8_block", "nvfp4", "fp8"),
        ((16, 4.25, 16, 16), True, "bfloat16", "int4_wo", "bfloat16"),
        ((4.5, 4.5, 16, 16), False, "nvfp4_wo", "nvfp4_wo", "bfloat16"),
        ((8, 8, 16, 16), False, "int8_wo", "bfloat16", "bfloat16"),
    ],
)
def test_formats_by_their_bits(
    bits: tuple[float, ...], sparse: bool, gemm: str, moe: str, kv: str
) -> None:
    first = next(modes_of(Layout(1, 1, 1, 1, 1, *bits), sparse, False))
    assert (first.gemm, first.moe, first.kv) == (gemm, moe, kv)


def test_microscaled_experts_and_kernels_of_attention() -> None:
    layout = Layout(1, 1, 1, 1, 1, 16, 4.25, 8, 8)
    found = list(modes_of(layout, True, True))
    assert [modes.moe for modes in found[:2]] == ["w4a8_mxfp4_mxfp8", "w4a16_mxfp4"]
    # attention in FP8 first, then in BF16, which every engine has
    assert [modes.fmha for modes in found] == ["fp8", "fp8", "bfloat16", "bfloat16"]
