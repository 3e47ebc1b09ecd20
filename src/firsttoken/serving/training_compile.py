"""From a declared training job to a `TrainingSystem`: names become integers here only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from firsttoken.kernel.parameters import ParameterTable, SeriesTable, fixed_parameters
from firsttoken.kernel.streams import entity_key
from firsttoken.serving import parts
from firsttoken.serving.disrupt import problem
from firsttoken.serving.model_hardware import LanguageModel
from firsttoken.serving.model_training import Failure, Training
from firsttoken.serving.search_prices import energy_price, rent_of
from firsttoken.serving.slots import Slots, pools_of
from firsttoken.serving.system import Architecture, Floats, Hardware
from firsttoken.serving.training_memory import USABLE, training_memory
from firsttoken.serving.training_points import BITS, Points, packaged, point
from firsttoken.serving.training_power import STANDING, activity
from firsttoken.serving.training_simulate import (
    NONE,
    Share,
    TrainingLaw,
    TrainingRows,
    TrainingSystem,
)
from firsttoken.serving.training_state import Draws
from firsttoken.serving.training_step import (
    Job,
    model_flops,
    peak,
    release_years,
    step_seconds,
    step_terms,
)
from firsttoken.twin.effects import build_effects
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.sheets import Sheet
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin
from firsttoken.twin.units import parse_unit
from firsttoken.twin.values import (
    Constant,
    Distribution,
    Fact,
    ModelPort,
    Provenance,
    Signal,
    Value,
)

RECOMPUTE: Final = {"none": 0.0, "selective": 0.03, "full": 1.0}
"""Share of a forward pass that backward repeats; selective: norms and activation functions, 2-5 %
(Korthikanti et al., arXiv:2205.05198, Table 4)."""

BYTES: Final = ("memory", "bandwidth", "link", "network")
"""Fields of hardware declared in bytes; the tables hold bits."""


@dataclass(frozen=True)
class Sheets:
    """The sheets of a training job: its own, its GPUs', its language model's."""

    slots: Slots
    name: str
    job: Sheet
    pool: str
    hardware: Sheet
    model: Sheet

    @property
    def declared(self) -> Training:
        """The job as it is declared."""
        assert isinstance(self.job.declared, Training)
        return self.job.declared

    def finding(self, field: str, what: str, why: str = "", hint: str = "") -> TwinError:
        """A finding about a field of the job, to raise."""
        path = f"{self.job.path}.{field}" if field else self.job.path
        place = self.slots.twin.place(path)
        return TwinError(Finding(what, why, hint, path, "training", place=place))


def sheets_of(slots: Slots, name: str) -> Sheets:
    """The sheets of a training job.

    Raises
    ------
    TwinError
        If its model or pool is not declared.
    """
    declared = slots.factory.training[name]
    job = slots.sheet(f"training.{name}", declared)
    pool = _pool(slots, job, declared)
    return Sheets(slots, name, job, pool, slots.accelerators(pool), _model(slots, job, declared))


def _pool(slots: Slots, job: Sheet, declared: Training) -> str:
    known = list(slots.factory.accelerators)
    if declared.on is None and len(known) == 1:
        return known[0]
    path, place = f"{job.path}.on", slots.twin.place(job.path)
    if declared.on is None:
        hint = f"name one of {', '.join(known)}" if known else "declare `accelerators`"
        raise TwinError(Finding("'on' is missing", "", hint, path, "missing", place=place))
    if declared.on not in known:
        what = f"{declared.on!r} is no pool of GPUs"
        hint = nearest(declared.on, known)
        raise TwinError(Finding(what, "", hint, path, "reference", place=place))
    return declared.on


def _model(slots: Slots, job: Sheet, declared: Training) -> Sheet:
    """The sheet of the language model: declared under `models`, or of the library."""
    given = slots.factory.models.get(declared.model)
    name = declared.model if given is None else given.part
    path = f"{job.path}.model" if given is None else f"{slots.path}.models.{declared.model}"
    part = ""
    if name is not None:
        try:
            part = parts.find_model(slots.twin.library, name)
        except ValueError as error:
            hint = getattr(error, "hint", "") or nearest(name, list(slots.factory.models))
            place = slots.twin.place(path)
            raise TwinError(Finding(str(error), "", hint, path, "part", place=place)) from None
    return Sheet(slots.twin, slots.build, path, LanguageModel, given, part)


def compile_training(
    twin: Twin,
    name: str,
    job: str,
    resolve: Resolve,
    *,
    moments: Floats,
    edges: Floats,
    taken: float = 0.0,
) -> TrainingSystem:
    """Compile one training job of a token factory under the twin's active scenario.

    Parameters
    ----------
    name, job : instance under `serving`, and the job under its `training`.
    resolve : looks facts and ports of other rooms up.
    moments : edges between which GPUs and speed are constant; edges : of the report periods; s
        from the twin's start.
    taken : GPUs of its pool that jobs before it hold.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, the layout does not divide the GPUs or the batch, the
        GPU has not the format, or the job does not fit into memory.
    """
    build = ParameterBuilder(twin.start, resolve)
    slots = Slots(twin, name, build, resolve)
    sheets = sheets_of(slots, job)
    declared = sheets.declared
    gpus, per_rack, factors = _pool_rows(sheets)
    architecture, hardware, size = numbers_of(sheets)
    work = job_of(sheets, hardware, size)
    check_job(sheets, architecture, hardware, work)
    rows, draws, keeps = _rows(sheets, architecture, hardware, work)
    own = slots.own
    prices = (
        sheets.hardware.series("rent", rent_of(sheets.hardware, resolve)),
        own.series("energy_price", energy_price(twin)),
        own.series("pue", 1.0),
    )
    speed, cap = own.series("throttle"), own.series("power_cap")
    pools: tuple[Share, ...] = ()
    if cap != NONE:
        held = _held(twin, name, resolve)
        pools = tuple(_share(slots, pool, held) for pool in slots.factory.accelerators)
    parameters, series = build.tables()
    looked = (gpus, speed, cap, *factors, *(pool.number for pool in pools))
    return TrainingSystem(
        name=sheets.job.path,
        kinds=tuple(kind for kind, _ in _kinds(sheets)),
        parameters=parameters,
        series=series,
        rows=rows,
        draws=draws,
        keeps=keeps,
        gpus=gpus,
        speed=speed,
        per_rack=per_rack,
        factors=factors,
        taken=taken,
        cap=cap,
        first=slots.factory.power_first,
        pools=pools,
        own=list(slots.factory.accelerators).index(sheets.pool),
        replica=replica_gpus(work),
        replicas=float(work.gpus) / replica_gpus(work),
        node=nodes_of(declared, float(hardware.domain)),
        elastic=declared.elastic,
        moments=_with_knots(moments, parameters, series, looked),
        edges=edges,
        prices=prices,
        law=law_of(sheets, architecture, hardware, work),
        inputs=build.inputs,
        users=build.users,
    )


def _pool_rows(sheets: Sheets) -> tuple[int, int, tuple[int, ...]]:
    """Series of the pool's GPUs or racks, GPUs of one, and series of what disruptions leave."""
    slots, sheet = sheets.slots, sheets.hardware
    effects = build_effects(
        slots.twin,
        "serving",
        slots.name,
        lambda *given: problem(slots.factory, *given),
        slots.build,
    )
    with slots.build.slipping(effects.slips.get(("accelerators", sheets.pool), [])):
        by_rack = sheet.has("racks")
        gpus = sheet.series("racks" if by_rack else "count")
    if gpus == NONE:
        sheet.needed("count", "training runs on a number of GPUs")
    per_rack = sheet.needed("domain", "a rack has so many GPUs") if by_rack else NONE
    return gpus, per_rack, tuple(effects.factors.get(("accelerators", sheets.pool), ()))


def _with_knots(
    moments: Floats, parameters: ParameterTable, series: SeriesTable, rows: Sequence[int]
) -> Floats:
    """Moments, and those between at which series change (at the mean, if that is uncertain)."""
    fixed = fixed_parameters(parameters)
    spans = [series.knot_time[series.start[r] : series.start[r + 1]] for r in rows if r != NONE]
    knots = fixed[np.concatenate(spans)] if spans else np.empty(0)
    inside = knots[(knots > moments[0]) & (knots < moments[-1])]
    return np.asarray(np.unique(np.concatenate([moments, inside])))


def _share(slots: Slots, pool: str, held: dict[str, float]) -> Share:
    """What a pool takes of a cap on power."""
    sheet, build, why = slots.accelerators(pool), slots.build, "power is shared by it"
    by_rack = sheet.has("racks")
    number = sheet.series("racks" if by_rack else "count", 0.0)
    host = sheet.needed("host", why)
    watts = build.total(sheet.needed("tgp", why), host)
    serves = any(
        slots.pool_name(name, each) == pool
        for name, service in slots.factory.services.items()
        for _, each in pools_of(service)
    )
    base = build.total(sheet.needed("idle", why), host)
    return Share(
        number=number,
        per_rack=sheet.needed("domain", "a rack has so many") if by_rack else NONE,
        watts=watts,
        others=watts if serves else base,
        base=base,
        trained=held.get(pool, 0.0),
    )


def _held(twin: Twin, name: str, resolve: Resolve) -> dict[str, float]:
    """GPUs that all jobs hold, spares included, by pool, at the mean of what is uncertain."""
    build = ParameterBuilder(twin.start, resolve)
    slots = Slots(twin, name, build, resolve)
    found: dict[str, float] = {}
    for job in slots.factory.training:
        sheets = sheets_of(slots, job)
        rows = [sheets.job.needed("gpus", "a job has a size"), sheets.job.scalar("spares")]
        domain = sheets.hardware.needed("domain", "a node is a part of it")
        fixed = fixed_parameters(build.tables()[0])
        node = nodes_of(sheets.declared, float(fixed[domain]))
        gpus, spares = (round(float(fixed[row])) if row != NONE else 0 for row in rows)
        found[sheets.pool] = found.get(sheets.pool, 0.0) + (math.ceil(gpus / node) + spares) * node
    return found


def numbers_of(sheets: Sheets) -> tuple[Architecture, Hardware, float]:
    """Model and GPU at the mean of what is uncertain, and GPUs of the job."""
    build = sheets.slots.build
    size = sheets.job.needed("gpus", "a job has a size")
    rows = {key: sheets.model.scalar(key) for key in Architecture._fields}
    for key in ("layers", "hidden", "vocabulary", "heads", "head_size"):
        rows[key] = sheets.model.needed(key, "the time of a step follows from it")
    for key, other in (("kv_heads", "heads"), ("value_size", "head_size")):
        rows[key] = rows[other] if rows[key] == NONE else rows[key]
    plates = {
        key: sheets.hardware.scalar(key, 0.0)
        if key in ("fp8", "fp4")
        else sheets.hardware.needed(key, "the time of a step follows from it")
        for key in Hardware._fields
    }
    fixed = fixed_parameters(build.tables()[0])
    model = {key: 0.0 if row == NONE else float(fixed[row]) for key, row in rows.items()}
    plate = {key: float(fixed[row]) / (8.0 if key in BYTES else 1.0) for key, row in plates.items()}
    return Architecture(**model), Hardware(**plate), round(float(fixed[size]))


def job_of(sheets: Sheets, hardware: Hardware, gpus: float) -> Job:
    """The job as the time of a step sees it."""
    declared, layout = sheets.declared, sheets.declared.parallel
    bits, block = BITS[declared.precision]
    if float(peak(hardware, bits)) <= 0:
        known = [name for name, (b, _) in BITS.items() if float(peak(hardware, b)) > 0]
        what = f"the GPUs have no {declared.precision}"
        raise sheets.finding("precision", what, "", f"choose one of {', '.join(known)}")
    try:
        release = _newest() if not declared.release else release_years(declared.release)
    except ValueError as error:
        raise sheets.finding("release", str(error), "", "write yy.mm") from None
    return Job(
        gpus=gpus,
        batch=float(declared.batch),
        micro=float(declared.micro_batch),
        sequence=float(declared.sequence),
        tensor=float(layout.tensor),
        pipeline=float(layout.pipeline),
        context=float(layout.context),
        chunks=float(layout.chunks),
        expert=float(layout.expert),
        shard=float(layout.sharded),
        bits=float(bits),
        block=float(block),
        recompute=RECOMPUTE[declared.recompute],
        trained=0.0 if declared.adapters else 1.0,
        dropped=float(declared.capacity),
        release=release,
        imbalance=_imbalance(sheets),
    )


def _imbalance(sheets: Sheets) -> float:
    """Tokens of the busiest rank of experts over the mean, at its mean."""
    row = sheets.job.needed("imbalance", "experts wait for the busiest")
    return float(fixed_parameters(sheets.slots.build.tables()[0])[row])


def _newest() -> float:
    return float(np.max(packaged().job.release))


def replica_gpus(job: Job) -> float:
    """GPUs that stop together when one fails: a replica, or all over which experts are spread."""
    ranks = float(job.tensor * job.context)
    group = ranks * float(job.expert) / math.gcd(round(ranks), round(float(job.expert)))
    if float(job.shard) > 0 or float(job.gpus) % (group * float(job.pipeline)):
        return float(job.gpus)
    return group * float(job.pipeline)


def nodes_of(declared: Training, domain: float) -> float:
    """GPUs of a node: as declared, 4 (a tray) in domains larger than 8, else the domain."""
    if declared.node is not None:
        return float(declared.node)
    return 4.0 if domain > 8 else domain


def check_job(sheets: Sheets, a: Architecture, hardware: Hardware, job: Job) -> None:
    """Raise `TwinError` if a layout does not divide what it must, or the job does not fit."""
    ranks = float(job.tensor * job.pipeline * job.context)
    if float(job.gpus) % ranks:
        what = f"{float(job.gpus):g} GPUs are no whole number of replicas of {ranks:g}"
        hint = "tensor x pipeline x context must divide `gpus`"
        raise sheets.finding("gpus", what, "", hint)
    parallel = float(job.gpus) / float(job.pipeline)
    if float(job.expert) > 1 and float(a.experts) % float(job.expert):
        what = f"{float(a.experts):g} experts cannot be spread over {float(job.expert):g} ranks"
        raise sheets.finding("parallel.expert", what, "", "take a divisor of them")
    if parallel % float(job.expert):
        what = f"{float(job.expert):g} ranks of experts do not divide the {parallel:g} of a stage"
        raise sheets.finding("parallel.expert", what, "", "gpus / pipeline must be a multiple")
    if float(job.microbatches) % 1:
        what = f"a batch of {float(job.batch):g} sequences cannot be shared evenly"
        why = f"{float(job.data):g} replicas x {float(job.micro):g} of a microbatch"
        raise sheets.finding("batch", what, why, "make it a multiple of their product")
    if float(job.chunks) > 1 and float(job.pipeline) == 1:
        what = "chunks are interleaved between pipeline stages, and there is one"
        raise sheets.finding("parallel.chunks", what, "", "remove it, or raise `pipeline`")
    room = USABLE * float(hardware.memory)
    frugal = float(training_memory(a, job._replace(recompute=1.0)).total)
    if frugal > room:
        what = f"the job needs {frugal / 1e9:.0f} GB a GPU, which has {room / 1e9:.0f}"
        hint = "more ranks in `parallel`, `sharded`, or a smaller `micro_batch`"
        raise sheets.finding("parallel", what, "even if all activations are recomputed", hint)


def predicted(sheets: Sheets, a: Architecture, hardware: Hardware, job: Job) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of the time of a step, s."""
    from firsttoken.serving.training_calibration import shipped

    mean, deviation = shipped().logarithms(_point(sheets, a, hardware, job))
    return float(mean[0]), float(deviation[0])


def law_of(sheets: Sheets, a: Architecture, hardware: Hardware, job: Job) -> TrainingLaw:
    """What a step consists of: its terms, its memory, and its time with a 90 % interval."""
    from firsttoken.serving.training_calibration import shipped

    calibration = shipped()
    rates = calibration.rates
    terms = step_terms(a, hardware, job, rates)
    rounds = dict.fromkeys(("optimizer", "reduce"), 1.0)
    many = float(job.microbatches)
    shown = {key: float(value) * rounds.get(key, many) for key, value in terms._asdict().items()}
    whole = float(step_seconds(a, job, rates, terms))
    shown["bubble"] = (
        whole
        * float((job.pipeline - 1.0) / job.chunks)
        / (many + float((job.pipeline - 1.0) / job.chunks))
    )
    found = [math.nan, math.nan, math.nan]
    if sheets.declared.step_time is None:
        found = [float(x[0]) for x in calibration.predict(_point(sheets, a, hardware, job))]
    memory = training_memory(a, job)
    return TrainingLaw(
        terms=shown,
        median=found[0],
        low=found[1],
        high=found[2],
        flops=float(model_flops(a, job)),
        peak=float(peak(hardware, BITS[sheets.declared.precision][0])),
        memory={
            **{key: float(value) for key, value in memory._asdict().items()},
            "total": float(memory.total),
            "there": USABLE * float(hardware.memory),
        },
    )


def _point(sheets: Sheets, a: Architecture, hardware: Hardware, job: Job) -> Points:
    """The job as a point of the calibration; parts that are changed have no name there."""
    model = sheets.model.part if sheets.model.declared is None else ""
    fields = [f for f in Hardware._fields if sheets.hardware.is_written(f)]
    accelerator = "" if fields else sheets.hardware.part
    return point(model, accelerator, a, hardware, job)


def _rows(
    sheets: Sheets, a: Architecture, hardware: Hardware, job: Job
) -> tuple[TrainingRows, Draws, Any]:
    """Rows of parameters, what is drawn at each use, and which stops are planned."""
    own, build, declared = sheets.job, sheets.slots.build, sheets.declared
    saved = sheets.slots.sheet(f"training.{sheets.name}.checkpoints", declared.checkpoints)
    kinds = _kinds(sheets)
    seconds = own.scalar("step_time")
    if seconds == NONE:
        mean, deviation = predicted(sheets, a, hardware, job)
        source = Provenance("calibrated to measured steps (training_steps.csv)", confidence="B")
        value = Distribution(
            "lognormal", (mean, deviation), (), parse_unit("s"), "once", provenance=source
        )
        seconds = build.scalar(value, own.at("step_time"), "s")
    begin = NONE
    if declared.begin is not None:
        begin = build.scalar(declared.begin, own.at("begin"), "date", date=True)
    train, still, base = _watts(sheets, a, hardware, job)
    rows = TrainingRows(
        seconds=seconds,
        factor=own.scalar("speed"),
        tokens=build.constant(float(job.tokens)),
        target=own.scalar("tokens"),
        begin=begin,
        spares=own.scalar("spares"),
        interval=saved.scalar("interval"),
        pause=saved.scalar("pause"),
        write=saved.scalar("write"),
        mtbf=np.array([sheet.scalar("mtbf") for _, sheet in kinds], dtype=np.int64),
        replace=np.array([sheet.scalar("replace", 1.0) for _, sheet in kinds], dtype=np.int64),
        train=train,
        still=still,
        base=base,
        repair=build.constant(0.0),
    )
    # Failures of the pool are repaired as it says, unless the job says otherwise.
    pool = not declared.failures and not own.is_written("repair") and sheets.hardware.has("mttr")
    repair = (sheets.hardware, "mttr") if pool else (own, "repair")
    each = [(own, "restart"), (saved, "load"), repair]
    each += [(sheet, "detect") for _, sheet in kinds]
    drawn = _draws(sheets, [(sheet.value(field), sheet.at(field)) for sheet, field in each])
    keeps = np.array([bool(sheet.raw("planned")) for _, sheet in kinds], dtype=np.bool_)
    return rows, drawn, keeps


def _kinds(sheets: Sheets) -> list[tuple[str, Sheet]]:
    """Kinds of failures; where none is declared, those of the pool with its `mtbf` and `mttr`."""
    below = f"training.{sheets.name}.failures"
    declared = sheets.declared.failures
    if declared:
        return [(k, sheets.slots.sheet(f"{below}.{k}", kind)) for k, kind in declared.items()]
    mtbf = sheets.hardware.value("mtbf")
    if mtbf is None:
        return []
    return [("gpu", sheets.slots.sheet(f"{below}.gpu", Failure(mtbf=mtbf)))]


def _watts(sheets: Sheets, a: Architecture, hardware: Hardware, job: Job) -> tuple[int, int, int]:
    """Parameters of W of a GPU and its host: training, standing still, without work."""
    from firsttoken.serving.training_calibration import shipped

    build = sheets.slots.build
    span = float(hardware.tgp) - float(hardware.idle)
    least = float(hardware.idle) + float(hardware.host)
    base, still = build.constant(least), build.constant(least + STANDING * span)
    if sheets.declared.activity is not None:
        share = build.product(sheets.job.scalar("activity"), build.constant(span))
        return build.total(share, base), still, base
    rates = shipped().rates
    busy = float(activity(a, job, rates, step_terms(a, hardware, job, rates)))
    return build.constant(least + busy * span), still, base


def _draws(sheets: Sheets, given: list[tuple[Value | None, str]]) -> Draws:
    """Rows of what is drawn at each use."""
    from firsttoken.twin.parameters import ParameterBuilder as Builder

    twin = sheets.slots.twin
    alone = Builder(twin.start, sheets.slots.resolve)
    rows = [
        alone.scalar(_plain(sheets, value), path, "s", once=False) if value is not None else NONE
        for value, path in given
    ]
    table, _ = alone.tables()
    if len(table.table):
        raise sheets.finding("", "times of failures cannot be tables", "", "use a family")
    args = np.array([table.args[row] for row in rows]).reshape(-1, 4)
    entity = np.array([entity_key(path) for _, path in given], dtype=np.uint32)
    return Draws(np.array([table.code[row] for row in rows], dtype=np.int64), args, entity)


def _plain(sheets: Sheets, value: Value) -> Value:
    """The value that a reference leads to; one that changes with time has no place here."""
    found = value
    while isinstance(found, Fact | ModelPort | Signal):
        found = sheets.slots.resolve(found, "s")
    if not isinstance(found, Constant | Distribution):
        raise sheets.finding("", "a time after failures cannot change with time", "", "give one")
    return found
