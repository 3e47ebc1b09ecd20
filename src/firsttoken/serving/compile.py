"""From a declared token factory and a scenario to a `System`: names become integers here only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving.compile_traffic import compile_stream, weighted
from firsttoken.serving.disrupt import problem
from firsttoken.serving.model_service import Choices, Parallel, Pool, Precisions, Scaling
from firsttoken.serving.search_prices import energy_price, rent_of
from firsttoken.serving.slots import Slots
from firsttoken.serving.system import Architecture, Hardware, Layout
from firsttoken.serving.tables_compile import with_tables
from firsttoken.twin.dates import report_edges
from firsttoken.twin.effects import Effects, build_effects
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.schema import support
from firsttoken.twin.sheets import NONE, Sheet
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Distribution, Fact, Provenance

HOUR = 3600.0
ERROR = Distribution(
    "normal",
    (0.0, 1.0),
    provenance=Provenance(
        source="measured points of the library (serving_points.csv)",
        note="how far a service is off its calibration, in standard deviations",
    ),
)


def compile_factory(twin: Twin, name: str, resolve: Resolve) -> to.System:
    """Compile one token factory of a twin under the twin's active scenario.

    Parameters
    ----------
    name : instance under `serving`.
    resolve : looks facts and ports of other rooms up.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, a name is not declared, or a file cannot be read.
    """
    build = ParameterBuilder(twin.start, resolve)
    slots = Slots(twin, name, build, resolve)
    factory, own = slots.factory, slots.own
    effects = build_effects(
        twin, "serving", name, lambda *given: problem(slots.factory, *given), build
    )
    accelerators = tuple(_accelerators(slots, key, effects) for key in factory.accelerators)
    plain = [_service(slots, key) for key in factory.services]
    step, port = own.scalar("step"), own.scalar("port_step")
    series = {key: own.series(key) for key in ("power_cap", "throttle", "pue")}
    price = own.series("energy_price", energy_price(twin))
    parameters, table = build.tables()
    horizon, fixed = twin.end - twin.start, fixed_parameters(parameters)
    tick = float(min(fixed[step], horizon))
    edges = np.array(report_edges(twin.start, twin.end, factory.report))
    services = tuple(
        replace(service, streams=weighted(service.streams, parameters, table, horizon))
        for service in plain
    )
    compiled = to.System(
        name=name,
        accelerators=accelerators,
        services=services,
        training=tuple(factory.training),
        parameters=parameters,
        series=table,
        power_cap=series["power_cap"],
        throttle=series["throttle"],
        pue=series["pue"],
        energy_price=price,
        start=twin.start,
        horizon=horizon,
        step=tick,
        edges=edges,
        port_edges=edges if port == NONE else _port_edges(float(fixed[port]), tick, horizon),
        inputs=build.inputs,
        users=build.users,
    )
    return with_tables(slots, compiled)


def _port_edges(step: float, tick: float, horizon: float) -> to.Floats:
    """Edges of the steps of ports, whole ticks each, s from the start."""
    each = max(round(step / tick), 1) * tick
    return np.append(np.arange(0.0, horizon - 1e-6, each), horizon)


def _accelerators(slots: Slots, name: str, effects: Effects) -> to.Accelerators:
    sheet, build = slots.accelerators(name), slots.build
    hardware = {key: _hardware(sheet, key) for key in Hardware._fields}
    by_rack = sheet.has("racks")
    per_rack = NONE
    with build.slipping(effects.slips.get(("accelerators", name), [])):
        number = sheet.series("racks") if by_rack else sheet.series("count")
    if number == NONE:
        sheet.needed("count", "services run on a number of GPUs")
    if by_rack:
        per_rack = hardware["domain"]
    mtbf = sheet.scalar("mtbf")
    return to.Accelerators(
        name=name,
        hardware=hardware,
        number=number,
        per_rack=per_rack,
        factors=tuple(effects.factors.get(("accelerators", name), ())),
        rent=sheet.series("rent", rent_of(sheet, slots.resolve)),
        mtbf=mtbf,
        mttr=sheet.needed("mttr", "GPUs that fail are repaired") if mtbf != NONE else NONE,
    )


def _hardware(sheet: Sheet, key: str) -> int:
    if key in ("fp8", "fp4"):
        return sheet.scalar(key, 0.0)
    return sheet.needed(key, "the performance model needs it")


def _architecture(sheet: Sheet) -> dict[str, int]:
    """Parameters of a language model; what follows from other fields is filled in."""
    found = {key: sheet.scalar(key) for key in Architecture._fields}
    for key in ("layers", "hidden", "vocabulary", "heads", "head_size"):
        if found[key] == NONE:
            found[key] = sheet.needed(key, "the performance model needs it")
    for key, other in (("kv_heads", "heads"), ("value_size", "head_size")):
        if found[key] == NONE:
            found[key] = found[other]
    return found


def _service(slots: Slots, name: str) -> to.Service:
    service = slots.factory.services[name]
    path = f"services.{name}"
    goals = slots.sheet(f"{path}.slo", service.slo)
    prefill = service.prefill
    role = "serve" if prefill is None else "decode"
    return to.Service(
        name=name,
        model=service.model,
        architecture=_architecture(slots.language_model(name)),
        engine=_engine(slots, name),
        pool=_replicas(slots, name, service, role),
        prefill=_replicas(slots, name, prefill, "prefill") if prefill is not None else None,
        streams=tuple(compile_stream(slots, name, key) for key in service.traffic),
        goals=to.Goals(*(goals.scalar(key) for key in ("ttft", "tpot", "e2e", "share"))),
        routing=service.routing,
        mode=service.mode,
        sample=service.sample,
        choices=_choices(slots, name),
        asked=service.search is not None,
    )


def _choices(slots: Slots, name: str) -> to.Choices:
    """What the search may choose from; without `search`: layouts of what is declared."""
    service = slots.factory.services[name]
    given = service.search or Choices(disaggregation=service.prefill is not None)
    sheet = slots.sheet(f"services.{name}.search", given)
    hardware = slots.accelerators(slots.pool_name(name))
    formats: list[Precisions | None] = [Precisions(weights=name) for name in given.precisions]
    formats = formats or [service.precision]
    return to.Choices(
        gpus=sheet.scalar("gpus"),
        power=sheet.scalar("power"),
        rate=sheet.scalar("rate"),
        bits={formats_of(one, hardware)[0]: bits_of(one, hardware) for one in formats},
        apart=given.disaggregation,
        together=service.prefill is None or service.search is not None,
        objective=given.objective,
    )


def _engine(slots: Slots, name: str) -> to.Engine:
    engine = slots.factory.services[name].engine
    sheet = slots.sheet(f"services.{name}.engine", engine)
    drafted, acceptance = 0, NONE
    if engine.speculation is not None:
        below = slots.sheet(f"services.{name}.engine.speculation", engine.speculation)
        drafted = engine.speculation.tokens
        acceptance = below.scalar("acceptance")
    return to.Engine(
        name=engine.name,
        release=engine.release,
        speed=sheet.scalar("speed"),
        error=slots.build.scalar(ERROR, f"{sheet.path}.error") if engine.calibrated else NONE,
        memory=sheet.scalar("memory"),
        sequences=engine.sequences,
        chunk=engine.chunk,
        block=engine.block,
        prefix_cache=engine.prefix_cache,
        overlap=float(engine.overlap),
        drafted=drafted,
        acceptance=acceptance,
        tables=engine.tables or "",
    )


def _replicas(slots: Slots, name: str, pool: Pool, role: str) -> to.Replicas:
    service = slots.factory.services[name]
    on = slots.pool_name(name, pool)
    path = f"services.{name}" + (".prefill" if role == "prefill" else "")
    sheet = slots.sheet(path, pool)
    kind, number = to.REST, NONE
    for code, key in ((to.REPLICAS, "replicas"), (to.GPUS, "gpus"), (to.SHARE, "share")):
        if sheet.has(key):
            kind, number = code, sheet.series(key)
    bits = bits_of(pool.precision or service.precision, slots.accelerators(on))
    parallel = pool.parallel or service.parallel
    return to.Replicas(
        role=role,
        on=list(slots.factory.accelerators).index(on),
        layout=layout_of(parallel, bits) if parallel is not None else None,
        bits=bits,
        kind=kind,
        number=number,
        scaling=_scaling(slots, path, pool.scaling),
    )


def _scaling(slots: Slots, path: str, scaling: Scaling | None) -> to.Scaling | None:
    if scaling is None:
        return None
    sheet = slots.sheet(f"{path}.scaling", scaling)
    keys = ("target", "interval", "startup", "cooldown")
    return to.Scaling(scaling.least, scaling.most, *(sheet.scalar(key) for key in keys))


def formats_of(precision: Precisions | None, hardware: Sheet) -> tuple[str, str, str, str]:
    """Formats of weights, experts, KV and operands; what is not declared follows from the GPU.

    Weights in a format that the GPU does not multiply are widened to BF16 on the way.
    """
    narrow = supports(hardware, "fp8")
    given = precision or Precisions(weights="fp8" if narrow else "bf16")
    small = to.BITS[given.weights] <= to.BITS["fp8"]
    kv = given.kv or ("fp8" if small and narrow else "bf16")
    compute = given.compute or (given.weights if supports(hardware, given.weights) else "bf16")
    return given.weights, given.experts or given.weights, kv, compute


def bits_of(precision: Precisions | None, hardware: Sheet) -> tuple[float, float, float, float]:
    """Bits of weights, experts, KV and operands."""
    weights, experts, kv, compute = (to.BITS[name] for name in formats_of(precision, hardware))
    return weights, experts, kv, compute


def supports(hardware: Sheet, precision: str) -> bool:
    """Whether a GPU multiplies operands of a format: FP8 and FP4 need units of their own."""
    bits = to.BITS[precision]
    if bits > to.BITS["fp8"]:
        return True
    value = hardware.value("fp8" if bits == to.BITS["fp8"] else "fp4")
    if precision == "int4" or value is None:
        return False
    if isinstance(value, Fact):
        library, as_of = hardware.twin.library, hardware.twin.as_of
        value = library.resolve(value.id, as_of, hardware.quantity("fp8").unit)
    return support(value)[1] > 0


def layout_of(parallel: Parallel, bits: tuple[float, float, float, float]) -> Layout:
    """A replica's layout; `expert_tensor x expert = tensor x data`."""
    ranks = parallel.tensor * parallel.data
    if parallel.expert is not None:
        expert = parallel.expert
        split = parallel.expert_tensor or max(ranks // expert, 1)
    else:
        split = parallel.expert_tensor or 1
        expert = max(ranks // split, 1)
    return Layout(
        tensor=float(parallel.tensor),
        pipeline=float(parallel.pipeline),
        data=float(parallel.data),
        expert_tensor=float(split),
        expert=float(expert),
        weight_bits=bits[0],
        expert_bits=bits[1],
        kv_bits=bits[2],
        compute_bits=bits[3],
    )
