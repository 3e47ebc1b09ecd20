"""How long one step of an engine takes, operator by operator.

A step is one pass of the model over the tokens that the scheduler chose: one token of each
sequence that decodes, and chunks of prompts.  Each operator takes the larger of the time of its
arithmetic and of its memory traffic (Williams, Waterman and Patterson, Roofline, CACM 52 (2009)
65), both at the rates of `perf_efficiency`; operators follow each other, so terms add up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from firsttoken.serving import perf_efficiency as constants
from firsttoken.serving import perf_weights as weights
from firsttoken.serving.perf_efficiency import NONE, RATES, Corrections, Rates
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
    launch : fixed costs of the kernels; overhead : host work.
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


class Work(NamedTuple):
    """What a step does; each a number or f8[n].

    Attributes
    ----------
    tokens : all tokens, over the data ranks together; own : those of the busiest data rank.
    sequences : sequences of which a token is sampled (those that decode, prompts that end).
    kv_tokens : tokens of KV that decoding sequences read, their sum.
    pairs : attended pairs of the chunks of prompts: sum of chunk x (done before + chunk / 2).
    queries : tokens of a decoding sequence that are verified side by side (speculation).
    """

    tokens: Any
    own: Any
    sequences: Any
    kv_tokens: Any
    pairs: Any
    queries: Any


def step_seconds(terms: Terms) -> Floats:
    """Seconds of a step, f8[n]: its terms one after the other."""
    return np.asarray(sum(np.asarray(term, dtype=float) for term in terms))


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
    rates: Rates = RATES,
    busiest: Numbers | None = None,
    queries: Numbers = 1.0,
) -> Terms:
    """Seconds of one step of a replica by operator, arrays broadcast.

    Parameters
    ----------
    tokens, sequences, kv_tokens, pairs, queries : what the step does, see `Work`.
    corrections : factors on the terms; rates : constants of the operators.
    overhead : s of host work of the step.
    busiest : tokens of the busiest data rank; without it they are spread evenly.
    """
    all_tokens = np.maximum(np.asarray(tokens, dtype=float), 1e-9)
    own = all_tokens / layout.data if busiest is None else np.maximum(busiest, 1e-9)
    work = Work(
        all_tokens,
        own,
        np.asarray(sequences),
        np.asarray(kv_tokens),
        np.asarray(pairs),
        np.asarray(queries),
    )
    a, h, factor = architecture, hardware, corrections
    return Terms(
        dense=factor.dense * _dense(a, h, layout, work, rates),
        experts=factor.experts * _experts(a, h, layout, work, rates),
        decode=factor.decode * _decode(a, h, layout, work, rates),
        prefill=factor.prefill * _prefill(a, h, layout, work, rates),
        elementwise=factor.elementwise * _elementwise(a, h, layout, work, rates),
        head=factor.head * _head(a, h, layout, work, rates),
        reduce=factor.reduce * _reduce(a, h, layout, work, rates),
        exchange=factor.exchange * _exchange(a, h, layout, work, rates),
        launch=factor.launch * _launch(a, work, rates),
        overhead=factor.overhead * np.asarray(overhead),
    )


def matrix_rate(hardware: Hardware, bits: Numbers, rates: Rates = RATES) -> Any:
    """FLOP/s that large matrix products with operands of `bits` reach, f8[n].

    Operands narrower than the hardware multiplies are widened: FP4 runs as FP8, then as BF16.
    """
    wide = np.asarray(hardware.bf16) * rates.matrix_16
    byte = np.where(np.asarray(hardware.fp8) > 0, hardware.fp8 * rates.matrix_8, wide)
    half = np.where(np.asarray(hardware.fp4) > 0, hardware.fp4 * rates.matrix_4, byte)
    width = np.asarray(bits)
    return np.where(width > 9.0, wide, np.where(width > 5.5, byte, half))


def product_seconds(flops: Any, traffic: Any, filled: Any, peak: Any, bandwidth: Any) -> Any:
    """Seconds of matrix products: the larger of arithmetic and traffic, rounded off between.

    Parameters
    ----------
    flops, traffic : FLOP and bytes.
    filled : share of `peak` that products of these shapes reach (`filling`).
    peak, bandwidth : FLOP/s and bytes/s reached by large products.
    """
    work = flops / (peak * np.maximum(filled, 1e-3))
    read = traffic / bandwidth
    return np.cbrt(work**3 + read**3)


def filling(rows: Any, columns: Any, rates: Rates = RATES) -> Any:
    """Share of the rate of large products that a product of rows x columns reaches, f8[n].

    Small results fill few tiles: each dimension counts with x / (x + half).
    """
    return rows / (rows + rates.rows) * columns / (columns + rates.columns)


def experts_hit(experts: Numbers, active: Numbers, tokens: Numbers) -> Any:
    """Expected number of experts that at least one of `tokens` uses, f8[n].

    Each token picks `active` of `experts` without regard to the others: E (1 - (1 - k / E)^T).
    """
    known = np.maximum(experts, 1.0)
    share = np.minimum(active / known, 1.0 - 1e-12)
    return known * -np.expm1(np.asarray(tokens) * np.log1p(-share))


def imbalance(expert: Numbers, experts: Numbers, picks: Numbers, rates: Rates = RATES) -> Any:
    """Load of the busiest of `expert` ranks over the mean load, f8[n].

    The largest of n values with relative spread s is about 1 + s sqrt(2 ln n): s joins chance
    (picks of a rank are Poisson) and the popularity of a rank's experts.
    """
    ranks = np.maximum(expert, 1.0)
    held = np.maximum(experts / ranks, 1.0)
    spread = np.sqrt(ranks / np.maximum(picks, 1.0) + rates.skew**2 / held)
    return np.minimum(1.0 + spread * np.sqrt(2.0 * np.log(ranks)), ranks)


def reduce_seconds(size: Any, ranks: Numbers, hardware: Hardware, rates: Rates = RATES) -> Any:
    """Seconds of an all-reduce of `size` bytes over `ranks` GPUs, f8[n]; 0 for one.

    Ring or in-switch reduction: 2 (n - 1) / n of the bytes pass every link (Thakur, Rabenseifner
    and Gropp, 2005).  Beyond the NVLink domain the parts of a domain are reduced first.
    """
    within = np.minimum(ranks, hardware.domain)
    across = np.maximum(ranks / np.maximum(hardware.domain, 1.0), 1.0)
    inner = 2.0 * (within - 1.0) / within * size / (np.maximum(hardware.link, 1.0) * rates.link)
    outer = 2.0 * (across - 1.0) / across * (size / within)
    outer = outer / (np.maximum(hardware.network, 1.0) * rates.network)
    delay = np.where(np.asarray(ranks) > 1, rates.reduce + rates.reduce_rank * within, 0.0)
    return inner + outer + delay + np.where(across > 1, rates.network_delay, 0.0)


def exchange_seconds(
    size: Any, ranks: Numbers, hardware: Hardware, rates: Rates = RATES, gathered: Any = 1.0
) -> Any:
    """Seconds of an all-to-all in which each GPU sends `size` bytes to `ranks`, f8[n].

    `gathered` is the share of the bytes for other domains that passes between domains (see
    `gathered_share`).
    """
    many = np.maximum(ranks, 1.0)
    beyond = np.maximum(1.0 - hardware.domain / many, 0.0)
    inside = np.maximum((np.minimum(ranks, hardware.domain) - 1.0) / many, 0.0)
    inner = size * inside / (np.maximum(hardware.link, 1.0) * rates.link)
    outer = size * gathered * beyond / (np.maximum(hardware.network, 1.0) * rates.network)
    delay = rates.exchange + np.where(beyond > 0, rates.network_delay, 0.0)
    return np.where(np.asarray(ranks) > 1, np.maximum(inner, outer) + delay, 0.0)


def gathered_share(ranks: Numbers, hardware: Hardware, copies: Numbers) -> Any:
    """Share of the copies for other domains that pass between domains, f8[n].

    Where a token goes to several GPUs of a domain, it passes to the domain once and is handed on
    within it (DeepSeek-V3, arXiv:2412.19437, section 3.2.2; DeepEP's kernels for long steps).  Of
    D domains D (1 - (1 - 1 / D)^k) are expected to hold one of k experts.
    """
    domains = np.maximum(ranks / np.asarray(hardware.domain, dtype=float), 1.0)
    some = np.maximum(copies, 1.0)
    return np.minimum(domains * (1.0 - (1.0 - 1.0 / domains) ** some) / some, 1.0)


def _dense(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Projections, dense feed-forward layers and shared experts of a rank's tokens."""
    n = weights.counts(a)
    held = (n.attention + n.dense) / layout.tensor
    columns = held / np.maximum(a.layers, 1.0) / np.maximum(a.hidden, 1.0) / 4.0
    return product_seconds(
        2.0 * held * work.own,
        held * layout.weight_bits / 8.0,
        filling(work.own, columns, rates),
        matrix_rate(h, np.maximum(layout.compute_bits, layout.weight_bits), rates),
        h.bandwidth * rates.memory,
    )


def _experts(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Grouped products of the busiest rank: it reads the experts that are hit."""
    n = weights.counts(a)
    ranks = layout.expert * layout.expert_tensor
    picks = work.tokens * a.active
    busy = imbalance(layout.expert, a.experts, picks, rates)
    alike = 1.0 + rates.hot * np.maximum(work.tokens - 1.0, 0.0)
    hit = experts_hit(a.experts, a.active, alike)
    hit = hit / np.maximum(a.experts, 1.0)
    rows = np.maximum(picks / np.maximum(a.experts * hit, 1e-9), 1.0)
    columns = np.maximum(2.0 * a.expert_ffn / layout.expert_tensor, 1.0)
    seconds = product_seconds(
        2.0 * n.active_experts * work.tokens / ranks * busy,
        n.experts / ranks * np.minimum(hit * busy, 1.0) * layout.expert_bits / 8.0,
        filling(rows, columns, rates),
        matrix_rate(h, layout.compute_bits, rates) * rates.grouped,
        h.bandwidth * rates.memory_experts,
    )
    return np.where(np.asarray(a.experts) > 0, seconds, 0.0)


def _decode(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Attention of decoding sequences: their KV is read once, MLA in its absorbed form."""
    context = work.kv_tokens / np.maximum(work.sequences, 1e-9)
    read = weights.kv_rank_bytes(a, layout, context) * layout.pipeline
    held = work.kv_tokens / layout.data
    full = a.layers * (1.0 - a.linear)
    seen = full * (1.0 - a.windowed * (1.0 - weights.window_share(a, context)))
    latent = np.asarray(a.kv_rank) > 0
    width = np.where(latent, 2.0 * a.kv_rank + a.rope_size, a.head_size + a.value_size)
    flops = 2.0 * seen * a.heads / layout.tensor * width * held * work.queries
    narrow = (np.asarray(layout.kv_bits) < 9.0) & (np.asarray(h.fp8) > 0)
    peak = h.bf16 * rates.attention_decode * np.where(narrow, constants.NARROW_KV, 1.0)
    seconds = np.maximum(held * read / (h.bandwidth * rates.memory_kv), flops / peak)
    state = 2.0 * weights.state_bytes(a) / layout.tensor * work.sequences / layout.data
    return seconds + state / (h.bandwidth * rates.memory_kv)


def _prefill(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Attention of chunks of prompts; a window limits the pairs of its layers."""
    each = work.pairs / work.tokens
    share = weights.window_share(a, 2.0 * each)
    flops = weights.pair_flops(a) * (1.0 - a.windowed * (1.0 - share)) * work.pairs
    split = layout.tensor * work.tokens / work.own
    return flops / split / (h.bf16 * rates.attention_prefill)


def _elementwise(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Norms, activations and quantisation: the residual stream passes the memory."""
    wide = a.hidden * 2.0 * rates.elementwise * work.own
    ranks = np.maximum(layout.expert_tensor * layout.expert, 1.0)
    picked = np.where(np.asarray(a.experts) > 0, a.active * a.hidden * 4.0 * work.tokens, 0.0)
    return a.layers * (wide + picked / ranks) / (h.bandwidth * rates.memory)


def _head(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Output head in BF16 and sampling over the vocabulary."""
    own = work.sequences * work.queries / layout.data
    table = weights.counts(a).head / layout.tensor
    seconds = product_seconds(
        2.0 * table * own,
        table * weights.EMBEDDING_BITS / 8.0,
        filling(np.maximum(own, 1.0), a.vocabulary / layout.tensor, rates),
        matrix_rate(h, 16.0, rates),
        h.bandwidth * rates.memory,
    )
    logits = own * a.vocabulary * 4.0 * 4.0 / (h.bandwidth * rates.memory)
    return np.where(own > 0, seconds + logits, 0.0)


def _reduce(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Two all-reduces a layer over the tensor ranks; one where experts exchange instead."""
    spread = np.asarray(layout.data) > 1
    times = 2.0 * a.layers - np.where(spread, weights.moe_layers(a), 0.0)
    return times * reduce_seconds(work.own * a.hidden * 2.0, layout.tensor, h, rates)


def _exchange(a: Architecture, h: Hardware, layout: Layout, work: Work, rates: Rates) -> Any:
    """Dispatch in the operands' width and combine in BF16 where attention is data parallel."""
    ranks = layout.tensor * layout.data
    sent = work.own / layout.tensor * np.minimum(a.active, ranks) * a.hidden
    narrow = np.minimum(np.asarray(layout.compute_bits) / 8.0, 2.0)
    # short steps take kernels of low latency, which send each copy by itself
    together = gathered_share(ranks, h, np.minimum(a.active, ranks))
    gathered = np.where(work.own > constants.GRAPH, together, 1.0)
    both = exchange_seconds(sent * narrow, ranks, h, rates, gathered)
    both = both + exchange_seconds(sent * 2.0, ranks, h, rates, gathered)
    sparse = np.where(np.asarray(layout.data) > 1, weights.moe_layers(a) * both, 0.0)
    stages = np.asarray(layout.pipeline) - 1.0
    passed = work.own * a.hidden * 2.0 / (np.maximum(h.link, 1.0) * rates.link) + rates.exchange
    return sparse + stages * passed


def kernels(a: Architecture) -> Any:
    """Kernels of a step, f8[n]: counted once for each layer, by its kind."""
    sparse = weights.moe_layers(a)
    each = constants.KERNELS_ATTENTION + a.linear * constants.KERNELS_LINEAR
    each = each + np.where(np.asarray(a.kv_rank) > 0, constants.KERNELS_LATENT, 0.0)
    expert = constants.KERNELS_EXPERTS + np.minimum(a.shared, 1.0) * constants.KERNELS_SHARED
    return a.layers * each + sparse * expert + (a.layers - sparse) * constants.KERNELS_DENSE


def _launch(a: Architecture, work: Work, rates: Rates) -> Any:
    """Fixed costs of kernels, one after the other; more in steps too long for CUDA graphs."""
    eager = np.where(work.own > constants.GRAPH, rates.eager, 0.0)
    return kernels(a) * (rates.kernel + eager)
