"""Steady state of a deployment: time to first token, time per output token, tokens per second.

The load is a closed loop: `concurrency` requests are always in flight, each with `isl` tokens of
prompt and `osl` of output; when one ends the next begins (how public benchmarks of engines load
them).  In one cycle of a request - its whole life - every other request is prefilled once too, so
its decoding pays for all prefills:

    life = osl x t_decode + concurrency x t_prefill

with the prefill of a chunk costing what its step takes longer than a step without (mixed steps,
Agrawal et al., Sarathi-Serve, OSDI 2024) or a step of its own.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.perf_efficiency import GENERIC, NONE, Corrections, Engine
from firsttoken.serving.perf_memory import kv_capacity, replica_gpus
from firsttoken.serving.perf_step import step_seconds, step_terms
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, Numbers

ROUNDS: Final = 30
"""Rounds of the fixed point; it halves its distance each round."""


class Point(NamedTuple):
    """Operating point of one replica (or one disaggregated deployment); each f8[n].

    Attributes
    ----------
    ttft, tpot : mean s to the first token, and between the following ones.
    e2e : mean s of a request: ttft + tpot x (osl - 1).
    tokens : output tokens a second.
    per_gpu : output tokens a second and GPU.
    per_user : output tokens a second that one request sees: 1 / tpot.
    running : sequences that decode at a time.
    fits : whether weights and at least one request fit into memory.
    """

    ttft: Floats
    tpot: Floats
    e2e: Floats
    tokens: Floats
    per_gpu: Floats
    per_user: Floats
    running: Floats
    fits: Floats


def aggregated_point(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    isl: Numbers,
    osl: Numbers,
    concurrency: Numbers,
    *,
    engine: Engine = GENERIC,
    corrections: Corrections = NONE,
    cached: Numbers = 0.0,
    accepted: Numbers = 0.0,
) -> Point:
    """Steady state of one replica that both prefills and decodes, arrays broadcast.

    Parameters
    ----------
    isl, osl : tokens of prompt and of output.
    concurrency : requests in flight at this replica.
    engine : how it schedules; corrections : factors on the terms.
    cached : share of the prompt that is found in the prefix cache.
    accepted : drafted tokens that are accepted in a step (speculative decoding; 0: none).
    """
    isl, osl, users = (np.asarray(x, dtype=float) for x in (isl, osl, concurrency))
    fresh = np.maximum(isl * (1.0 - np.asarray(cached)), 1.0)
    room = kv_capacity(architecture, hardware, layout, isl + osl / 2.0, users)
    most = np.maximum(np.floor(room / (isl + osl / 2.0)), 1.0)
    served = np.minimum(users, most)
    piece, count = chunks(fresh, isl - fresh, engine)
    running = served * 0.9
    ttft = life = tpot = np.zeros(1)
    for _ in range(ROUNDS):
        kv = running * (isl + osl / 2.0)
        plain = step_seconds(
            step_terms(
                architecture,
                hardware,
                layout,
                running * (1.0 + accepted),
                running,
                kv,
                0.0,
                corrections,
                engine.overhead,
            )
        )
        beside = np.asarray(engine.mixed) * running
        step = step_seconds(
            step_terms(
                architecture,
                hardware,
                layout,
                piece.tokens + beside,
                1.0 + beside,
                beside * (isl + osl / 2.0),
                piece.pairs,
                corrections,
                engine.overhead,
            )
        )
        extra = np.where(np.asarray(engine.mixed) > 0, np.maximum(step - plain, 0.0), step)
        steps = (osl - 1.0) / (1.0 + np.asarray(accepted))
        own = count * step
        busy = served * count * extra
        life = np.maximum(own + steps * plain + busy, busy + own)
        load = np.minimum(busy / life, 0.98)
        queue = 0.5 * load / (1.0 - load) * own * (1.0 - 1.0 / np.maximum(served, 1.0))
        queue = np.minimum(queue, 0.5 * (served - 1.0) * own)
        ttft = engine.request + 0.5 * plain + own + np.asarray(corrections.wait) * queue
        tpot = np.maximum(life - ttft, steps * plain) / np.maximum(osl - 1.0, 1.0)
        life = ttft + tpot * (osl - 1.0)
        target = served * np.clip(1.0 - ttft / life, 0.02, 1.0)
        running = 0.5 * (running + target)
    waiting = life * (users - served) / np.maximum(served, 1.0)
    first = ttft + waiting
    return _point(layout, first, tpot, osl, served / life, running, room >= isl + osl)


class Piece(NamedTuple):
    """A step of prefill: its tokens and attended pairs, f8[n]."""

    tokens: Floats
    pairs: Floats


def chunks(fresh: Any, before: Any, engine: Engine) -> tuple[Piece, Any]:
    """Mean step of a prompt's prefill, and how many it takes.

    `fresh` tokens follow `before` that the prefix cache holds; pairs of all steps add up to
    fresh x (before + fresh / 2).
    """
    count = np.maximum(np.ceil(fresh / np.asarray(engine.chunk)), 1.0)
    return Piece(fresh / count, fresh * (before + fresh / 2.0) / count), count


def disaggregated_point(
    architecture: Architecture,
    hardware: Hardware,
    prefill: Layout,
    decode: Layout,
    prefill_workers: Numbers,
    decode_workers: Numbers,
    isl: Numbers,
    osl: Numbers,
    concurrency: Numbers,
    *,
    engine: Engine = GENERIC,
    corrections: Corrections = NONE,
    cached: Numbers = 0.0,
    accepted: Numbers = 0.0,
) -> Point:
    """Steady state of pools that prefill and decode apart (DistServe, OSDI 2024).

    `concurrency` counts the requests in flight over both pools.  Waiting for prefill is that of
    a closed queue of `prefill_workers` servers; decoding runs without interference.
    """
    isl, osl, users = (np.asarray(x, dtype=float) for x in (isl, osl, concurrency))
    workers, pools = np.asarray(prefill_workers, float), np.asarray(decode_workers, float)
    fresh = np.maximum(isl * (1.0 - np.asarray(cached)), 1.0)
    piece, count = chunks(fresh, isl - fresh, engine)
    step = step_seconds(
        step_terms(
            architecture,
            hardware,
            prefill,
            piece.tokens * prefill.data,
            prefill.data,
            0.0,
            piece.pairs * prefill.data,
            corrections,
            engine.overhead,
        )
    )
    own = count * step
    servers = workers * prefill.data
    room = kv_capacity(architecture, hardware, decode, isl + osl / 2.0, users / pools)
    most = np.maximum(np.floor(room / (isl + osl / 2.0)), 1.0) * pools
    running = np.minimum(users * 0.9, most)
    ttft = tpot = life = np.zeros(1)
    for _ in range(ROUNDS):
        each = running / pools
        plain = step_seconds(
            step_terms(
                architecture,
                hardware,
                decode,
                each * (1.0 + accepted),
                each,
                each * (isl + osl / 2.0),
                0.0,
                corrections,
                engine.overhead,
            )
        )
        tpot = plain / (1.0 + np.asarray(accepted))
        decoding = tpot * (osl - 1.0)
        load = np.minimum(users / (own + decoding) * own / servers, 0.98)
        queue = 0.5 * load / (1.0 - load) * own / servers
        crowd = np.maximum(users * own / servers - decoding - own, 0.0)
        ttft = engine.request + own + np.maximum(np.asarray(corrections.wait) * queue, crowd)
        life = ttft + decoding
        target = np.minimum(users * np.clip(decoding / life, 0.02, 1.0), most)
        running = 0.5 * (running + target)
    full = np.maximum(users * tpot * (osl - 1.0) / most - life, 0.0)
    life = life + full
    gpus = replica_gpus(prefill) * workers + replica_gpus(decode) * pools
    return _made(gpus, ttft + full, tpot, osl, users / life, running, room >= isl + osl)


def _point(
    layout: Layout, ttft: Any, tpot: Any, osl: Any, rate: Any, running: Any, fits: Any
) -> Point:
    return _made(replica_gpus(layout), ttft, tpot, osl, rate, running, fits)


def _made(gpus: Any, ttft: Any, tpot: Any, osl: Any, rate: Any, running: Any, fits: Any) -> Point:
    """Point from requests a second and its latencies."""
    ttft, tpot, output, gpus, running, fits = np.broadcast_arrays(
        ttft, tpot, rate * osl, gpus, running, fits
    )
    whole = ttft + tpot * (osl - 1.0)
    return Point(ttft, tpot, whole, output, output / gpus, 1.0 / tpot, running, fits)
