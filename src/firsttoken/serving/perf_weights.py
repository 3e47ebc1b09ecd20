"""Parameters, bytes and operations of a transformer, and what of them lies on one rank.

Counts follow from the shapes of the matrices: attention with grouped heads (Ainslie et al., GQA,
2023), latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1), gated feed-forward layers
(Shazeer, 2020), experts with shared ones (DeepSeekMoE, arXiv:2401.06066).  Norms, biases and the
sinks of attention (below 0.1 %) are left out.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.system import Architecture, Floats, Layout, Numbers

LINEAR_WIDTHS: Final = 3.5
"""Matrices of a layer with a fixed state, each hidden x (heads x head_size): a gated delta net with
fewer key than value heads (Qwen3-Next model card)."""

MAMBA_WIDTHS: Final = 3.0
"""Matrices of a Mamba-2 layer, each hidden x `linear_width`: gate, input and output (arXiv:
2405.21060); those of the states and steps, below a tenth of them, are left out."""

LINEAR_STATE: Final = 128
"""Numbers of state for each channel of such a layer (both families use 128)."""

STATE_BYTES: Final = 4.0
"""Bytes of a number of that state: engines keep it in FP32 (`mamba_ssm_dtype`)."""

EMBEDDING_BITS: Final = 16.0
"""Embeddings and the output head stay in BF16 in the published quantised checkpoints."""


class Counts(NamedTuple):
    """Parameters by where they lie; each a number or f8[n].

    Attributes
    ----------
    attention : projections of all attention layers (and of those with a fixed state).
    dense : feed-forward layers every token passes, shared experts and routers included.
    experts : routed experts; active_experts : of them, those that one token uses.
    embedding : input and output embedding (one matrix if tied); head : output head alone.
    mtp : layers of multi-token prediction, part of no other figure.
    """

    attention: Numbers
    dense: Numbers
    experts: Numbers
    active_experts: Numbers
    embedding: Numbers
    head: Numbers
    mtp: Numbers

    @property
    def total(self) -> Numbers:
        """All parameters but those of multi-token prediction."""
        return self.attention + self.dense + self.experts + self.embedding

    @property
    def active(self) -> Numbers:
        """Parameters that one token uses, embeddings included (as published)."""
        return self.attention + self.dense + self.active_experts + self.embedding


def attention_parameters(architecture: Architecture) -> Any:
    """Parameters of the projections of one attention layer, f8[n]; MLA where `kv_rank` is set.

    With `out_rank` the output passes a latent of each group of heads (DeepSeek-V4, config.json:
    `o_lora_rank`, `o_groups`).
    """
    a = architecture
    queries = np.where(
        np.asarray(a.q_rank) > 0,
        a.hidden * a.q_rank + a.q_rank * a.heads * a.head_size,
        a.hidden * a.heads * a.head_size,
    )
    expanded = a.kv_rank * a.heads * (a.head_size - a.rope_size + a.value_size)
    latent = a.hidden * (a.kv_rank + a.rope_size) + (1.0 - a.shared_kv) * expanded
    grouped = a.hidden * a.kv_heads * (a.head_size + a.value_size)
    keys = np.where(np.asarray(a.kv_rank) > 0, latent, grouped)
    mixed = a.heads * a.value_size
    grouped_out = mixed * a.out_rank + a.out_groups * a.out_rank * a.hidden
    out = np.where(np.asarray(a.out_rank) > 0, grouped_out, mixed * a.hidden)
    return queries + keys + out


def linear_parameters(architecture: Architecture) -> Any:
    """Parameters of the projections of one layer with a fixed state, f8[n]."""
    a = architecture
    delta = LINEAR_WIDTHS * a.hidden * a.heads * a.head_size
    mamba = MAMBA_WIDTHS * a.hidden * a.linear_width
    return np.where(np.asarray(a.linear_width) > 0, mamba, delta)


def moe_layers(architecture: Architecture) -> Any:
    """Layers that have experts, f8[n]."""
    a = architecture
    return np.where(np.asarray(a.experts) > 0, a.layers - a.dense_layers, 0.0)


def counts(architecture: Architecture) -> Counts:
    """Parameters of a model by kind (see `Counts`)."""
    a = architecture
    sparse = moe_layers(a)
    matrices = 2.0 + a.gated
    expert = matrices * a.hidden * a.expert_ffn
    layer = (1.0 - a.linear) * attention_parameters(a) + a.linear * linear_parameters(a)
    dense = (a.layers - sparse) * matrices * a.hidden * a.ffn
    common = sparse * (a.shared * expert + a.hidden * a.experts)
    table = a.vocabulary * a.hidden
    last = np.where(np.asarray(a.experts) > 0, (a.experts + a.shared) * expert, 0.0) + np.where(
        np.asarray(a.experts) > 0, 0.0, matrices * a.hidden * a.ffn
    )
    return Counts(
        attention=a.layers * layer,
        dense=dense + common,
        experts=sparse * a.experts * expert,
        active_experts=sparse * a.active * expert,
        embedding=(2.0 - a.tied) * table,
        head=table,
        mtp=a.mtp * (attention_parameters(a) + last + 2.0 * a.hidden * a.hidden),
    )


def weight_bytes(architecture: Architecture, layout: Layout) -> Floats:
    """Bytes of weights on one rank, f8[n].

    Attention and dense layers are split over the tensor ranks and repeated on the data ranks;
    experts are split over all; pipeline stages share the layers evenly.
    """
    n = counts(architecture)
    split = layout.tensor * layout.pipeline
    spread = layout.expert_tensor * layout.expert * layout.pipeline
    plain = (n.attention + n.dense) * layout.weight_bits / split
    embedded = n.embedding * EMBEDDING_BITS / layout.tensor
    return np.asarray((plain + n.experts * layout.expert_bits / spread + embedded) / 8.0)


def kv_elements(architecture: Architecture) -> Any:
    """Numbers that one full-attention layer keeps for one token, f8[n]."""
    a = architecture
    return np.where(
        np.asarray(a.kv_rank) > 0,
        a.kv_rank + a.rope_size,
        a.kv_heads * (a.head_size + a.value_size),
    )


def kv_bytes(architecture: Architecture, kv_bits: Numbers, context: Numbers = 0.0) -> Floats:
    """Bytes of KV that a token of a sequence adds, over all ranks without repetition, f8[n].

    Layers with a sliding window keep no more than it: at a `context` longer than the window
    they count for window / context; context 0: every layer with attention counts.
    """
    full = (1.0 - architecture.linear) * architecture.layers
    kept = full * (1.0 - architecture.windowed * (1.0 - window_share(architecture, context)))
    return np.asarray(kept * kv_elements(architecture) * kv_bits / 8.0)


def window_share(architecture: Architecture, context: Numbers) -> Any:
    """Share of a context that a layer with a sliding window sees, f8[n]."""
    window = np.asarray(architecture.window, dtype=float)
    length = np.maximum(context, 1e-9)
    return np.where((window > 0) & (length > window), window / length, 1.0)


def kv_repeats(architecture: Architecture, tensor: Numbers) -> Any:
    """How often the tensor ranks together hold the same KV, f8[n].

    A latent (MLA) cannot be split by heads, so every rank holds it; grouped heads are repeated
    where there are more ranks than KV heads.
    """
    a = architecture
    grouped = np.maximum(tensor / np.maximum(a.kv_heads, 1.0), 1.0)
    return np.where(np.asarray(a.kv_rank) > 0, tensor, grouped)


def kv_rank_bytes(architecture: Architecture, layout: Layout, context: Numbers = 0.0) -> Floats:
    """Bytes of KV a token takes on each rank that holds its sequence, f8[n]."""
    share = kv_repeats(architecture, layout.tensor) / (layout.tensor * layout.pipeline)
    return np.asarray(kv_bytes(architecture, layout.kv_bits, context) * share)


def state_bytes(architecture: Architecture) -> Floats:
    """Bytes of fixed state that a sequence holds over all ranks, f8[n] (0 without such layers)."""
    a = architecture
    inner = np.where(np.asarray(a.linear_width) > 0, a.linear_width, a.heads * a.head_size)
    width = inner * LINEAR_STATE
    return np.asarray(a.layers * a.linear * width * STATE_BYTES)


def token_flops(architecture: Architecture) -> Floats:
    """Operations of the matrix products of one token, without attention and output head, f8[n]."""
    n = counts(architecture)
    return np.asarray(2.0 * (n.attention + n.dense + n.active_experts))


def pair_flops(architecture: Architecture) -> Floats:
    """Operations for one token to attend another in all full-attention layers, f8[n].

    2 FLOP for every number of the key and of the value of each head, MLA expanded as in prefill;
    sliding windows are left to the caller.
    """
    a = architecture
    full = a.layers * (1.0 - a.linear)
    return np.asarray(2.0 * full * a.heads * (a.head_size + a.value_size))
