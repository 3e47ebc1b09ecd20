"""Sankey diagrams: what flows from where to where, columns in the order of the chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from firsttoken.report.svg_canvas import Canvas, clip, wrap

_BAR = 11.0
_SLOT = 45.0  # room for a label of two lines and its detail
_GAP = 5.0


@dataclass(frozen=True, slots=True)
class Flow:
    """One band: `size` sets its width, `tip` tells its quantity."""

    source: str
    target: str
    size: float
    tip: str
    group: str


@dataclass(slots=True)
class _Node:
    name: str
    column: int = 0
    into: float = 0.0
    out: float = 0.0
    y: float = 0.0
    order: float = 0.0
    flows_in: list[Flow] = field(default_factory=list)
    flows_out: list[Flow] = field(default_factory=list)

    @property
    def size(self) -> float:
        return max(self.into, self.out)


def draw_sankey(
    flows: Sequence[Flow],
    width: float,
    name: Callable[[str], str],
    detail: Callable[[str], str],
    link: Callable[[str], str],
    groups: Sequence[str],
) -> Canvas:
    """Draw flows from left to right.

    Parameters
    ----------
    name, detail : a node's label and the smaller line under it.
    link : anchor of the page to which a node's label leads, '' for none.
    groups : the flows' groups, in the order of their colours.
    """
    nodes, kept = _graph(flows)
    columns: list[list[_Node]] = [[] for _ in range(1 + max(n.column for n in nodes.values()))]
    for node in nodes.values():
        columns[node.column].append(node)
    pitch = (width - 130 - _BAR) / max(len(columns) - 1, 1)
    tallest = max(len(column) for column in columns)
    height = max(340.0, tallest * (_SLOT + _GAP) + 130)
    scale = _fitting_scale(columns, height - 12)
    _place(columns, scale, height)
    canvas = Canvas(width, height)
    _draw_bands(canvas, nodes, kept, pitch, scale, groups)
    for node in nodes.values():
        x = node.column * pitch
        thick = max(node.size * scale, 2.0)
        label, more = name(node.name), detail(node.name)
        canvas.rect(x, node.y, _BAR, thick, "node", tip=f"{label}: {more}")
        room = (pitch if node.column < len(columns) - 1 else 130.0 + _BAR) - _BAR - 10
        lines = wrap(label, 12, room, 2)
        middle = node.y + thick / 2
        top = middle - (15 * len(lines) + 13) / 2 + 11
        for i, line in enumerate(lines):
            canvas.text(x + _BAR + 5, top + 14 * i, line, "t b halo", link=link(node.name))
        if more:
            said = clip(more, 11, room)
            canvas.text(x + _BAR + 5, top + 14 * len(lines), said, "t s m halo", tip=more)
    return canvas


def _graph(flows: Sequence[Flow]) -> tuple[dict[str, _Node], list[Flow]]:
    """Nodes with their columns (longest path from a source); flows that close a cycle go."""
    nodes: dict[str, _Node] = {}
    kept: list[Flow] = []
    reach: dict[str, set[str]] = {}
    for flow in sorted(flows, key=lambda f: -f.size):
        if flow.source == flow.target or flow.source in reach.get(flow.target, ()):
            continue
        for end in (flow.source, flow.target):
            nodes.setdefault(end, _Node(end))
            reach.setdefault(end, set())
        below = {flow.target} | reach[flow.target]
        for start, targets in reach.items():
            if start == flow.source or flow.source in targets:
                targets |= below
        nodes[flow.source].out += flow.size
        nodes[flow.source].flows_out.append(flow)
        nodes[flow.target].into += flow.size
        nodes[flow.target].flows_in.append(flow)
        kept.append(flow)
    for _ in nodes:
        for flow in kept:
            source, target = nodes[flow.source], nodes[flow.target]
            target.column = max(target.column, source.column + 1)
    # A source stands next to what it feeds, so that bands do not cross half the chart.
    for node in nodes.values():
        if not node.flows_in and node.flows_out:
            node.column = min(nodes[flow.target].column for flow in node.flows_out) - 1
    return nodes, kept


def _fitting_scale(columns: Sequence[list[_Node]], height: float) -> float:
    """Largest scale, one for all bands, at which every column fits with room for its labels."""
    low, high = 0.0, height / max((node.size for c in columns for node in c), default=1.0)
    for _ in range(50):
        middle = (low + high) / 2
        taken = (sum(max(n.size * middle, _SLOT) + _GAP for n in c) for c in columns)
        low, high = (middle, high) if max(taken) <= height else (low, middle)
    return low


def _place(columns: Sequence[list[_Node]], scale: float, height: float) -> None:
    """Order each column by its neighbours' centres (barycentre sweeps), then space it evenly."""
    nodes = {node.name: node for column in columns for node in column}
    for column in columns:
        column.sort(key=lambda n: -n.size)
        _stack(column, scale, height)
    for sweep in range(12):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            for node in column:
                near = node.flows_in if forward else node.flows_out
                ends = [(nodes[f.source if forward else f.target], f.size) for f in near]
                weight = sum(size for _, size in ends)
                middle = node.y + node.size * scale / 2
                if weight:
                    middle = sum((n.y + n.size * scale / 2) * s for n, s in ends) / weight
                node.order = middle
            column.sort(key=lambda n: n.order)
            _stack(column, scale, height)


def _stack(column: Sequence[_Node], scale: float, height: float) -> None:
    slots = [max(node.size * scale, _SLOT) for node in column]
    free = height - sum(slots)
    space = min(free / (len(column) + 1), 60.0)
    y = (height - sum(slots) - space * (len(column) - 1)) / 2
    for node, slot in zip(column, slots, strict=True):
        node.y = y + (slot - max(node.size * scale, 2.0)) / 2
        y += slot + space


def _draw_bands(
    canvas: Canvas,
    nodes: dict[str, _Node],
    flows: Sequence[Flow],
    pitch: float,
    scale: float,
    groups: Sequence[str],
) -> None:
    leave, arrive = {}, {}
    for node in nodes.values():
        offset = node.y
        for flow in sorted(node.flows_out, key=lambda f: nodes[f.target].y):
            leave[id(flow)] = offset + flow.size * scale / 2
            offset += flow.size * scale
        offset = node.y
        for flow in sorted(node.flows_in, key=lambda f: nodes[f.source].y):
            arrive[id(flow)] = offset + flow.size * scale / 2
            offset += flow.size * scale
    for flow in flows:
        source, target = nodes[flow.source], nodes[flow.target]
        half = max(flow.size * scale, 1.5) / 2
        x1, x2 = source.column * pitch + _BAR, target.column * pitch
        y1, y2 = leave[id(flow)], arrive[id(flow)]
        bend = (x1 + x2) / 2
        d = (
            f"M{x1:.1f} {y1 - half:.1f}C{bend:.1f} {y1 - half:.1f} {bend:.1f} {y2 - half:.1f} "
            f"{x2:.1f} {y2 - half:.1f}V{y2 + half:.1f}C{bend:.1f} {y2 + half:.1f} "
            f"{bend:.1f} {y1 + half:.1f} {x1:.1f} {y1 + half:.1f}Z"
        )
        colour = groups.index(flow.group) % 10 + 1 if flow.group in groups else 1
        canvas.path(d, f"flow g{colour}", tip=flow.tip)
