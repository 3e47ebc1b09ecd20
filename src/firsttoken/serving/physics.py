"""From one replication's parameters to the numbers of the performance model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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
    known = ENGINES.get(engine.name, GENERIC)
    return known._replace(chunk=float(engine.chunk), overlap=engine.overlap)


def most_gpus(compiled: to.System, gpu: to.Accelerators, drawn: to.Floats) -> float:
    """Most GPUs that a pool has at any time, with every parameter at its mean."""
    table = compiled.series
    knots = slice(table.start[gpu.number], table.start[gpu.number + 1])
    most = float(drawn[table.knot_value[knots]].max())
    return most * (float(drawn[gpu.per_rack]) if gpu.per_rack != to.NONE else 1.0)


def mean_lengths(row: to.Service, drawn: to.Floats) -> tuple[float, float, float]:
    """Mean prompt and output tokens of a request, and share of the prompts that is cached.

    Each stream counts by its requests; all alike where none has any.
    """
    found = []
    for stream in row.streams:
        if stream.trace is not None:
            requests = stream.trace.requests
            prompt, output = float(requests.prompt.mean()), float(requests.output.mean())
            known = float(requests.cached.mean())
        else:
            prompt, output = float(drawn[stream.prompt]), float(drawn[stream.output])
            known = prompt * float(drawn[stream.cached])
        found.append((prompt, output, known))
    weights = np.array([stream.mean for stream in row.streams])
    if not weights.sum() > 0.0:
        weights = np.ones(len(found))
    prompt, output, known = np.average(np.array(found), axis=0, weights=weights)
    return float(prompt), float(output), float(known / prompt) if prompt > 0 else 0.0
