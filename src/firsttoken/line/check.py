"""What is wrong with a line beyond what its classes can say.

Names that lead nowhere, lots that never start or never leave, work that can never begin, buffers
that lock each other up, dates out of order, fields that nothing reads: all are found before a
run, and all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.line import model
from firsttoken.line.check_buffers import check_buffers
from firsttoken.line.check_capacity import check_capacity, check_units
from firsttoken.line.check_fields import check_fields
from firsttoken.line.check_flow import (
    check_calendars,
    check_dates,
    check_disruptions,
    check_products,
    check_releases,
)
from firsttoken.line.check_load import check_load
from firsttoken.line.check_names import check_names
from firsttoken.line.check_routes import check_routes
from firsttoken.line.check_rules import check_rules
from firsttoken.line.check_view import View
from firsttoken.twin.findings import Findings

if TYPE_CHECKING:
    from firsttoken.twin.twin import Twin


def check_line(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with one line."""
    line = twin.rooms["line"][name]
    assert isinstance(line, model.Line)
    view = View(twin, name, line, findings)
    before = len(findings.errors)
    check_names(view)
    sound = len(findings.errors) == before
    for look in (check_calendars, check_fields, check_units):
        look(view)
    readable = len(findings.errors) == before
    for look in (check_releases, check_dates, check_rules, check_disruptions):
        look(view)
    if not sound:
        return  # what follows would only repeat broken references
    for look in (check_routes, check_products, check_buffers):
        look(view)
    if readable:
        check_capacity(view)
    if len(findings.errors) == before:  # figures of what cannot work mean nothing
        check_load(view)
