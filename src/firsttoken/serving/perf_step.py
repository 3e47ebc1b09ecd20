"""How long one step of an engine takes, operator by operator.

A step is one pass of the model over the tokens that the scheduler chose: one token of each
sequence that decodes, and chunks of prompts.  Each operator takes the larger of the time of its
arithmetic and of its memory traffic (Williams, Waterman and Patterson, Roofline, CACM 52 (2009)
65), both at the rates of `perf_efficiency`; operators follow each other, so terms add up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from firsttoken.serving import perf_efficiency as rate
from firsttoken.serving import perf_weights as weights
from firsttoken.serving.perf_efficiency import NONE, Corrections
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, Numbers


class Terms(NamedTuple):
    """Seconds of one step by operator; each a number or f8[n].

    Attributes
    ----------
    dense : projections of attention, dense feed-forward layers, shared experts.
    experts : routed experts.
    decode, prefill : attention of decoding sequences, of chunks of prompts.
    elementwise : norms, activations, quantisation, residual.
    head : output head and sampling.
    reduce : all-reduces of tensor parallelism; exchange : all-to-all of experts, and the passing
        on between pipeline stages.
    launch : fixed costs of the kernels; overhead : host work (from the engine, not part of
        `step_terms`' physics unless given).
    """

    dense: Numbers
    experts: Numbers
    decode: Numbers
    prefill: Numbers
    elementwise: Numbers
    head: Numbers
    reduce: Numbers
    exchange: Numbers
    launch: Numbers
    overhead: Numbers


def step_seconds(terms: Terms) -> Floats:
    """Seconds of a step, f8[n]: its terms one after the other."""
    return np.asarray(sum(np.asarray(term, dtype=float) for term in terms))


def matrix_rate(hardware: Hardware, bits: Numbers) -> Any:
    """FLOP/s that large matrix products with operands of `bits` reach, f8[n].

    Operands narrower than the hardware multiplies are widened: FP4 runs as FP8, then as BF16.
    """
    wide = np.asarray(hardware.bf16) * rate.MATRIX_16
    byte = np.where(np.asarray(hardware.fp8) > 0, np.asarray(hardware.fp8) * rate.MATRIX_8, wide)
    half = np.where(np.asarray(hardware.fp4) > 0, np.asarray(hardware.fp4) * rate.MATRIX_4, byte)
    width = np.asarray(bits)
    return np.where(width > 9.0, wide, np.where(width > 5.5, byte, half))


def product_seconds(
    flops: Any, traffic: Any, rows: Any, columns: Any, peak: Any, bandwidth: Any
) -> Any:
    """Seconds of a matrix product: the larger of arithmetic and traffic, rounded off between.

    Parameters
    ----------
    flops, traffic : FLOP and bytes.
    rows, columns : of the result on this rank: small ones fill fewer tiles.
    peak, bandwidth : FLOP/s and bytes/s reached by large products.
    """
    filled = rows / (rows + rate.ROWS) * columns / (columns + rate.COLUMNS)
    work = flops / (peak * np.maximum(filled, 1e-3))
    read = traffic / bandwidth
    return np.cbrt(work**3 + read**3)


def experts_hit(experts: Numbers, active: Numbers, tokens: Numbers) -> Any:
    """Expected number of experts that at least one of `tokens` uses, f8[n].

    Each token picks `active` of `experts` without regard to the others:
    E (1 - (1 - k / E)^T).
    """
    known = np.maximum(experts, 1.0)
    share = np.minimum(active / known, 1.0 - 1e-12)
    return known * -np.expm1(np.asarray(tokens) * np.log1p(-share))


def imbalance(expert: Numbers, experts: Numbers, picks: Numbers) -> Any:
    """Load of the busiest of `expert` ranks over the mean load, f8[n].

    The largest of n values with relative spread s is about 1 + s sqrt(2 ln n): s joins chance
    (picks of a rank are Poisson) and the popularity of a rank's experts.
    """
    ranks = np.maximum(expert, 1.0)
    held = np.maximum(experts / ranks, 1.0)
    spread = np.sqrt(ranks / np.maximum(picks, 1.0) + rate.SKEW**2 / held)
    return np.minimum(1.0 + spread * np.sqrt(2.0 * np.log(ranks)), ranks)


def reduce_seconds(size: Any, ranks: Numbers, hardware: Hardware) -> Any:
    """Seconds of an all-reduce of `size` bytes over `ranks` GPUs, f8[n]; 0 for one.

    Ring or in-switch reduction: 2 (n - 1) / n of the bytes pass every link (Thakur, Rabenseifner
    and Gropp, 2005).  Beyond the NVLink domain the parts of a domain are reduced first.
    """
    within = np.minimum(ranks, hardware.domain)
    across = np.maximum(ranks / np.maximum(hardware.domain, 1.0), 1.0)
    inner = 2.0 * (within - 1.0) / within * size / (hardware.link * rate.REDUCE_SHARE)
    outer = 2.0 * (across - 1.0) / across * (size / within)
    outer = outer / (hardware.network * rate.NETWORK_SHARE)
    delay = np.where(np.asarray(ranks) > 1, rate.REDUCE_LATENCY + rate.REDUCE_RANK * within, 0.0)
    return inner + outer + delay + np.where(across > 1, rate.NETWORK_LATENCY, 0.0)


def exchange_seconds(size: Any, ranks: Numbers, hardware: Hardware) -> Any:
    """Seconds of an all-to-all in which each GPU sends `size` bytes to `ranks`, f8[n]."""
    beyond = np.maximum(1.0 - hardware.domain / np.maximum(ranks, 1.0), 0.0)
    inside = np.maximum((np.minimum(ranks, hardware.domain) - 1.0) / np.maximum(ranks, 1.0), 0.0)
    inner = size * inside / (hardware.link * rate.REDUCE_SHARE)
    outer = size * beyond / (hardware.network * rate.NETWORK_SHARE)
    delay = rate.EXCHANGE_LATENCY + np.where(beyond > 0, rate.NETWORK_LATENCY, 0.0)
    return np.where(np.asarray(ranks) > 1, np.maximum(inner, outer) + delay, 0.0)


def step_terms(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    tokens: Numbers,
    sequences: Numbers,
    kv_tokens: Numbers,
    pairs: Numbers,
    corrections: Corrections = NONE,
    overhead: Numbers = 0.0,
) -> Terms:
    """Seconds of one step of a replica by operator, arrays broadcast.

    Parameters
    ----------
    tokens : all tokens of the step, over the data ranks together.
    sequences : sequences of which a token is sampled (those that decode, and prompts that end).
    kv_tokens : tokens of KV that decoding sequences read, their sum.
    pairs : attended pairs of the chunks of prompts: sum of chunk x (done before + chunk / 2).
    corrections : factors on the terms.
    overhead : s of host work of the step.
    """
    own = np.maximum(np.asarray(tokens) / layout.data, 1e-9)
    factor = corrections
    return Terms(
        dense=factor.dense * _dense(architecture, hardware, layout, own),
        experts=factor.experts * _experts(architecture, hardware, layout, tokens),
        decode=factor.decode * _decode(architecture, hardware, layout, sequences, kv_tokens),
        prefill=factor.prefill * _prefill(architecture, hardware, layout, pairs, tokens),
        elementwise=factor.elementwise * _elementwise(architecture, hardware, layout, own),
        head=factor.head * _head(architecture, hardware, layout, sequences),
        reduce=factor.reduce * _reduce(architecture, hardware, layout, own),
        exchange=factor.exchange * _exchange(architecture, hardware, layout, own),
        launch=factor.launch * _launch(architecture),
        overhead=factor.overhead * np.asarray(overhead),
    )


def _dense(a: Architecture, h: Hardware, layout: Layout, own: Any) -> Any:
    """Projections, dense feed-forward layers and shared experts of a rank's tokens."""
    n = weights.counts(a)
    held = (n.attention + n.dense) / layout.tensor
    layers = np.maximum(a.layers, 1.0)
    columns = held / layers / np.maximum(a.hidden, 1.0) / 4.0
    return product_seconds(
        2.0 * held * own,
        held * layout.weight_bits / 8.0,
        own,
        columns,
        matrix_rate(h, layout.compute_bits),
        h.bandwidth * rate.MEMORY,
    )


def _experts(a: Architecture, h: Hardware, layout: Layout, tokens: Numbers) -> Any:
    """Grouped products of the busiest rank: it reads the experts that are hit."""
    n = weights.counts(a)
    ranks = layout.expert * layout.expert_tensor
    picks = np.asarray(tokens) * a.active
    busy = imbalance(layout.expert, a.experts, picks)
    hit = experts_hit(a.experts, a.active, tokens) / np.maximum(a.experts, 1.0)
    rows = np.maximum(picks / np.maximum(a.experts * hit, 1e-9), 1.0)
    columns = 2.0 * a.expert_ffn / layout.expert_tensor
    flops = 2.0 * n.active_experts * np.asarray(tokens) / ranks * busy
    traffic = n.experts / ranks * np.minimum(hit * busy, 1.0) * layout.expert_bits / 8.0
    peak = matrix_rate(h, np.minimum(layout.compute_bits, np.maximum(layout.expert_bits, 4.0)))
    seconds = product_seconds(
        flops,
        traffic,
        rows,
        np.maximum(columns, 1.0),
        peak * rate.GROUPED,
        h.bandwidth * rate.MEMORY,
    )
    return np.where(np.asarray(a.experts) > 0, seconds, 0.0)


def _decode(a: Architecture, h: Hardware, layout: Layout, sequences: Any, kv_tokens: Any) -> Any:
    """Attention of decoding sequences: their KV is read once, MLA in its absorbed form."""
    many = np.maximum(sequences, 1e-9)
    context = np.asarray(kv_tokens) / many
    read = weights.kv_rank_bytes(a, layout, context) * layout.pipeline
    traffic = kv_tokens / layout.data * read
    full = a.layers * (1.0 - a.linear)
    seen = full * (1.0 - a.windowed * (1.0 - weights.window_share(a, context)))
    width = np.where(
        np.asarray(a.kv_rank) > 0,
        2.0 * a.kv_rank + a.rope_size,
        a.head_size + a.value_size,
    )
    flops = 2.0 * seen * a.heads / layout.tensor * width * kv_tokens / layout.data
    state = 2.0 * weights.state_bytes(a) / layout.tensor * sequences / layout.data
    work = flops / (h.bf16 * rate.ATTENTION_DECODE)
    return np.maximum(traffic / (h.bandwidth * rate.MEMORY_KV), work) + state / (
        h.bandwidth * rate.MEMORY_KV
    )


def _prefill(a: Architecture, h: Hardware, layout: Layout, pairs: Any, tokens: Any) -> Any:
    """Attention of chunks of prompts; a window limits the pairs of its layers."""
    each = np.asarray(pairs) / np.maximum(tokens, 1.0)
    share = weights.window_share(a, 2.0 * each)
    full = weights.pair_flops(a) / np.maximum(1.0 - np.asarray(a.windowed), 1e-9)
    flops = full * (1.0 - a.windowed * (1.0 - share)) * pairs
    split = layout.tensor * layout.data
    return flops / split / (h.bf16 * rate.ATTENTION_PREFILL)


def _elementwise(a: Architecture, h: Hardware, layout: Layout, own: Any) -> Any:
    """Norms, activations and quantisation: the residual stream passes the memory."""
    wide = a.hidden * 2.0 * rate.ELEMENTWISE
    picked = np.where(np.asarray(a.experts) > 0, a.active * a.hidden * 2.0 * 2.0, 0.0)
    picked = picked / np.maximum(layout.expert_tensor * layout.expert / layout.data, 1.0)
    return a.layers * (wide + picked) * own / (h.bandwidth * rate.MEMORY)


def _head(a: Architecture, h: Hardware, layout: Layout, sequences: Any) -> Any:
    """Output head in BF16 and sampling over the vocabulary."""
    own = np.asarray(sequences) / layout.data
    table = weights.counts(a).head / layout.tensor
    seconds = product_seconds(
        2.0 * table * own,
        table * weights.EMBEDDING_BITS / 8.0,
        np.maximum(own, 1.0),
        a.vocabulary / layout.tensor,
        matrix_rate(h, 16.0),
        h.bandwidth * rate.MEMORY,
    )
    logits = own * a.vocabulary * 4.0 * 4.0 / (h.bandwidth * rate.MEMORY)
    return np.where(own > 0, seconds + logits, 0.0)


def _reduce(a: Architecture, h: Hardware, layout: Layout, own: Any) -> Any:
    """Two all-reduces a layer over the tensor ranks; one where experts exchange instead."""
    size = own * a.hidden * 2.0
    spread = np.asarray(layout.data) > 1
    sparse = weights.moe_layers(a)
    times = 2.0 * a.layers - np.where(spread, sparse, 0.0)
    return times * reduce_seconds(size, layout.tensor, h)


def _exchange(a: Architecture, h: Hardware, layout: Layout, own: Any) -> Any:
    """Dispatch in the operands' width and combine in BF16 where attention is data parallel."""
    ranks = layout.tensor * layout.data
    reached = np.minimum(a.active, ranks)
    mine = own / layout.tensor
    sent = mine * reached * a.hidden
    narrow = np.minimum(np.asarray(layout.compute_bits) / 8.0, 2.0)
    both = exchange_seconds(sent * narrow, ranks, h) + exchange_seconds(sent * 2.0, ranks, h)
    moe = np.where(np.asarray(layout.data) > 1, weights.moe_layers(a) * both, 0.0)
    stages = np.asarray(layout.pipeline) - 1.0
    passed = own * a.hidden * 2.0 / (h.link * rate.REDUCE_SHARE) + rate.EXCHANGE_LATENCY
    return moe + stages * passed


def _launch(a: Architecture) -> Any:
    """Fixed costs of kernels, one after the other."""
    sparse = weights.moe_layers(a)
    kernels = a.layers * rate.KERNELS_ATTENTION + sparse * rate.KERNELS_EXPERTS
    return (kernels + (a.layers - sparse) * rate.KERNELS_DENSE) * rate.KERNEL
