"""Streams of requests on their way into the system: traces as arrays, rates as series."""

from __future__ import annotations

import numpy as np

from firsttoken.kernel.streams import entity_key
from firsttoken.serving import deployment as to
from firsttoken.serving.slots import Slots
from firsttoken.twin.sheets import NONE

HOURS = 24
DAYS = 7


def compile_stream(slots: Slots, service: str, name: str) -> to.Stream:
    """One tenant's requests.

    Raises
    ------
    TwinError
        If a trace cannot be read, or a rate lacks its lengths.
    """
    traffic = slots.factory.services[service].traffic[name]
    path = f"services.{service}.traffic.{name}"
    sheet = slots.sheet(path, traffic)
    trace, rate, prompt, output = None, NONE, NONE, NONE
    if traffic.trace is not None:
        trace = read(slots, traffic.trace, traffic.repeat, f"{slots.path}.{path}.trace")
    else:
        rate = sheet.series("rate")
        if rate == NONE:
            sheet.needed("rate", "requests come at a rate, or from a `trace`")
        prompt = sheet.needed("prompt", "requests have prompts")
        output = sheet.needed("output", "requests have answers")
    return to.Stream(
        name=name,
        trace=trace,
        rate=rate,
        scale=sheet.series("scale"),
        hours=hours_of(traffic.day, traffic.week),
        burstiness=sheet.scalar("burstiness"),
        prompt=prompt,
        output=output,
        cached=sheet.scalar("cached"),
        priority=traffic.priority,
        entity=entity_key(f"{slots.path}.{path}"),
    )


def hours_of(day: list[float], week: list[float]) -> to.Floats:
    """Factors by hour of the week from Monday, [168], with a mean of those given."""
    hours = np.array(day or [1.0] * HOURS, np.float64)
    days = np.array(week or [1.0] * DAYS, np.float64)
    return np.asarray((days[:, None] * hours[None, :]).ravel())


def read(slots: Slots, file: str, repeat: bool, path: str) -> to.Trace:
    """Read a trace beside the twin."""
    raise NotImplementedError
