"""Order of service within a period: who starts when, who competes for what, who orders first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firsttoken.supply.system import PULL, Ints, Network


@dataclass(frozen=True, slots=True)
class Contest:
    """A stock node or resource that several activities of a wave use.

    Attributes
    ----------
    place : index of the node or resource.
    entries : (index into the inputs or uses of the network, activity) of each user.
    """

    is_resource: bool
    place: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Wave:
    """Activities that are served together.

    Attributes
    ----------
    contests : what they compete for, in groups that have no competitor in common.
    """

    activities: tuple[int, ...]
    contests: tuple[tuple[Contest, ...], ...]


def owners(start: Ints) -> Ints:
    """Row of each entry of a list of lists."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start)).astype(np.int64)


def row(start: Ints, values: Ints, index: int) -> list[int]:
    """Entries of one row of a list of lists."""
    return [int(value) for value in values[start[index] : start[index + 1]]]


def find_waves(net: Network, quick: Sequence[bool]) -> list[Wave]:
    """Group activities by (priority, level along flow that takes no time).

    Who makes at once what an urgent activity consumes inherits its priority; within a cycle
    of such flow the order of the arrays decides.

    Parameters
    ----------
    quick : [A], whether output may be there in the period in which it starts.
    """
    count = len(net.kind)
    consumers: dict[int, list[int]] = {}
    for a in range(count):
        for n in row(net.input_start, net.input_node, a):
            consumers.setdefault(n, []).append(a)
    followers: list[list[int]] = []
    for a in range(count):
        made = row(net.output_start, net.output_node, a) if quick[a] else []
        followers.append(sorted({b for n in made for b in consumers.get(n, []) if b > a}))
    priority = [int(p) for p in net.priority]
    level = [0] * count
    for a in reversed(range(count)):
        priority[a] = min([priority[a], *(priority[b] for b in followers[a])])
    for a in range(count):
        for b in followers[a]:
            level[b] = max(level[b], level[a] + 1)
    groups: dict[tuple[int, int], list[int]] = {}
    for a in range(count):
        groups.setdefault((priority[a], level[a]), []).append(a)
    return [Wave(tuple(groups[key]), _contests(net, groups[key])) for key in sorted(groups)]


def _contests(net: Network, members: list[int]) -> tuple[tuple[Contest, ...], ...]:
    found: list[Contest] = []
    lists = ((False, net.input_start, net.input_node), (True, net.use_start, net.use_resource))
    for is_resource, start, places in lists:
        users: dict[int, list[tuple[int, int]]] = {}
        for a in members:
            for k in range(int(start[a]), int(start[a + 1])):
                users.setdefault(int(places[k]), []).append((k, a))
        for place, entries in users.items():
            if len({a for _, a in entries}) > 1:
                found.append(Contest(is_resource, place, tuple(entries)))
    return tuple(tuple(group) for group in _groups(found))


def _groups(contests: list[Contest]) -> list[list[Contest]]:
    """Join contests that have a competitor in common."""
    groups: list[tuple[set[int], list[Contest]]] = []
    for contest in contests:
        who, joined = {a for _, a in contest.entries}, [contest]
        apart: list[tuple[set[int], list[Contest]]] = []
        for others, members in groups:
            if who & others:
                who, joined = who | others, members + joined
            else:
                apart.append((others, members))
        groups = [*apart, (who, joined)]
    return [members for _, members in groups]


def order_nodes(net: Network) -> list[tuple[int, list[tuple[int, int]]]]:
    """Nodes that order (pull), such that orders run upstream within one sweep.

    Returns
    -------
    list
        (node, [(activity, index of its output)]) of each, downstream nodes first.
    """
    producers: dict[int, list[tuple[int, int]]] = {}
    for k, (a, n) in enumerate(zip(owners(net.output_start), net.output_node, strict=True)):
        if net.release[a] == PULL:
            producers.setdefault(int(n), []).append((int(a), k))
    following: dict[int, list[int]] = {}
    for a, n in zip(owners(net.input_start), net.input_node, strict=True):
        made = row(net.output_start, net.output_node, int(a))
        following.setdefault(int(n), []).extend(made)
    seen: set[int] = set()
    nodes: list[int] = []
    for root in producers:
        _downstream_first(root, following, seen, nodes)
    return [(n, producers[n]) for n in nodes if n in producers]


def _downstream_first(
    root: int, following: dict[int, list[int]], seen: set[int], out: list[int]
) -> None:
    """Append `root` after all nodes downstream of it (depth first, without recursion)."""
    stack = [] if root in seen else [(root, iter(following.get(root, ())))]
    seen.add(root)
    while stack:
        node, rest = stack[-1]
        successor = next((n for n in rest if n not in seen), None)
        if successor is None:
            out.append(node)
            stack.pop()
        else:
            seen.add(successor)
            stack.append((successor, iter(following.get(successor, ()))))
