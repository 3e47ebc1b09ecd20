"""Services that ask for tables of measured operators get them, or are told what is not held."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving.physics import architecture_of, hardware_of
from firsttoken.serving.slots import Slots
from firsttoken.serving.system import Architecture, Hardware
from firsttoken.serving.tables import Tables, TablesError
from firsttoken.twin.findings import Finding, Findings, TwinError


def with_tables(slots: Slots, system: to.System) -> to.System:
    """The system with tables for the replicas of services that ask for them.

    GPU, engine, release, model, and the layouts and formats that are declared must be held.

    Raises
    ------
    MissingExtraError
        If the package with the tables is not installed.
    TwinError
        Naming all that they do not hold, and the nearest that they do.
    """
    if not any(service.engine.tables for service in system.services):
        return system
    findings = Findings()
    drawn = fixed_parameters(system.parameters)
    services = tuple(
        _service(slots, system, service, drawn, findings) if service.engine.tables else service
        for service in system.services
    )
    if findings.errors:
        raise TwinError(findings)
    return replace(system, services=services)


def _service(
    slots: Slots, system: to.System, service: to.Service, drawn: to.Floats, findings: Findings
) -> to.Service:
    def held(row: to.Replicas, pool: str) -> to.Replicas:
        """The replicas with their tables; as they are if these do not hold them."""
        hardware = hardware_of(system.accelerators[row.on], drawn)
        model, engine = architecture_of(service, drawn), service.engine
        try:
            tables = tables_of(model, hardware, service.model, engine.name, engine.release)
            if row.layout is not None:
                tables.grid(row.layout)
        except TablesError as error:
            path = f"{slots.path}.services.{service.name}"
            findings.add(_finding(slots, path, pool, error))
            return row
        return replace(row, tables=tables)

    prefill = service.prefill
    return replace(
        service,
        pool=held(service.pool, ""),
        prefill=held(prefill, "prefill") if prefill is not None else None,
    )


@lru_cache(maxsize=64)
def tables_of(
    architecture: Architecture, hardware: Hardware, name: str, engine: str, release: str
) -> Tables:
    """Tables of a model on a GPU under a release of an engine; read once a process.

    Raises
    ------
    MissingExtraError
        If the package with the tables is not installed.
    TablesError
        If they do not hold it.
    """
    from firsttoken.serving.tables_aiconfigurator import Aiconfigurator

    return Tables(Aiconfigurator(architecture, hardware, name, engine, release))


def _finding(slots: Slots, path: str, pool: str, error: TablesError) -> Finding:
    """Where the field stands that the tables do not follow."""
    if error.field in ("name", "release", "tables"):
        full = f"{path}.engine.{error.field}"
    elif error.field == "model":
        full = f"{path}.model"
    else:
        full = ".".join(part for part in (path, pool, error.field) if part)
    return Finding(error.what, error.why, error.hint, full, "tables", place=slots.twin.place(full))
