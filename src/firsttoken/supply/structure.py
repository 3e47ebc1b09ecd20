"""Shape of a network: names of stock nodes, and the order in which material flows."""

from __future__ import annotations

from collections.abc import Sequence


def node_name(item: str, location: str) -> str:
    """Name of the stock of an item at a location."""
    return f"{item}@{location}"


def flow_order(flows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[int]:
    """Order activities so that, as far as there are no cycles, material flows downwards.

    Parameters
    ----------
    flows : (input nodes, output nodes) of each activity.

    Returns
    -------
    list of int
        Positions, by longest path from the sources; ties keep the given order. Activities on
        a cycle of lanes are ordered where the cycle is first entered.
    """
    producers: dict[int, list[int]] = {}
    for position, (_, outputs) in enumerate(flows):
        for node in outputs:
            producers.setdefault(node, []).append(position)
    level: dict[int, int] = {}
    for root in range(len(flows)):
        _visit(root, flows, producers, level)
    return sorted(range(len(flows)), key=lambda position: (level[position], position))


def _visit(
    root: int,
    flows: Sequence[tuple[Sequence[int], Sequence[int]]],
    producers: dict[int, list[int]],
    level: dict[int, int],
) -> None:
    """Depth-first longest path without recursion; an edge back into the path is left out."""
    on_path: set[int] = set()
    stack = [(root, False)]
    while stack:
        position, done = stack.pop()
        upstream = [p for node in flows[position][0] for p in producers.get(node, [])]
        if done:
            on_path.discard(position)
            level[position] = 1 + max((level.get(p, -1) for p in upstream), default=-1)
        elif position not in level and position not in on_path:
            on_path.add(position)
            stack.append((position, True))
            stack.extend((p, False) for p in upstream if p not in level and p not in on_path)


def item_cycles(recipes: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> list[list[str]]:
    """Cycles of the bill of materials: items that are, in the end, made of themselves.

    Parameters
    ----------
    recipes : (operation, items in, items out).

    Returns
    -------
    list of list of str
        Each cycle as the items along it, the first repeated at the end; one per strongly
        connected group of items.
    """
    makes: dict[str, set[str]] = {}
    for _, consumed, produced in recipes:
        for item in consumed:
            makes.setdefault(item, set()).update(produced)
    cycles: list[list[str]] = []
    finished: set[str] = set()
    for root in makes:
        path: list[str] = []
        cycle = _find_cycle(root, makes, finished, path)
        if cycle:
            cycles.append(cycle)
    return cycles


def _find_cycle(
    root: str, makes: dict[str, set[str]], finished: set[str], path: list[str]
) -> list[str]:
    stack: list[tuple[str, list[str]]] = [(root, sorted(makes.get(root, ())))]
    path.append(root)
    while stack:
        item, following = stack[-1]
        if not following:
            finished.add(item)
            stack.pop()
            path.pop()
            continue
        successor = following.pop()
        if successor in path:
            cycle = [*path[path.index(successor) :], successor]
            finished.update(path)
            return cycle
        if successor not in finished:
            path.append(successor)
            stack.append((successor, sorted(makes.get(successor, ()))))
    return []
