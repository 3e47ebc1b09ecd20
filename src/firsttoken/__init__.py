"""firsttoken: the open digital twin of the AI factory, from wafer to token.

The Python interface is these names, and no others::

    import firsttoken as ft

    findings = ft.check("twin.yaml")            # everything that is wrong, at once
    twin = ft.load("twin.yaml")                 # a Twin, or TwinError
    run = ft.run(twin, scenarios=["all"])       # a Run: its folder, its report, its Results
    results = ft.Results.open(run.folder)       # tables, later

Errors form one tree; `exit_code` is what the command line returns::

    FirsttokenError         base of all that a user can cause
    +-- TwinError           the input has errors; `findings` holds all of them (1)
    +-- InfeasibleError     no plan satisfies the constraints; the message names them (4)
    +-- ...                 usage (2) and environment (3), to be caught by their base

Nothing is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firsttoken.api import Run, check, load, run
    from firsttoken.results.store import Results
    from firsttoken.twin.findings import FirsttokenError, InfeasibleError, TwinError
    from firsttoken.twin.scenario import Scenario
    from firsttoken.twin.twin import Twin

    __version__: str

__all__ = [
    "FirsttokenError",
    "InfeasibleError",
    "Results",
    "Run",
    "Scenario",
    "Twin",
    "TwinError",
    "check",
    "load",
    "run",
]

_MODULES = {
    "FirsttokenError": "firsttoken.twin.findings",
    "InfeasibleError": "firsttoken.twin.findings",
    "Results": "firsttoken.results.store",
    "Run": "firsttoken.api",
    "Scenario": "firsttoken.twin.scenario",
    "Twin": "firsttoken.twin.twin",
    "TwinError": "firsttoken.twin.findings",
    "check": "firsttoken.api",
    "load": "firsttoken.api",
    "run": "firsttoken.api",
}


def __getattr__(name: str) -> object:
    """Import an exported name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("firsttoken")
    elif name in _MODULES:
        from importlib import import_module

        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
