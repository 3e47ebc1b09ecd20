"""Services and their inputs as the arrays that the fluid engine works with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from firsttoken.kernel.streams import entity_key
from firsttoken.serving.factory_system import (
    Class,
    Classes,
    Factory,
    Floats,
    Inputs,
    Ints,
    Pool,
    Pools,
    Service,
    Services,
    System,
)
from firsttoken.serving.factory_tables import (
    WEIGHTS,
    batch_grid,
    extra_table,
    fill_table,
    gamma_table,
    prompts_of,
)
from firsttoken.twin.findings import Finding, Findings

LAW: Final = (
    "overhead",
    "kv_second",
    "pair_second",
    "energy_step",
    "kv_joule",
    "pair_joule",
    "idle",
    "limit",
    "kv_tokens",
)


def compile_factory(services: Sequence[Service], inputs: Inputs, dt: float = 1.0) -> System:
    """Compile a factory.

    Parameters
    ----------
    services : that share nothing but the power they take.
    inputs : by tick, with rows as `Inputs` says.
    dt : s of a tick; sequences that live shorter are still counted exactly.

    Raises
    ------
    TwinError
        Naming what is wrong: a request that no replica can hold, a chunk smaller than the batch,
        a rate that is negative or not a number, rows of inputs that do not fit.
    """
    wrong = Findings()
    pools = pool_rows(services)
    classes = [(s, kind) for s, service in enumerate(services) for kind in by_priority(service)]
    _check_services(services, wrong)
    _check_inputs(inputs, len(classes), len(pools), wrong)
    wrong.raise_if_errors()
    names = tuple(f"{services[s].name}.{kind.name}" for s, kind in classes)
    arrays = _pools(pools)
    prefill = _prefill_rows(services)
    factory = Factory(
        pools=arrays,
        classes=_classes(services, classes, pools, arrays.batch, prefill),
        services=_services(services, prefill),
        inputs=Inputs(*(np.ascontiguousarray(part, dtype=float) for part in inputs)),
        gamma=gamma_table(),
        dt=float(dt),
        keys=np.array([entity_key(f"serving.{name}.arrivals") for name in names]),
    )
    return System(tuple(service.name for service in services), names, factory)


def by_priority(service: Service) -> list[Class]:
    """Classes of a service in the order of their rows: higher priority first."""
    return sorted(service.classes, key=lambda kind: -kind.priority)


def pool_rows(services: Sequence[Service]) -> list[Pool]:
    """Pools in the order of their rows: those of all services, then those that only prefill."""
    return [service.pool for service in services] + [
        service.prefill for service in services if service.prefill is not None
    ]


def _prefill_rows(services: Sequence[Service]) -> list[int]:
    rows, free = [], len(services)
    for s, service in enumerate(services):
        rows.append(s if service.prefill is None else free)
        free += service.prefill is not None
    return rows


def _pools(pools: list[Pool]) -> Pools:
    laws = [pool.law for pool in pools]
    none = (np.nan,) * 6
    return Pools(
        first=np.cumsum([0, *(len(law.tokens) for law in laws)]).astype(np.int64),
        tokens=np.concatenate([law.tokens for law in laws]).astype(float),
        seconds=np.concatenate([law.seconds for law in laws]).astype(float),
        joules=np.concatenate([law.joules for law in laws]).astype(float),
        **{name: np.array([getattr(law, name) for law in laws], dtype=float) for name in LAW[:-1]},
        kv_tokens=np.array([pool.law.kv_tokens for pool in pools], dtype=float),
        chunk=np.array([pool.chunk for pool in pools], dtype=float),
        sequences=np.array([_most(pool) for pool in pools]),
        imbalance=np.array([pool.imbalance for pool in pools], dtype=float),
        width=np.array([pool.width for pool in pools], dtype=float),
        progress=np.array([pool.progress for pool in pools], dtype=float),
        exponent=np.array([pool.exponent for pool in pools], dtype=float),
        scaling=np.array([pool.scaling or none for pool in pools], dtype=float),
        batch=np.array([batch_grid(_most(pool)) for pool in pools]),
    )


def _most(pool: Pool) -> float:
    """Most sequences of a batch: no more than leave a token of the chunk to prefill."""
    return float(min(pool.sequences, (pool.chunk - 1.0) / pool.width))


def _classes(
    services: Sequence[Service],
    classes: list[tuple[int, Class]],
    pools: list[Pool],
    batch: Floats,
    prefill: list[int],
) -> Classes:
    bins = [kind.lengths for _, kind in classes]
    queues: dict[tuple[int, int], int] = {}
    for s, kind in classes:
        queues.setdefault((s, kind.priority), len(queues))
    means, tables = _means_and_tables(services, classes, pools, batch, prefill)
    columns = np.array(means).T
    first = np.cumsum([0, *(len(part.share) for part in bins)]).astype(np.int64)
    share = np.concatenate([part.share / part.share.sum() for part in bins])
    prompt = np.concatenate([part.prompt for part in bins])
    groups = np.concatenate(
        [
            np.searchsorted(services[s].corrections.prompts, kind.lengths.prompt)
            for s, kind in classes
        ]
    )
    spreads = np.concatenate([service.corrections.ttft for service in services])
    rest, long = delay_ratios(spreads, first, share, prompt, groups)
    return Classes(
        service=np.array([s for s, _ in classes]),
        queue=np.array([queues[s, kind.priority] for s, kind in classes]),
        first=first,
        prompt=prompt,
        cached=np.concatenate([part.cached for part in bins]),
        output=np.concatenate([part.output for part in bins]),
        share=share,
        mean_prompt=columns[0],
        mean_context=columns[1],
        mean_output=columns[2],
        pairs=columns[3],
        transfer=columns[4],
        dispersion=np.array([kind.dispersion for _, kind in classes], dtype=float),
        goals=np.array([(kind.ttft, kind.tpot, kind.e2e) for _, kind in classes], dtype=float),
        fill=np.array([table[0] for table in tables]),
        fill_joules=np.array([table[1] for table in tables]),
        extra=np.array([table[2] for table in tables]),
        own=np.array([table[3] for table in tables]),
        output_group=np.concatenate(
            [
                np.searchsorted(services[s].corrections.outputs, kind.lengths.output)
                for s, kind in classes
            ]
        ),
        prompt_group=groups,
        second=np.add.reduceat(share * prompt**2, first[:-1]),
        rest_ratio=rest,
        own_ratio=long,
    )


def _means_and_tables(
    services: Sequence[Service],
    classes: list[tuple[int, Class]],
    pools: list[Pool],
    batch: Floats,
    prefill: list[int],
) -> tuple[list[tuple[float, ...]], list[tuple[Floats, ...]]]:
    """Means of each class (prompt, context, answer, pairs a token, transfer), and its tables."""
    means: list[tuple[float, ...]] = []
    tables: list[tuple[Floats, ...]] = []
    for s, kind in classes:
        law, chunk = pools[prefill[s]].law, pools[prefill[s]].chunk
        grid = batch[prefill[s]] * pools[prefill[s]].width
        found = kind.lengths
        asked = float(found.share @ found.prompt)
        context = float(found.share @ (found.prompt + found.cached))
        rows = prompts_of(found)
        pairs = rows[:, 0] * (rows[:, 1] + 0.5 * rows[:, 0])
        moved = 0.0 if services[s].prefill is None else context * law.kv_bytes / law.link
        output = float(found.share @ found.output)
        means.append(
            (asked, context, output, float(pairs.sum() / max(rows[:, 0].sum(), 1.0)), moved)
        )
        extra, own = extra_table(law, chunk, grid, rows[:, 0], pairs)
        tables.append((*fill_table(law, chunk, grid, rows[:, 0]), extra, own))
    return means, tables


def delay_ratios(
    ttft: Floats, first: Ints, share: Floats, prompt: Floats, group: Ints
) -> tuple[Floats, Floats]:
    """Mean TTFT over the law's by class and row of the corrections, f8[C, L] each.

    Parameters
    ----------
    ttft : of the corrections, [L, GROUPS, QUANTS]; others : of the bins, see `Classes`.

    Returns
    -------
    tuple
        In the mean over requests, and over the computed tokens of their prompts; 1: not known.
    """
    mean = np.nan_to_num(ttft @ np.array(WEIGHTS), nan=1.0)
    many = np.add.reduceat(share * mean[:, group], first[:-1], axis=1)
    tokens = np.add.reduceat(share * prompt, first[:-1])
    long = np.add.reduceat(share * prompt * mean[:, group], first[:-1], axis=1)
    return many.T.copy(), np.where(tokens > 0.0, long / np.maximum(tokens, 1e-300), many).T.copy()


def _services(services: Sequence[Service], prefill: list[int]) -> Services:
    first = np.cumsum([0, *(len(service.classes) for service in services)])
    queue = np.cumsum([0, *(len({kind.priority for kind in s.classes}) for s in services)])
    fixes = [service.corrections for service in services]
    return Services(
        first=first.astype(np.int64),
        queue=queue.astype(np.int64),
        decode=np.arange(len(services)),
        prefill=np.array(prefill),
        room=np.array([service.corrections.room for service in services]),
        context=np.array([_context(service) for service in services]),
        correction=np.cumsum([0, *(len(fix.load) for fix in fixes)]).astype(np.int64),
        load=np.concatenate([fix.load for fix in fixes]),
        pace=np.concatenate([fix.pace for fix in fixes]),
        tpot=np.concatenate([fix.tpot for fix in fixes]),
        ttft=np.concatenate([fix.ttft for fix in fixes]),
    )


def _context(service: Service) -> float:
    """Mean tokens of the whole prompts, over classes."""
    parts = [kind.lengths for kind in service.classes]
    return float(np.mean([part.share @ (part.prompt + part.cached) for part in parts]))


def _check_services(services: Sequence[Service], wrong: Findings) -> None:
    for service in services:
        path = f"serving.{service.name}"
        pools = [service.pool] + ([service.prefill] if service.prefill is not None else [])
        for pool in pools:
            if pool.chunk < 2.0:
                what = f"a step holds {pool.chunk:g} tokens"
                wrong.add(Finding(what, "prefill has no room", "raise `chunk`", path, "chunk"))
        for kind in service.classes:
            _check_class(service, kind, wrong, path)


def _check_class(service: Service, kind: Class, wrong: Findings, path: str) -> None:
    found = kind.lengths
    where = f"{path}.{kind.name}"
    numbers = np.concatenate(
        [found.prompt, found.cached, found.output, found.share, found.sample.ravel()]
    )
    if not len(found.share) or not np.isfinite(numbers).all() or (numbers < 0.0).any():
        what = "lengths of requests are missing, negative or not numbers"
        wrong.add(Finding(what, "", "give tokens of prompts and answers", where, "lengths"))
        return
    if (found.output < 1.0).any():
        what = "answers of less than one token"
        wrong.add(Finding(what, "a request yields at least one", "", where, "lengths"))
    largest = float((found.prompt + found.cached + found.output).max())
    room = service.pool.law.kv_tokens
    if largest > room:
        what = f"requests of {largest:.0f} tokens, while a replica's KV cache holds {room:.0f}"
        hint = "spread the model over more GPUs, or use fewer bits for weights or KV"
        wrong.add(Finding(what, "they could never be served", hint, where, "memory"))


def _check_inputs(inputs: Inputs, classes: int, pools: int, wrong: Findings) -> None:
    ticks = np.shape(inputs.rate)[-1] if np.ndim(inputs.rate) == 2 else -1
    for name, rows in zip(Inputs._fields, (classes, *(pools,) * 4), strict=True):
        part = np.asarray(getattr(inputs, name), dtype=float)
        if part.shape != (rows, ticks):
            what = f"`{name}` has shape {part.shape}, not ({rows}, {ticks})"
            wrong.add(Finding(what, "", "a row of every class or pool, a column a tick", "serving"))
        elif np.isnan(part).any() or (part < 0.0).any():
            tick = int(np.argwhere(~(part >= 0.0))[0][1])
            what = f"`{name}` is negative or not a number in tick {tick}"
            wrong.add(Finding(what, "", "check the series", "serving", "series"))
