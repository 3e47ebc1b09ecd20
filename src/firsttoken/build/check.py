"""What is wrong with a programme beyond what its classes can say.

Names that lead nowhere, work that waits for itself, crews and calendars that never suffice, dates
out of order: all are found before a run, and all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.build import model
from firsttoken.build.check_dates import check_dates
from firsttoken.build.check_names import check_names
from firsttoken.build.check_reference import check_reference
from firsttoken.build.check_view import View
from firsttoken.build.check_work import (
    check_calendars,
    check_crews,
    check_disruptions,
    check_fields,
)
from firsttoken.twin.findings import Findings

if TYPE_CHECKING:
    from firsttoken.twin.twin import Twin


def check_build(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with one programme."""
    declared = twin.rooms["build"][name]
    assert isinstance(declared, model.Build)
    view = View(twin, name, declared, findings)
    check_names(view)
    if declared.reference is not None:
        check_reference(view, declared.reference)
    for look in (check_calendars, check_crews, check_dates, check_disruptions, check_fields):
        look(view)
