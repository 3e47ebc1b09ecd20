"""What a disruption can act on, and what it touches there.

A location stands for everything that works there or ships from there, a supplier for all that
is bought from it.
"""

from __future__ import annotations

from collections.abc import Iterator

from firsttoken.supply import model
from firsttoken.twin import scenario as said
from firsttoken.twin.values import Constant, Distribution

Key = tuple[str, str]
"""(collection, name), such as ("operations", "package_cowos_l")."""

_WORKING = ("operations", "purchases", "lanes", "resources")
ALLOWED: dict[type[said.Disruption], tuple[str, ...]] = {
    said.Closure: ("locations", "suppliers", *_WORKING),
    said.CapacityChange: ("locations", "suppliers", *_WORKING),
    said.LeadTimeChange: ("locations", "suppliers", "operations", "purchases", "lanes"),
    said.YieldChange: ("locations", "operations"),
    said.Slip: ("locations", "suppliers", *_WORKING),
    said.TariffChange: ("tariffs",),
    said.Loss: ("locations",),
}
"""Collections that hold the targets of each kind of disruption."""

_BOTH_ENDS = (said.Closure, said.LeadTimeChange)
"""Kinds that also touch what arrives at a location."""


def touched(net: model.Network, disruption: said.Disruption, target: Key) -> Iterator[Key]:
    """The activities and resources that a target stands for."""
    collection, name = target
    if collection in _WORKING:
        yield target
    elif collection == "suppliers":
        for key, purchase in net.purchases.items():
            if purchase.supplier == name:
                yield "purchases", key
    elif collection == "locations":
        yield from _at(net, name, both_ends=isinstance(disruption, _BOTH_ENDS))


def _at(net: model.Network, location: str, *, both_ends: bool) -> Iterator[Key]:
    for key, operation in net.operations.items():
        if operation.at == location:
            yield "operations", key
    for key, resource in net.resources.items():
        if resource.at == location:
            yield "resources", key
    for key, lane in net.lanes.items():
        if lane.origin == location or (both_ends and lane.destination == location):
            yield "lanes", key
    for key, purchase in net.purchases.items():
        if both_ends and purchase.location == location:
            yield "purchases", key


def problem(net: model.Network, disruption: said.Disruption, parts: tuple[str, ...]) -> str:
    """Why a disruption would do nothing, '' if it does something.

    Parameters
    ----------
    parts : path of the target below the network.
    """
    allowed = ALLOWED[type(disruption)]
    if len(parts) != 2 or parts[0] not in allowed:
        return f"{disruption.kind!r} acts on {', '.join(allowed)}"
    keys = list(touched(net, disruption, (parts[0], parts[1])))
    working = [getattr(net, collection)[name] for collection, name in keys]
    if isinstance(disruption, said.CapacityChange):
        if not any(declared.capacity is not None for declared in working):
            uses = sorted({use for part in working for use in getattr(part, "uses", {})})
            instead = f"; aim at its resources {', '.join(uses)}" if uses else ""
            return f"it has no capacity of its own to change{instead}"
    elif isinstance(disruption, said.Slip):
        if not any(_has_dates(declared) for declared in working):
            return "it has no start, end or dated capacity that could slip"
    elif isinstance(disruption, said.YieldChange):
        if not any(collection == "operations" for collection, _ in keys):
            return "no operation works there"
    elif isinstance(disruption, said.Closure | said.LeadTimeChange) and not keys:
        return "nothing works there"
    return ""


def _has_dates(declared: model.Activity | model.Resource) -> bool:
    dated = isinstance(declared, model.Activity) and (declared.start or declared.end)
    # A fact or another room's port may change with time.
    fixed = declared.capacity is None or isinstance(declared.capacity, Constant | Distribution)
    return bool(dated) or not fixed
