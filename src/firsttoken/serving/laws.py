"""Laws of the replicas of one replication: the performance model at its drawn parameters."""

from __future__ import annotations

import math

import numpy as np

from firsttoken.serving import deployment as to
from firsttoken.serving.perf_efficiency import ACTIVATIONS
from firsttoken.serving.perf_law import CONTEXT, step_law
from firsttoken.serving.physics import architecture_of, engine_of, hardware_of, mean_lengths
from firsttoken.serving.system import Layout, StepLaw


def law_of(
    system: to.System, service: to.Service, row: to.Replicas, layout: Layout, drawn: to.Floats
) -> StepLaw:
    """Law of one replica of a service.

    Parameters
    ----------
    row, layout : kind of replicas, and how one lies on GPUs.
    drawn : parameters of the replication, [P].
    """
    hardware = hardware_of(system.accelerators[row.on], drawn)
    # the performance model leaves ACTIVATIONS of the memory free, the engine what it is told
    share = float(drawn[service.engine.memory]) / (1.0 - ACTIVATIONS)
    hardware = hardware._replace(memory=hardware.memory * share)
    model = architecture_of(service, drawn)
    queries = 1.0 + service.engine.drafted
    known, context = row.tables, CONTEXT
    if known is not None:
        prompt, output, _ = mean_lengths(service, drawn)
        context = prompt + output / 2.0
    law = step_law(
        *(model, hardware, layout),
        engine=engine_of(service.engine),
        context=context,
        queries=queries,
        tables=known,
    )
    speed = speed_of(service, drawn, row.role)
    # times from tables are no multiples of the physics
    return faster(law, speed if known is None else speed / _paced(service, row.role)[0])


def speed_of(service: to.Service, drawn: to.Floats, role: str = "serve") -> float:
    """Speed of a service's software over that of the physics, in one replication.

    Parameters
    ----------
    role : of the replicas: `serve`, `prefill` or `decode`.
    """
    declared, known = float(drawn[service.engine.speed]), service.calibrated
    if known is None:
        return declared
    speed, spread = _paced(service, role)
    # fast software is as likely as slow: the logarithm of the error is normal; both pools run the
    # same software, so they share it
    error = float(drawn[service.engine.error]) if spread > 0.0 else 0.0
    return declared * speed * math.exp(-spread * error)


def _paced(service: to.Service, role: str) -> tuple[float, float]:
    """Speed over that of the physics, and its spread, as they are known of a service."""
    known = service.calibrated
    if known is None:
        return 1.0, 0.0
    if role == "prefill" and known.prefill is not None:
        return known.prefill
    return known.speed, known.spread


def entry_of(service: to.Service) -> float:
    """Seconds that a request is in the front end before a replica sees it.

    Both modes simulate replicas; what users see is later by that.
    """
    known = service.calibrated
    if known is not None and known.entry is not None:
        return known.entry
    return float(np.asarray(engine_of(service.engine).request))


def faster(law: StepLaw, speed: float) -> StepLaw:
    """The law of software that is `speed` times as fast: the same work in less time.

    The energy above idle of a step stays: it is that of its operations and its traffic.
    """
    return law._replace(
        seconds=law.seconds / speed,
        overhead=law.overhead / speed,
        kv_second=law.kv_second / speed,
        pair_second=law.pair_second / speed,
    )
