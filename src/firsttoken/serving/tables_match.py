"""Which entry of a collection of operator tables a model, a GPU and number formats are.

Shapes and speeds decide, not names: a declared model or GPU that equals a known one is that one.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from firsttoken.serving.system import Architecture, Hardware, Layout
from firsttoken.serving.tables import TablesError

ALIKE: Final = 0.04
"""Share by which speeds of one GPU may differ between data sheets (7.7 and 8 TB/s of a B200)."""


class Shape(NamedTuple):
    """What tells language models apart."""

    layers: float
    hidden: float
    heads: float
    kv_heads: float
    vocabulary: float
    experts: float
    active: float
    expert_ffn: float
    kv_rank: float


class Speeds(NamedTuple):
    """What tells GPUs apart: FLOP/s in three formats, bytes/s of the memory and of a link."""

    bf16: float
    fp8: float
    fp4: float
    bandwidth: float
    link: float


class Modes(NamedTuple):
    """Number formats of products, of experts, of KV and of prompts' attention, by their names."""

    gemm: str
    moe: str
    kv: str
    fmha: str


def shape_of(a: Architecture) -> Shape:
    """Shape of a model (of floats); one with latent attention has a KV head for each head."""
    sparse = float(a.experts) > 0
    return Shape(
        float(a.layers),
        float(a.hidden),
        float(a.heads),
        float(a.heads if a.kv_rank and a.kv_heads != 1 else a.kv_heads),
        float(a.vocabulary),
        float(a.experts),
        float(a.active) if sparse else 0.0,
        float(a.expert_ffn if sparse else a.ffn),
        float(a.kv_rank),
    )


def find_model(wanted: Shape, name: str, known: Mapping[str, Shape]) -> str:
    """Name of the known model of this shape; of several the one that is called most alike.

    Raises
    ------
    TablesError
        If none has it.
    """
    same = [key for key, shape in known.items() if _same(wanted, shape)]
    if same:
        return max(same, key=lambda key: (_called(name, key), -len(key)))
    near = min(known, key=lambda key: (_far(wanted, known[key]), -_called(name, key)))
    raise TablesError(
        "model",
        f"the tables hold no model of the shape of {name!r}",
        f"they hold {len(known)} models",
        f"the nearest is {near}; or remove `engine.tables`",
    )


def plain_config(a: Architecture) -> dict[str, object] | None:
    """Configuration of a plain transformer, as published checkpoints write it; None: it is none.

    Plain is a model of full attention in every layer with heads of one width, and of gated
    feed-forward layers that are all dense, or all of routed experts alone: its shapes are all that
    operators need to know of it.
    """
    special = (a.kv_rank, a.windowed, a.linear, a.shared, a.dense_layers, a.mtp)
    if any(map(float, special)) or a.value_size != a.head_size or not a.gated:
        return None
    sparse = float(a.experts) > 0
    config: dict[str, object] = {
        "architectures": ["Qwen3MoeForCausalLM" if sparse else "LlamaForCausalLM"],
        "num_hidden_layers": int(a.layers),
        "hidden_size": int(a.hidden),
        "num_attention_heads": int(a.heads),
        "num_key_value_heads": int(a.kv_heads),
        "head_dim": int(a.head_size),
        "intermediate_size": int(a.expert_ffn if sparse else a.ffn),
        "vocab_size": int(a.vocabulary),
        "max_position_embeddings": 131072,
    }
    if sparse:
        config |= {
            "num_experts": int(a.experts),
            "num_experts_per_tok": int(a.active),
            "moe_intermediate_size": int(a.expert_ffn),
        }
    return config


def _same(one: Shape, other: Shape) -> bool:
    # latent widths are written in two ways (DeepSeek-V4), so they only tell if there is one
    return one[:-1] == other[:-1] and (one.kv_rank > 0) == (other.kv_rank > 0)


def _far(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(abs(math.log1p(a) - math.log1p(b)) for a, b in zip(one, other, strict=True))


def _called(name: str, key: str) -> float:
    """How alike two names are, without maker and punctuation."""
    one, other = (re.sub(r"[^a-z0-9]", "", text.split("/")[-1].lower()) for text in (name, key))
    return float(difflib.SequenceMatcher(a=one, b=other).ratio())


def find_gpu(hardware: Hardware, known: Mapping[str, Speeds]) -> str:
    """Name of the known GPU of these speeds; of several the nearest.

    Raises
    ------
    TablesError
        If none has them.
    """
    wanted = Speeds(*(float(np.asarray(getattr(hardware, name))) for name in Speeds._fields))
    near = min(known, key=lambda key: _far(wanted, known[key]))
    # what the GPU does not multiply at all must agree too, but formulas need no such units
    pairs = zip(wanted, known[near], strict=True)
    if all((a == b == 0) or math.isclose(a, b, rel_tol=ALIKE) for a, b in pairs):
        return near
    raise TablesError(
        "on",
        "the tables hold no GPU of these speeds",
        f"they hold {', '.join(sorted(known))}",
        f"the nearest is {near}; or remove `engine.tables`",
    )


def find_release(given: str, slots: Mapping[str, str], engine: str, gpu: str) -> str:
    """Release of an engine: as given, else the one that the tables call current.

    Raises
    ------
    TablesError
        If the tables do not hold it.
    """
    if not given:
        return slots["current"]
    if given in slots:
        return slots[given]
    if given in slots.values():
        return given
    near = min(slots.values(), key=lambda one: _far(*_aligned(_numbers(given), _numbers(one))))
    raise TablesError(
        "release",
        f"the tables hold no release {given!r} of {engine} on {gpu}",
        f"they hold {', '.join(sorted(set(slots.values())))}",
        f"the nearest is {near}",
    )


def _numbers(release: str) -> list[float]:
    return [float(part) for part in re.findall(r"\d+", release)]


def _aligned(one: list[float], other: list[float]) -> tuple[list[float], list[float]]:
    """Parts of releases, the first of which count most."""
    size = max(len(one), len(other))
    parts = [part + [0.0] * (size - len(part)) for part in (one, other)]
    weights = [10.0 ** (-k) for k in range(size)]
    first, second = ([v * w for v, w in zip(part, weights, strict=True)] for part in parts)
    return first, second


def modes_of(layout: Layout, sparse: bool, microscaled: bool) -> Iterator[Modes]:
    """Number formats that a layout's bits may stand for, those most in use first.

    Parameters
    ----------
    sparse : published checkpoints of MoE models scale FP8 by blocks, those of dense ones by tensor.
    microscaled : experts of 4 bits are MXFP4 (gpt-oss), not INT4.
    """
    compute = float(layout.compute_bits)
    dense = _formats(float(layout.weight_bits), compute, sparse, microscaled)
    experts = _formats(float(layout.expert_bits), compute, sparse, microscaled)
    kv = "fp8" if float(layout.kv_bits) < 9.0 else "bfloat16"
    # attention over KV in FP8 multiplies in FP8 where an engine has such a kernel
    kernels = ("fp8", "bfloat16") if kv == "fp8" else ("bfloat16",)
    for fmha in kernels:
        for moe in experts if sparse else dense[:1]:
            for gemm in dense:
                if gemm not in _EXPERTS_ONLY:
                    yield Modes(gemm, moe if moe not in _DENSE_ONLY else "bfloat16", kv, fmha)


_EXPERTS_ONLY: Final = {"w4a16_mxfp4", "w4a8_mxfp4_mxfp8", "w4afp8"}
_DENSE_ONLY: Final = {"int8_wo"}


def _formats(bits: float, compute: float, sparse: bool, microscaled: bool) -> tuple[str, ...]:
    """Names of a format of weights by its bits and those of the operands."""
    if bits > 9.0:
        return ("bfloat16",)
    if bits > 5.5:
        if compute > 9.0:
            return ("int8_wo",)
        return ("fp8_block", "fp8") if sparse else ("fp8", "fp8_block")
    if bits > 4.4:
        return ("nvfp4",) if compute < 5.5 else ("nvfp4_wo", "w4a16_nvfp4")
    if microscaled:
        # engines take kernels with operands of 8 bits where they have them
        return ("w4a16_mxfp4",) if compute > 9.0 else ("w4a8_mxfp4_mxfp8", "w4a16_mxfp4")
    return ("int4_wo",) if compute > 9.0 else ("w4afp8",)
