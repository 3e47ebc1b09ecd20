"""Corrections of the fluid mode from runs of the request mode at some loads, and how far it is off.

A run of the request mode at a steady load says how long sequences really decode, and how TPOT and
TTFT of single requests spread.  The fluid law runs with the same arrivals and lengths; what it
misses is kept by load (see `factory_system.Corrections`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.factory_compile import by_priority, compile_factory
from firsttoken.serving.factory_simulate import FactoryResult, simulate, snapshot
from firsttoken.serving.factory_state import (
    ANSWERED,
    BY_TPOT,
    BY_TTFT,
    DECODED,
    DECODING,
    LOAD,
    PLAIN,
    STARTED,
    TOOK,
)
from firsttoken.serving.factory_system import (
    GROUPS,
    NONE,
    Corrections,
    Floats,
    Inputs,
    Ints,
    Pool,
    Service,
    System,
)
from firsttoken.serving.factory_tables import (
    WEIGHTS,
    cut_lengths,
    own_seconds,
)

LOADS: Final = (0.1, 0.3, 0.5, 0.7, 0.82, 0.9, 0.96, 1.02)
"""Loads of the runs, as shares of what can be served."""

OVERLOAD: Final = 1.4
"""Load of the run that says what can be served, over what the fluid law says."""

REQUESTS: Final = 4000
"""Requests of a run that count."""

LIVES: Final = 3.0
"""Mean lives of a request that a run goes on before requests count."""

FEWEST: Final = 40
"""Requests of a group that make a distribution of their own."""

SHORTEST, LONGEST = 30.0, 900.0
"""Least s that count in a run, most s of warm-up."""

ROUNDS: Final = 8
"""Most rounds in which paces are found."""

CLOSE: Final = 0.004
"""Relative error of decoding times at which paces are found."""

FIRM: Final = 0.8
"""Power of its error by which a pace is moved in a round."""

GROWN: Final = 50.0
"""Times the law's TTFT that are no spread any more."""


class Sample(NamedTuple):
    """What the request mode saw of single requests, in order of arrival.

    Attributes
    ----------
    arrival : f8[n], s; kind : f8[n], row of the class by `factory_compile.by_priority`.
    prompt, cached, output : f8[n], tokens, of the prompt all of them and those that were known.
    ttft, decode : f8[n], s to the first token, and from it to the last; NaN: not reached.
    made : f8[T], output tokens of all replicas by second.
    """

    arrival: Floats
    kind: Floats
    prompt: Floats
    cached: Floats
    output: Floats
    ttft: Floats
    decode: Floats
    made: Floats


Sampler = Callable[[float, float, int], Sample]
"""Runs the request mode of a service: requests/s, s, seed; the replicas are the sampler's."""


class Deviation(NamedTuple):
    """How far the fluid mode is from the request mode, relative to it.

    Attributes
    ----------
    tokens : of output tokens; tpot, p95 : of mean and 95th percentile of TPOT.
    """

    tokens: float
    tpot: float
    p95: float


def capacity(service: Service, ticks: int = 0) -> float:
    """Requests/s that one replica of each pool can serve for long, by the fluid law."""
    count = ticks or int(min(max(300.0, 12.0 * longest_life(service)), 6000.0))
    pools = [service.pool] if service.prefill is None else [service.pool, service.prefill]
    prompt = float(np.mean([kind.lengths.share @ kind.lengths.prompt for kind in service.classes]))
    first = service.prefill or service.pool
    full = first.law.overhead + float(np.interp(first.chunk, first.law.tokens, first.law.seconds))
    rate = 1.5 * first.chunk / full / max(prompt, 1.0) / len(service.classes)
    ones = np.ones((len(pools), count))
    rates = np.full((len(service.classes), count), rate)
    system = compile_factory([service], Inputs(rates, ones, ones, ones * np.inf, ones * 0.0))
    started = simulate(system, 1, 1, threads=1).rows[0, 0, :, STARTED]
    return float(started[-int(0.6 * count) :].mean())


def longest_life(service: Service) -> float:
    """Mean s of decoding in a full replica."""
    law, batch = service.pool.law, min(service.pool.sequences, service.pool.chunk)
    output = float(np.mean([kind.lengths.share @ kind.lengths.output for kind in service.classes]))
    read = min(law.kv_tokens, 1e12)
    step = law.overhead + float(np.interp(batch, law.tokens, law.seconds)) + law.kv_second * read
    return output * step / service.pool.progress


def calibrate(
    service: Service,
    sampler: Sampler,
    replicas: float,
    *,
    loads: Sequence[float] = LOADS,
    requests: int = REQUESTS,
    seed: int = 1,
) -> Corrections:
    """Corrections of a service.

    The first run is overloaded: it says what can be served, and what a full pool holds.  The
    others are at `loads` of that.

    Parameters
    ----------
    service : its own corrections are not read.
    sampler : the request mode with `replicas` replicas (of each pool).
    loads : of the runs, shares of the capacity; requests : that count in each.
    """
    life = longest_life(service)
    warm = float(np.ceil(min(LIVES * life + 5.0, LONGEST)))
    span = max(2.0 * life, SHORTEST)
    guess = capacity(service) * replicas

    def run(rate: float, number: int) -> Run | None:
        end = float(np.ceil(warm + max(requests / rate, span)))
        return _prepare(service, sampler(rate, end, seed + number), replicas, warm, end)

    full = run(OVERLOAD * guess, 0)
    if full is None:
        return NONE
    most = guess * full.tokens / max(full.fluid_tokens(), 1e-9)
    runs = [run(load * most, i + 1) for i, load in enumerate(loads)]
    return _fit(service, [part for part in runs if part is not None], full, replicas)


class Run(NamedTuple):
    """A run of the request mode, and the fluid mode with its arrivals and lengths.

    Attributes
    ----------
    found, warm, end : the sample, s at which counting begins and ends.
    system, state : the fluid mode at tick 0.
    step : s of decoding a token, mean over the tokens of the requests that ended.
    batch : sequences in decoding, mean; tokens : output tokens that were made.
    """

    found: Sample
    warm: float
    end: float
    system: System
    step: float
    batch: float
    tokens: float

    def follow(self, corrections: Corrections) -> FactoryResult:
        """The fluid mode with corrections, from the end of the warm-up on."""
        return _follow(corrected(self.system, corrections), self.warm)

    def fluid_tokens(self) -> float:
        """Output tokens that the fluid mode makes without corrections."""
        return float(self.follow(NONE).rows[0, 0, :, DECODED].sum())


def _prepare(
    service: Service, found: Sample, replicas: float, warm: float, end: float
) -> Run | None:
    ended = _ended(found, warm)
    if ended.sum() < FEWEST:
        return None
    system = followed(realised(service, found), found, replicas, end)
    step = float(found.decode[ended].sum() / (found.output[ended] - 1.0).sum())
    begun = found.arrival + np.where(np.isfinite(found.ttft), found.ttft, np.inf)
    last = begun + np.where(np.isfinite(found.decode), found.decode, np.inf)
    inside = np.clip(np.minimum(last, end) - np.maximum(begun, warm), 0.0, None)
    tokens = float(found.made[int(warm) : int(end)].sum())
    return Run(found, warm, end, system, step, float(inside.sum()) / (end - warm), tokens)


def _fit(service: Service, runs: list[Run], full: Run, replicas: float) -> Corrections:
    """Find paces and room with which the fluid mode decodes as many sequences as the runs do."""
    everyone = [*runs, full]
    load = np.linspace(1.0, 2.0, len(everyone))
    pace = np.ones(len(everyone))
    room = 1.0
    fix = NONE
    results: list[FactoryResult] = []
    for turn in range(ROUNDS):
        results = [run.follow(fix) for run in everyone]
        rows = [result.rows[0, 0] for result in results]
        weights = [np.maximum(row[:, DECODED], 1e-9) for row in rows]
        load = np.array(
            [float(r[:, LOAD] @ w / w.sum()) for r, w in zip(rows, weights, strict=True)]
        )
        steps = [float(r[:, TOOK].sum() / max(r[:, ANSWERED].sum(), 1e-9)) for r in rows]
        miss = np.array([run.step / step for run, step in zip(everyone, steps, strict=True)])
        # In overload it is what is held that sets the batch, and the pace what is served.
        held = full.batch / max(float(rows[-1][:, DECODING].mean()), 1e-9)
        miss[-1] = float(rows[-1][:, DECODED].sum()) / full.tokens * held
        if max(np.abs(miss - 1.0).max(), abs(held - 1.0)) < CLOSE:
            break
        if turn == ROUNDS - 1:
            break
        pace *= np.clip(miss, 0.5, 2.0) ** FIRM
        room *= min(max(held, 0.7), 1.4) ** FIRM
        fix = _corrections(load, pace, room)
    outputs, prompts = _cuts(full.found.output), _cuts(full.found.prompt - full.found.cached)
    kept = _rising(load)
    tpot: list[Floats] = []
    ttft: list[Floats] = []
    for run, result in zip(everyone, results, strict=True):
        tpot.append(_tpot(run, result, outputs))
        found = _ttft(service, run, result, replicas, prompts)
        # A queue that grows is the flow's, not a spread about it.
        ttft.append(ttft[-1] if ttft and found[:, -1].max() > GROWN else found)
    return Corrections(
        load[kept],
        pace[kept],
        room,
        np.array(tpot)[kept],
        np.array(ttft)[kept],
        outputs,
        prompts,
    )


def _corrections(load: Floats, pace: Floats, room: float) -> Corrections:
    """Corrections of pace and room alone."""
    kept = _rising(load)
    nothing = np.full((len(kept), *NONE.tpot.shape[1:]), np.nan)
    return NONE._replace(load=load[kept], pace=pace[kept], room=room, tpot=nothing, ttft=nothing)


def _rising(load: Floats) -> Ints:
    """Rows in the order of their load, those too close to the one before left out."""
    kept: list[int] = []
    for row in np.argsort(load, kind="stable"):
        if not kept or load[row] > load[kept[-1]] * 1.01:
            kept.append(int(row))
    return np.array(kept)


def corrected(system: System, corrections: Corrections) -> System:
    """A factory of one service with other corrections (their groups stay as compiled)."""
    services = system.factory.services._replace(
        room=np.array([corrections.room]),
        correction=np.array([0, len(corrections.load)]),
        load=corrections.load,
        pace=corrections.pace,
        tpot=corrections.tpot,
        ttft=corrections.ttft,
    )
    return system._replace(factory=system.factory._replace(services=services))


def _cuts(tokens: Floats) -> Floats:
    """Tokens at which groups of about equal size end."""
    return np.quantile(tokens, np.arange(1, GROUPS) / GROUPS)


def realised(service: Service, found: Sample) -> Service:
    """The service with the lengths of a sample."""
    kinds = []
    for row, kind in enumerate(by_priority(service)):
        mine = found.kind == row
        if not mine.any():
            kinds.append(kind)
            continue
        lengths = cut_lengths(found.prompt[mine], found.output[mine], found.cached[mine])
        kinds.append(kind._replace(lengths=lengths, dispersion=0.0))
    return service._replace(classes=tuple(kinds))


def followed(service: Service, found: Sample, replicas: float, end: float) -> System:
    """The fluid mode of a service with the arrivals of a sample, second by second."""
    ticks = int(end)
    rates = np.zeros((len(service.classes), ticks))
    for row in range(len(rates)):
        arrival = found.arrival[(found.kind == row) & (found.arrival < ticks)]
        rates[row] = np.bincount(arrival.astype(int), minlength=ticks)[:ticks]
    pools = 1 if service.prefill is None else 2
    ones = np.ones((pools, ticks))
    inputs = Inputs(rates, ones * replicas, ones, ones * np.inf, ones * 0.0)
    return compile_factory([service], inputs)


def _follow(system: System, warm: float) -> FactoryResult:
    state = snapshot(system, 1, 0, max(int(warm), 1))
    return simulate(system, 1, 1, initial_state=state, threads=1)


def _tpot(run: Run, result: FactoryResult, outputs: Floats) -> Floats:
    """Spread of TPOT over the mean step of the flow, by group of outputs."""
    found, ended = run.found, _ended(run.found, run.warm)
    rows = result.rows[0, 0]
    step = float(rows[:, TOOK].sum() / max(rows[:, ANSWERED].sum(), 1e-9))
    each = found.decode[ended] / (found.output[ended] - 1.0)
    return _groups(each / step, found.output[ended], outputs)


def _ttft(
    service: Service, run: Run, result: FactoryResult, replicas: float, prompts: Floats
) -> Floats:
    """Spread of TTFT over the law's mean for such a prompt, by group of prompts."""
    found = run.found
    pool: Pool = service.prefill or service.pool
    row = result.rows[0, 0].mean(axis=0)
    batch = 0.0 if service.prefill is not None else row[DECODING] / replicas
    first = np.isfinite(found.ttft) & (found.arrival >= run.warm)
    known = found.cached[first]
    computed = found.prompt[first] - known
    beside = pool.width * batch
    own = own_seconds(pool.law, pool.chunk, beside, computed, known, row[PLAIN])
    rest = float(result.mean(BY_TTFT)[0]) - float(own.mean())
    return _groups(found.ttft[first] / (own + max(rest, 0.0)), computed, prompts)


def _groups(ratio: Floats, tokens: Floats, cuts: Floats) -> Floats:
    """Quantiles of a ratio by group, [GROUPS, QUANTS]."""
    edges = np.concatenate([[0.0], np.cumsum(WEIGHTS)])
    middle = 0.5 * (edges[:-1] + edges[1:])
    group = np.searchsorted(cuts, tokens)
    found = np.empty((GROUPS, len(WEIGHTS)))
    for g in range(GROUPS):
        mine = ratio[group == g]
        mine = mine if len(mine) >= FEWEST else ratio
        found[g] = np.quantile(mine, middle)
    return found


def deviation(
    service: Service, found: Sample, replicas: float, warm: float, end: float
) -> Deviation:
    """How far the fluid mode, corrected as the service says, is from a run of the request mode."""
    result = _follow(followed(realised(service, found), found, replicas, end), warm)
    late = _ended(found, warm)
    real = found.decode[late] / (found.output[late] - 1.0)
    tokens = float(result.rows[0, 0, :, DECODED].sum())
    return Deviation(
        tokens / float(found.made[int(warm) : int(end)].sum()) - 1.0,
        float(result.mean(BY_TPOT)[0]) / float(real.mean()) - 1.0,
        float(result.quantile(BY_TPOT, 0.95)[0]) / float(np.quantile(real, 0.95)) - 1.0,
    )


def _ended(found: Sample, warm: float) -> NDArray[np.bool_]:
    """Which requests of more than one token ended after the warm-up."""
    with np.errstate(invalid="ignore"):
        late = found.arrival + found.ttft + found.decode >= warm
    return np.isfinite(found.decode) & (found.output >= 2.0) & late
