"""The plan of a token factory: the best configuration of each service, and the layouts to take."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving.perf_efficiency import ACTIVATIONS, Corrections
from firsttoken.serving.perf_speculation import accepted_tokens
from firsttoken.serving.physics import (
    architecture_of,
    engine_of,
    hardware_of,
    mean_lengths,
    most_gpus,
)
from firsttoken.serving.search import Answer, Question, search
from firsttoken.serving.search_kpi import Planned
from firsttoken.serving.search_space import Format
from firsttoken.serving.system import Layout
from firsttoken.twin.findings import InfeasibleError

Layouts = tuple[Layout, Layout | None]
"""Of the replicas that serve or decode, and of those that prefill."""


def plan_services(system: to.System) -> list[Planned]:
    """Plans of the services that ask for one, or have no layout.

    Raises
    ------
    InfeasibleError
        If no configuration reaches a service's goals within its budget.
    """
    drawn = fixed_parameters(system.parameters)
    return [
        Planned(system.name, service.name, _found(system, service, drawn))
        for service in system.services
        if service.asked or not _is_laid_out(service)
    ]


def layouts_of(system: to.System) -> list[Layouts]:
    """Layouts of all services: as declared, else the best of a search that is asked for.

    Where none is asked for it is the smallest replica that fits, meets the goals, and carries the
    service's mean rate on the GPUs it has (see `smallest`).

    Raises
    ------
    InfeasibleError
        If no layout reaches a service's goals.
    """
    drawn = fixed_parameters(system.parameters)
    return [_layouts(system, service, drawn) for service in system.services]


def _is_laid_out(service: to.Service) -> bool:
    rows = [service.pool, service.prefill]
    return all(row is None or row.layout is not None for row in rows)


def _layouts(system: to.System, service: to.Service, drawn: to.Floats) -> Layouts:
    own, prefill = service.pool.layout, service.prefill
    if own is not None and (prefill is None or prefill.layout is not None):
        return own, prefill.layout if prefill is not None else None
    answer = _found(system, service, drawn, apart=prefill is not None)
    columns, best = answer.columns, answer.best
    own = own or row_of(columns.layout, best)
    if prefill is None:
        return own, None
    return own, prefill.layout or row_of(columns.prefill, best)


def row_of(layout: Layout, row: int) -> Layout:
    """One of the layouts whose fields are f8[n]."""
    return Layout(*(float(np.asarray(field)[row]) for field in layout))


def _found(
    system: to.System, service: to.Service, drawn: to.Floats, apart: bool | None = None
) -> Answer:
    answer = search(question_of(system, service, drawn, apart))
    if answer.best < 0:
        path = f"serving.{system.name}.services.{service.name}"
        raise InfeasibleError(f"{path}: no configuration serves it: {answer.reason}")
    if service.asked:
        return answer
    most, rate = np.inf, sum(stream.mean for stream in service.streams)
    if service.pool.kind == to.REPLICAS:
        most = max(first_level(system, service.pool.number, drawn), 1.0)
    return replace(answer, best=smallest(answer, service, rate, most))


def smallest(answer: Answer, service: to.Service, rate: float, most: float) -> int:
    """Row of the smallest replica (or unit) that meets the goals and carries the requests.

    Of equal ones it is that with most tokens a GPU; if none carries them, the search's best.

    Parameters
    ----------
    rate : requests/s of the service; most : replicas that it may have.
    """
    columns = answer.columns
    good = answer.meets & _as_declared(columns.layout, service.pool.layout)
    if service.prefill is not None:
        good &= _as_declared(columns.prefill, service.prefill.layout)
    units = np.minimum(answer.units, most)
    rows = np.flatnonzero(good & (units * columns.tokens >= rate * answer.question.output))
    if not len(rows):
        return answer.best
    return int(rows[np.lexsort((-answer.per_gpu[rows], columns.gpus[rows]))[0]])


def _as_declared(found: Layout, declared: Layout | None) -> NDArray[np.bool_]:
    """Which of the layouts have the ranks that are declared; all if none are, or none have."""
    ranks = ("tensor", "pipeline", "data")
    same = np.ones(len(np.asarray(found.tensor)), dtype=bool)
    for name in ranks if declared is not None else ():
        same &= np.asarray(getattr(found, name)) == float(np.asarray(getattr(declared, name)))
    return same if same.any() else ~same


def question_of(
    system: to.System, service: to.Service, drawn: to.Floats, apart: bool | None = None
) -> Question:
    """What the search is asked, with every parameter at its mean.

    Parameters
    ----------
    apart : whether prefill has GPUs of its own; None: the search decides among what is allowed.
    """
    choices, gpu = service.choices, system.accelerators[service.pool.on]
    prompt, output, cached = mean_lengths(service, drawn)

    def number(row: int, otherwise: float) -> float:
        return float(drawn[row]) if row != to.NONE else otherwise

    engine, goals = service.engine, service.goals
    accepted = 0.0
    if engine.drafted:
        accepted = float(accepted_tokens(engine.drafted, drawn[engine.acceptance]))
    first = system.series.start[:-1]
    hardware = hardware_of(gpu, drawn)
    # the performance model leaves ACTIVATIONS of the memory free, the engine what it is told
    share = float(drawn[engine.memory]) / (1.0 - ACTIVATIONS)
    factor = 1.0 / float(drawn[engine.speed])
    faster = Corrections(*(factor for _ in Corrections._fields))._replace(wait=1.0)

    def level(series: int) -> float:
        """A series at its first knot."""
        return float(drawn[system.series.knot_value[first[series]]])

    return Question(
        architecture=architecture_of(service, drawn),
        hardware=hardware._replace(memory=hardware.memory * share),
        formats=tuple(Format(name, *bits) for name, bits in choices.bits.items()),
        prompt=prompt,
        output=output,
        cached=cached,
        accepted=accepted,
        drafted=float(engine.drafted),
        engine=engine_of(engine),
        corrections=faster,
        software=engine.name,
        release=engine.release,
        sequences=float(engine.sequences),
        gpus=number(choices.gpus, declared_gpus(system, service, drawn)),
        watts=number(choices.power, np.inf),
        rate=number(choices.rate, 0.0),
        ttft=number(goals.ttft, np.inf),
        tpot=number(goals.tpot, np.inf),
        e2e=number(goals.e2e, np.inf),
        share=float(drawn[goals.share]),
        apart=choices.apart if apart is None else apart,
        together=choices.together if apart is None else not apart,
        rent=level(gpu.rent),
        energy=level(system.energy_price),
        pue=level(system.pue),
        objective=cast("Literal['throughput', 'cost', 'energy']", choices.objective),
        tables=service.pool.tables,
    )


def first_level(system: to.System, series: int, drawn: to.Floats) -> float:
    """A series at its first knot."""
    return float(drawn[system.series.knot_value[system.series.start[series]]])


def declared_gpus(system: to.System, service: to.Service, drawn: to.Floats) -> float:
    """GPUs that a service is declared to have at first; where replicas are told, those there are.

    With a prefill pool of its own both count, and what is declared for one only is no bound.
    """
    most, total = most_gpus(system, system.accelerators[service.pool.on], drawn), 0.0
    for row in (service.pool, service.prefill):
        if row is None:
            continue
        if row.kind not in (to.GPUS, to.SHARE):
            return most
        size = first_level(system, row.number, drawn)
        total += size if row.kind == to.GPUS else size * most
    return min(total, most) or most
