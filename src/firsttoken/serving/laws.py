"""Laws of the replicas of one replication: the performance model at its drawn parameters."""

from __future__ import annotations

import math

from firsttoken.serving import deployment as to
from firsttoken.serving.perf_efficiency import ACTIVATIONS
from firsttoken.serving.perf_law import step_law
from firsttoken.serving.physics import architecture_of, engine_of, hardware_of
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
    law = step_law(model, hardware, layout, engine=engine_of(service.engine))
    # each draft runs one more layer; heads of drafts are those of the model
    drafts = 1.0 + service.engine.drafted / float(model.layers)
    return faster(law, speed_of(service, drawn) / drafts)


def speed_of(service: to.Service, drawn: to.Floats) -> float:
    """Speed of a service's software over that of the physics, in one replication."""
    speed, known = float(drawn[service.engine.speed]), service.calibrated
    if known is None:
        return speed
    # fast software is as likely as slow: the logarithm of the error is normal
    return speed * known.speed * math.exp(-known.spread * float(drawn[service.engine.error]))


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
