"""Checks of a programme's reference class: a table that can be read, sites that tell something."""

from __future__ import annotations

from firsttoken.build import model
from firsttoken.build.check_view import View
from firsttoken.twin.findings import Findings
from firsttoken.twin.values import Constant, Value

_FEW = 5


def check_reference(view: View, declared: model.Reference) -> None:
    """Report a table that cannot be read, and a class that allows no forecast."""
    from firsttoken.build.outlook import comparable

    found = Findings()
    since = _known(declared.since)
    sites = comparable(
        view.twin,
        declared,
        found,
        float("-inf") if since is None else since,
        _known(declared.until),
    )
    view.findings.extend(found)
    if found.errors:
        return
    finished = int(sites.finished.sum())
    if not finished:
        view.add(
            ("reference",),
            f"none of {len(sites.time)} comparable sites is finished",
            "their durations allow no forecast",
            "take an earlier `since`, or another table",
            code="reference-class",
        )
    elif finished < _FEW:
        what = f"only {finished} of {len(sites.time)} comparable sites are finished"
        hint = "take an earlier `since`, or a smaller `weight`"
        view.add(("reference",), what, "", hint, code="reference-class", severity="warning")


def _known(value: Value | None) -> float | None:
    return value.value if isinstance(value, Constant) else None
