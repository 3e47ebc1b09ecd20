"""From one replication's parameters to the numbers of the performance model."""

from __future__ import annotations

from collections.abc import Mapping

from firsttoken.serving import deployment as to
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC, Engine
from firsttoken.serving.system import Architecture, Hardware


def hardware_of(row: to.Accelerators, drawn: to.Floats) -> Hardware:
    """The GPU of one replication; `drawn` are its parameters, [P]."""
    values = _values(row.hardware, drawn)
    for key in to.BYTES:
        values[key] /= 8.0
    return Hardware(**values)


def architecture_of(service: to.Service, drawn: to.Floats) -> Architecture:
    """The language model of one replication."""
    return Architecture(**_values(service.architecture, drawn))


def _values(rows: Mapping[str, int], drawn: to.Floats) -> dict[str, float]:
    return {key: float(drawn[row]) for key, row in rows.items()}


def engine_of(engine: to.Engine) -> Engine:
    """How the performance model sees the engine: its public defaults, and what is declared."""
    return ENGINES.get(engine.name, GENERIC)._replace(chunk=float(engine.chunk))
