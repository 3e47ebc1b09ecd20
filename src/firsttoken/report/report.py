"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from firsttoken.report import (
    causes,
    comparison,
    evidence,
    lines,
    outlook,
    programmes,
    sites,
    tokens,
)
from firsttoken.report.page import Section
from firsttoken.report.reading import Reading
from firsttoken.results.store import Results
from firsttoken.twin.findings import UsageError

SECTIONS: tuple[Callable[[Reading], Section | list[Section] | None], ...] = (
    outlook.headline,
    outlook.chain,
    outlook.output,
    outlook.goals,
    outlook.domestic,
    lines.lines,
    programmes.programmes,
    sites.sites,
    tokens.tokens,
    causes.binding,
    causes.marginal,
    causes.tornado,
    comparison.scenarios,
    comparison.hindcast,
    evidence.inputs,
    evidence.record,
)


def render(results: Results) -> str:
    """The report as HTML: self-contained, without scripts or styles from elsewhere.

    The first scenario of the run is told in full; the others are compared with it. Sections
    whose tables the run does not have are left out.
    """
    reading = Reading(results)
    sections: list[Section] = []
    for make in SECTIONS:
        made = make(reading)
        sections += made if isinstance(made, list) else [made] if made else []
    folder = resources.files("firsttoken.report") / "templates"
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["unbroken"] = _unbroken
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    run = results.run
    return template.render(
        title=run.title or run.twin,
        run=run,
        base=reading.base,
        sections=sections,
        style=Markup((folder / "style.css").read_text("utf-8")),
        script=Markup((folder / "script.js").read_text("utf-8")),
    )


def _unbroken(text: str) -> str:
    """A text whose hyphens do not end lines, so that dates and names stay whole."""
    return text if isinstance(text, Markup) else text.replace("-", "\N{NON-BREAKING HYPHEN}")


def write_report(results: Results, path: str | os.PathLike[str]) -> Path:
    """Write the report to a file, whole or not at all; returns its path.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    target = Path(path)
    text = render(results)
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the report {target}: {error.strerror}") from None
    return target
