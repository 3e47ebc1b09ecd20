"""Findings: everything that is wrong with an input, said once and said clearly.

A `Finding` is one problem with its place. Checks collect findings and go on, so that a
user sees all of them at once; `Findings.raise_if_errors` ends a command that cannot
continue. Every error that a user can cause derives from `FirsttokenError` and carries the
process exit code: 1 findings, 2 usage, 3 environment, 4 infeasible.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

EXIT_OK = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INFEASIBLE = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's files something stands; line and column count from 1."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: `file:line: what, why, hint`.

    Attributes
    ----------
    what : what is wrong, naming the offending value.
    why : the rule that it breaks.
    hint : what to write instead.
    path : parameter path (`supply.network.items.die`), empty if none.
    code : stable rule identifier in kebab case (`unit-dimension`).
    """

    what: str
    why: str = ""
    hint: str = ""
    path: str = ""
    code: str = "structure"
    severity: Severity = "error"
    place: Place = field(default_factory=Place)

    def __str__(self) -> str:
        text = ", ".join(part for part in (self.what, self.why) if part)
        if self.hint:
            text += f" (hint: {self.hint})"
        where = str(self.place) or self.path
        return f"{where}: {self.severity}: {text}" if where else f"{self.severity}: {text}"


class Findings:
    """An ordered collection of findings."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._findings: list[Finding] = list(findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def __len__(self) -> int:
        return len(self._findings)

    def add(self, finding: Finding) -> None:
        """Append one finding."""
        self._findings.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Append several findings."""
        self._findings.extend(findings)

    @property
    def errors(self) -> list[Finding]:
        """The findings that stop a run."""
        return [finding for finding in self._findings if finding.severity == "error"]

    def sorted(self) -> Findings:
        """Return the findings without repeats, ordered by file, line, then as found."""
        unique = dict.fromkeys(self._findings)
        return Findings(sorted(unique, key=lambda f: (f.place.file, f.place.line)))

    def raise_if_errors(self) -> None:
        """Raise `TwinError` if any finding is an error."""
        if self.errors:
            raise TwinError(self)

    def as_text(self) -> str:
        """One line a finding: `file:line: severity: what, why (hint: ...)`."""
        return "\n".join(str(finding) for finding in self.sorted())

    def as_json(self) -> str:
        """A JSON array of findings."""
        return json.dumps([asdict(finding) for finding in self.sorted()], indent=2)

    def as_sarif(self, version: str) -> str:
        """SARIF 2.1.0 (OASIS standard), as code hosts and editors read it."""
        found = self.sorted()
        rules = sorted({finding.code for finding in found})
        run = {
            "tool": {
                "driver": {
                    "name": "firsttoken",
                    "version": version,
                    "rules": [{"id": rule} for rule in rules],
                }
            },
            "results": [_sarif_result(finding) for finding in found],
        }
        schema = "https://json.schemastore.org/sarif-2.1.0.json"
        return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _sarif_result(finding: Finding) -> dict[str, Any]:
    text = ", ".join(part for part in (finding.what, finding.why) if part)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": finding.severity,
        "message": {"text": f"{text}. {finding.hint}" if finding.hint else text},
    }
    if finding.place.file:
        location: dict[str, Any] = {"artifactLocation": {"uri": finding.place.file}}
        if finding.place.line:
            location["region"] = {"startLine": finding.place.line}
            if finding.place.column:
                location["region"]["startColumn"] = finding.place.column
        result["locations"] = [{"physicalLocation": location}]
    if finding.path:
        result["properties"] = {"path": finding.path}
    return result


class FirsttokenError(Exception):
    """Base of every error that a user can cause; `exit_code` is the command's status."""

    exit_code = EXIT_FINDINGS


class TwinError(FirsttokenError):
    """The input has errors; `findings` holds all of them."""

    def __init__(self, findings: Findings | Finding) -> None:
        self.findings = Findings([findings]) if isinstance(findings, Finding) else findings
        super().__init__(self.findings.as_text())


class UsageError(FirsttokenError):
    """The command or call itself is wrong (unknown scenario, missing folder, bad option)."""

    exit_code = EXIT_USAGE


class MissingExtraError(FirsttokenError):
    """An optional dependency is not installed; the message holds the pip command."""

    exit_code = EXIT_ENVIRONMENT

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'firsttoken[{extra}]'")


class InfeasibleError(FirsttokenError):
    """No plan satisfies the constraints; the message names those that conflict."""

    exit_code = EXIT_INFEASIBLE


class BalanceError(FirsttokenError):
    """An engine's books do not balance: a defect of the engine, never of the input."""
