"""The serving room's entry points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.serving import model
from firsttoken.twin.findings import Findings
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared

if TYPE_CHECKING:
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.twin import Twin


def check(twin: Twin, name: str, findings: Findings) -> None:
    """Add what is wrong with a token factory beyond what its classes can say."""
    from firsttoken.serving.check import check_factory

    check_factory(twin, name, findings)


def execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """Compile a token factory, plan and simulate it, and name the results.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a file cannot be read.
    InfeasibleError
        If no configuration reaches a service's goals.
    """
    from firsttoken.serving.compile import compile_factory
    from firsttoken.twin.input_table import input_table

    scenario = twin.scenario or "base"
    compiled = compile_factory(twin, name, resolve)
    inputs = input_table(
        "serving_inputs",
        scenario,
        compiled.inputs,
        compiled.parameters,
        compiled.start,
        compiled.users,
        twin.library,
    )
    tables = [inputs]
    if "plan" in settings.engines:
        from firsttoken.serving.kpi_plan import plan_tables
        from firsttoken.serving.plan import plan_services

        settings.say(f"plan {name}, {scenario}", 0, 0)
        tables += plan_tables(scenario, name, plan_services(compiled))
    return Outcome(tuple(tables))


def port_names(instance: Declared) -> tuple[str, ...]:
    """Power in W, tokens and requests in 1/s, GPUs that work, in time."""
    assert isinstance(instance, model.Serving)
    return ()


ROOM = Room(name="serving", model=model.Serving, check=check, execute=execute, ports=port_names)
