"""What disruptions do to a token factory: GPUs that are closed, short or late."""

from __future__ import annotations

from firsttoken.serving import model
from firsttoken.twin import scenario as said
from firsttoken.twin.effects import KINDS
from firsttoken.twin.slots import nearest


def problem(factory: model.Serving, disruption: said.Disruption, parts: tuple[str, ...]) -> str:
    """Why a disruption cannot act on what stands at `parts` below the factory; empty if it can."""
    if disruption.kind not in KINDS:
        return "of a token factory, GPUs close, change in number or come late"
    if len(parts) != 2 or parts[0] != "accelerators":
        return "it acts on one of the `accelerators`"
    if parts[1] not in factory.accelerators:
        return f"there are none; {nearest(parts[1], list(factory.accelerators))}"
    return ""
