"""The search for the configuration that serves most, costs least or takes least energy.

Every layout of a replica (tensor, pipeline, data and expert ranks), every number format, every
load, prefill together with decoding or on workers of its own: all are evaluated side by side by
the performance model, so the best is exact for the choices of `search_space`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.perf_efficiency import ACTIVATIONS, GENERIC, NONE, Corrections, Engine
from firsttoken.serving.search_point import Columns, Load, aggregated, disaggregated, fitting, join
from firsttoken.serving.search_space import Format, layouts, supported
from firsttoken.serving.system import Architecture, Floats, Hardware
from firsttoken.serving.tables import Tables

Ints = NDArray[np.int64]
Objective = Literal["throughput", "cost", "energy"]

MEGA = 1e6

NEARLY = 0.99
"""Configurations that come so near the best count as good; the smallest unit of them is chosen."""


@dataclass(frozen=True)
class Question:
    """What is to be served, on what, and what counts.

    Attributes
    ----------
    formats : number formats to choose from.
    prompt, output : mean tokens of a request.
    cached : share of the prompt that is found in the prefix cache.
    accepted, drafted : mean tokens of a step that are drafted and accepted, and all drafted
        (speculative decoding, multi-token prediction); 0: none.
    engine, corrections : of the performance model.
    software, release : the engine's name and release, for calibration; empty: not known.
    sequences : most requests in flight of a data rank.
    gpus : budget; inf: none.
    watts : budget of power at GPUs and hosts, W; inf: none.
    rate : requests/s that must be served; 0: as many as the budget can.
    ttft, tpot, e2e : goals, s; inf: none.
    share : share of the time in which they must hold under requests that arrive at random.
    apart : whether prefill may have workers of its own; together : whether it may not.
    rent : USD/s of a GPU without energy; energy : USD/J; pue : energy of the site over IT's.
    objective : what counts among those that reach the goals: most tokens (or fewest GPUs for
        `rate`), least USD or least J for a token.
    tables : measured operators in place of the physics; None: physics.
    """

    architecture: Architecture
    hardware: Hardware
    formats: tuple[Format, ...]
    prompt: float
    output: float
    cached: float = 0.0
    accepted: float = 0.0
    drafted: float = 0.0
    engine: Engine = GENERIC
    corrections: Corrections = NONE
    software: str = ""
    release: str = ""
    sequences: float = math.inf
    gpus: float = math.inf
    watts: float = math.inf
    rate: float = 0.0
    ttft: float = math.inf
    tpot: float = math.inf
    e2e: float = math.inf
    share: float = 0.5
    apart: bool = True
    together: bool = True
    rent: float = 0.0
    energy: float = 0.0
    pue: float = 1.0
    objective: Objective = "throughput"
    tables: Tables | None = None

    @property
    def load(self) -> Load:
        """The part that configurations are evaluated with."""
        return Load(
            self.architecture,
            self.hardware,
            self.prompt,
            self.output,
            self.cached,
            self.accepted,
            self.drafted,
            self.engine,
            self.corrections,
            self.sequences,
            NormalDist().inv_cdf(min(max(self.share, 0.5), 0.9999)),
            self.tables,
        )

    @property
    def most(self) -> float:
        """GPUs that both budgets allow, those of power at rest."""
        least = float(self.hardware.idle) + float(self.hardware.host)
        return float(min(self.gpus, self.watts / max(least, 1e-9) + 1e-9))


@dataclass(frozen=True)
class Answer:
    """What the search found.

    Attributes
    ----------
    question : as asked, with the formats that the hardware multiplies.
    columns : all configurations evaluated; n in all.
    units : how often each is deployed: as often as the budgets allow, or as `rate` needs, f8[n].
    total : output tokens/s of all units, f8[n].
    per_gpu, per_user : output tokens/s of a GPU, and that one user sees at the busiest time.
    watts : of a GPU with its share of the host, mean, f8[n].
    joules : of the site for an output token; dollars : USD for a million, f8[n].
    meets : whether goals, budgets and rate are met, b[n].
    frontier : rows of which none is better both per GPU and per user, by rising `per_user`; goals
        for the time to the first token hold, i8[m].
    best : row of the smallest unit that is as good as the best, or nearly (`NEARLY`), and meets
        all; -1: none does.
    reason : why none does, and what would help; empty if one does.
    layouts : layouts looked at; fitted : those that fit into memory.
    """

    question: Question
    columns: Columns
    units: Floats
    total: Floats
    per_gpu: Floats
    per_user: Floats
    watts: Floats
    joules: Floats
    dollars: Floats
    meets: NDArray[np.bool_]
    frontier: Ints
    best: int
    reason: str
    layouts: int
    fitted: int


def search(question: Question) -> Answer:
    """Evaluate all configurations and choose.

    Raises
    ------
    ValueError
        If lengths, budgets or goals are not positive, or neither kind of deployment is allowed.
    """
    _check(question)
    formats = tuple(supported(question.formats, question.hardware))
    question = _with(question, formats)
    load, most = question.load, question.most
    every = layouts(question.architecture, question.hardware, formats, most)
    found = fitting(load, every)
    parts = []
    if question.together:
        parts.append(aggregated(load, found))
    if question.apart:
        parts.append(disaggregated(load, found, most))
    columns = join(parts)
    return _answer(question, columns, len(every), len(found))


def _check(question: Question) -> None:
    for name in ("prompt", "output", "gpus", "watts", "ttft", "tpot", "e2e", "sequences"):
        if not getattr(question, name) > 0:
            raise ValueError(f"{name} must be above 0, not {getattr(question, name):g}")
    if not (question.apart or question.together):
        raise ValueError("prefill must be allowed with decoding, or apart from it")


def _with(question: Question, formats: Sequence[Format]) -> Question:
    from dataclasses import replace

    return replace(question, formats=tuple(formats))


def _answer(question: Question, columns: Columns, looked: int, fitted: int) -> Answer:
    hardware = question.hardware
    watts = columns.watts + float(hardware.host)
    per_gpu = columns.tokens / columns.gpus
    joules = watts * question.pue / per_gpu
    dollars = (question.rent / per_gpu + joules * question.energy) * MEGA
    allowed = np.minimum(question.gpus, question.watts / watts)
    fit = np.floor(allowed / columns.gpus + 1e-9)
    needed = np.ceil(question.rate * question.output / columns.tokens - 1e-9)
    units = needed if question.rate > 0 else np.where(np.isinf(fit), 1.0, fit)
    meets = (fit >= 1.0) & (units <= fit)
    for name in ("ttft", "tpot", "e2e"):
        meets &= getattr(columns, name) <= getattr(question, name)
    total = units * columns.tokens
    score = {
        "throughput": units * columns.gpus if question.rate > 0 else 1.0 / np.maximum(total, 1e-9),
        "cost": dollars,
        "energy": joules,
    }[question.objective]
    best = _chosen(columns, np.flatnonzero(meets), score) if meets.any() else -1
    seen = np.flatnonzero((fit >= 1.0) & (columns.ttft <= question.ttft))
    front = seen[pareto(per_gpu[seen], 1.0 / columns.tpot[seen])]
    answer = Answer(
        question,
        columns,
        units,
        total,
        per_gpu,
        1.0 / columns.tpot,
        watts,
        joules,
        dollars,
        meets,
        front,
        best,
        "",
        looked,
        fitted,
    )
    return answer if best >= 0 else _explained(answer)


def _chosen(columns: Columns, rows: Ints, score: Floats) -> int:
    """Of the rows with nearly the least score, the smallest unit, and the fastest for a user."""
    good = rows[score[rows] * NEARLY <= np.min(score[rows])]
    return int(good[np.lexsort((columns.tpot[good], columns.gpus[good]))[0]])


def pareto(first: Floats, second: Floats) -> Ints:
    """Rows of which none is at least as large in both and larger in one, by rising `second`."""
    order = np.lexsort((-first, -second))
    sorted_first = first[order]
    above = np.r_[-np.inf, np.maximum.accumulate(sorted_first)[:-1]] if len(order) else order
    return np.asarray(order[sorted_first > above][::-1], dtype=np.int64)


def _explained(answer: Answer) -> Answer:
    from dataclasses import replace

    return replace(answer, reason=_reason(answer))


def _reason(answer: Answer) -> str:
    """Why no configuration meets all, and what would."""
    question, columns = answer.question, answer.columns
    if not question.formats:
        return "the GPU multiplies none of the number formats; allow bf16"
    if answer.fitted == 0 and question.tables is not None and question.tables.why():
        return f"of the layouts that fit, the tables hold none: {question.tables.why()}"
    if answer.fitted == 0:
        return _too_large(question)
    fit = np.minimum(question.gpus, question.watts / answer.watts) >= columns.gpus
    if not fit.any():
        least = float(np.min(answer.watts * columns.gpus))
        return f"the power does not suffice for one replica: it takes {least / 1e3:.1f} kW"
    for name, said in (
        ("ttft", "time to the first token"),
        ("tpot", "time per output token"),
        ("e2e", "time of a request"),
    ):
        reached, wanted = float(np.min(getattr(columns, name)[fit])), getattr(question, name)
        if reached > wanted:
            return (
                f"no configuration reaches a {said} of {wanted * 1e3:.4g} ms; the best has "
                f"{reached * 1e3:.4g} ms: relax {name}, shorten prompts, or allow other formats "
                f"or faster GPUs"
            )
    both = fit & (columns.ttft <= question.ttft) & (columns.tpot <= question.tpot)
    both &= columns.e2e <= question.e2e
    if not both.any():
        near = fit & (columns.ttft <= question.ttft)
        return (
            "the goals can be reached one by one, not together: with its goal for ttft, tpot is "
            f"at least {float(np.min(columns.tpot[near])) * 1e3:.4g} ms"
        )
    each = columns.gpus[both] / columns.tokens[both]
    needed = question.rate * question.output * float(np.min(each))
    return (
        f"the budget does not suffice for {question.rate:g} requests/s within the goals: that "
        f"takes about {math.ceil(needed)} GPUs"
    )


def _too_large(question: Question) -> str:
    """What memory the smallest format of the weights needs."""
    n = weights.counts(question.architecture)
    dense = float(np.asarray(n.total - n.experts - n.embedding))
    held = min(
        dense * form.weights + float(np.asarray(n.experts)) * form.experts
        for form in question.formats
    )
    held = (held + float(np.asarray(n.embedding)) * weights.EMBEDDING_BITS) / 8.0
    usable = float(question.hardware.memory) * (1.0 - ACTIVATIONS)
    return (
        f"the model does not fit: its weights take {held / 1e9:.0f} GB and a request some more, "
        f"{question.most:.0f} GPUs leave {question.most * usable / 1e9:.0f} GB; give at least "
        f"{math.ceil(1.1 * held / usable)} GPUs, GPUs with more memory, or narrower formats"
    )
