"""What a page of the report is made of: sections, figures, tables, cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from firsttoken.report.svg_canvas import Canvas

WIDE = 920.0
NARROW = 360.0
HALF = 400.0


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table of the page; cells are text, or markup where they hold links."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]
    numeric: frozenset[int] = frozenset()
    anchors: Sequence[str] = ()
    caption: str = ""
    opened: bool = False
    filtered: bool = False
    total: int = 0
    loose: bool = False

    @property
    def all_numbers(self) -> bool:
        """Whether every column after the first holds numbers."""
        return self.numeric == frozenset(range(1, len(self.headers)))


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in two drawings, for wide and for narrow screens, with its numbers as a table."""

    title: str
    subtitle: str
    wide: Markup
    narrow: Markup | None
    table: DataTable | None = None
    note: str | Markup = ""
    legend: Sequence[tuple[str, str]] = ()
    half: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One headline answer."""

    label: str
    value: str
    detail: str | Markup = ""
    facts: Sequence[tuple[str, str]] = ()
    drawing: Markup | None = None
    cls: str = ""


@dataclass(slots=True)
class Section:
    """One section: `title` is its finding in a sentence, `points` are further ones."""

    id: str
    kicker: str
    title: str
    lead: str | Markup = ""
    cards: list[Card] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[DataTable] = field(default_factory=list)
    points: list[str] = field(default_factory=list)


def figure(
    draw: Callable[[float], Canvas],
    title: str,
    subtitle: str = "",
    *,
    table: DataTable | None = None,
    note: str | Markup = "",
    legend: Sequence[tuple[str, str]] = (),
    scroll: bool = False,
) -> Figure:
    """Draw a chart for both widths; `scroll`: the wide one only, which narrow screens scroll."""
    said = f"{title}. {subtitle}" if subtitle else title
    wide = Markup(draw(WIDE).svg(said))
    narrow = None if scroll else Markup(draw(NARROW).svg(said))
    return Figure(title, subtitle, wide, narrow, table, note, legend)


def half_figure(
    canvas: Canvas,
    title: str,
    subtitle: str = "",
    *,
    table: DataTable | None = None,
    note: str | Markup = "",
    legend: Sequence[tuple[str, str]] = (),
) -> Figure:
    """Show a chart, drawn `HALF` wide, beside another; narrow screens see the same drawing."""
    said = f"{title}. {subtitle}" if subtitle else title
    return Figure(title, subtitle, Markup(canvas.svg(said)), None, table, note, legend, half=True)
