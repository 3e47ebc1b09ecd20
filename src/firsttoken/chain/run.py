"""Executing a twin: every instance in order, under every scenario asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from firsttoken.chain.ports import Resolver, check_references, instances, order
from firsttoken.kernel.replicate import usable_cores
from firsttoken.twin.findings import Finding, Findings, UsageError
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.room import Settings
from firsttoken.twin.twin import Twin

BASE = "base"
"""Name of the twin as it stands, without a scenario."""


@dataclass(frozen=True, slots=True)
class Execution:
    """Tables of a twin under some scenarios.

    Attributes
    ----------
    twins : the twin under each scenario, by its name; `base` is the twin as it stands.
    """

    twins: dict[str, Twin]
    tables: list[ResultTable]


def check_twin(twin: Twin, findings: Findings) -> None:
    """Add everything that the rooms find wrong with a loaded twin."""
    found = Findings()
    check_references(twin, found)
    for room, name in instances(twin):
        twin.registry[room].check(twin, name, found)
    findings.extend(_placed(twin, finding) for finding in found)


def _placed(twin: Twin, finding: Finding) -> Finding:
    """What is wrong with a whole file stands at the line of the twin that names the file."""
    if finding.place.line or not finding.path:
        return finding
    return replace(finding, place=twin.place(finding.path))


def check_scenarios(twin: Twin, findings: Findings) -> None:
    """Add what the rooms find wrong under each scenario and not without it."""
    known = {(finding.what, finding.path) for finding in findings}
    for name in twin.scenarios:
        found = Findings()
        check_twin(twin.with_scenario(name), found)
        findings.extend(
            replace(finding, what=f"scenario {name!r}: {finding.what}")
            for finding in found
            if (finding.what, finding.path) not in known
        )


def scenario_names(twin: Twin, wanted: Sequence[str] | None) -> list[str]:
    """Names of the scenarios to run: None is the base, `all` is the base and every scenario.

    Raises
    ------
    UsageError
        If a scenario is unknown.
    """
    if wanted is None:
        return [BASE]
    names: list[str] = []
    for name in wanted:
        if name == "all":
            names += [BASE, *twin.scenarios]
        elif name == BASE or all(part in twin.scenarios for part in name.split("+")):
            names.append(name)
        else:
            known = ", ".join(twin.scenarios) or "none declared"
            raise UsageError(f"unknown scenario {name!r}; there are: base, {known}")
    return list(dict.fromkeys(names))


def execute(twin: Twin, scenarios: Sequence[str] | None, settings: Settings) -> Execution:
    """Run a twin under scenarios (`scenario_names` says what may be asked for).

    Raises
    ------
    TwinError
        If a scenario has errors, found before anything runs.
    """
    names = scenario_names(twin, scenarios)
    twins = {name: twin if name == BASE else twin.with_scenario(name) for name in names}
    findings = Findings()
    for changed in twins.values():
        check_twin(changed, findings)
    findings.raise_if_errors()
    return Execution(twins, _run_all(twins, settings))


def _run_all(twins: Mapping[str, Twin], settings: Settings) -> list[ResultTable]:
    """Tables of all scenarios, in their order; scenarios run side by side on the cores."""
    cancel = settings.cancel or threading.Event()
    settings = replace(settings, cancel=cancel)
    workers = min(settings.threads or usable_cores(), len(twins))
    done: list[ResultTable] = []
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(_run_one, twin, settings) for twin in twins.values()]
        try:
            for position, (name, future) in enumerate(zip(twins, running, strict=True)):
                settings.say(f"scenario {name}", position, len(twins))
                done += future.result()
        except BaseException:
            cancel.set()
            pool.shutdown(cancel_futures=True)
            raise
    settings.say("scenarios", len(twins), len(twins))
    return done


def _run_one(twin: Twin, settings: Settings) -> list[ResultTable]:
    """Tables of one scenario: every instance, those that feed others first."""
    resolver = Resolver(twin)
    tables: list[ResultTable] = []
    for room, instance in order(twin):
        outcome = twin.registry[room].execute(twin, instance, resolver, settings)
        tables += outcome.tables
        resolver.provide((room, instance), outcome.ports)
    return tables
