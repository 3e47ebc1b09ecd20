"""What is wrong with a token factory beyond what its classes can say.

Names that lead nowhere, fields that nothing reads, models that do not fit, goals that cannot be
reached: all are found before a run, and all at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from firsttoken.serving import model
from firsttoken.serving.disrupt import problem
from firsttoken.serving.model_service import Pool, Service
from firsttoken.serving.model_traffic import Traffic
from firsttoken.serving.slots import Slots, pools_of
from firsttoken.twin.effects import check_effects
from firsttoken.twin.findings import Finding, Findings, Severity, TwinError
from firsttoken.twin.parameters import ParameterBuilder
from firsttoken.twin.schema import quantities
from firsttoken.twin.sheets import Sheet
from firsttoken.twin.values import Constant, Fact, ModelPort, Signal, Value

if TYPE_CHECKING:
    from firsttoken.serving.deployment import System
    from firsttoken.serving.training_simulate import TrainingSystem
    from firsttoken.twin.twin import Twin

SIZES = ("replicas", "gpus", "share")
BY_RATE = ("rate", "day", "week", "burstiness", "prompt", "output", "cached")
"""Fields of traffic that a trace tells itself."""

MOST = 1 << 30
"""Most bytes of results by report period."""
COUNTED = 40 * 8
"""Bytes of a report period of a service and replication."""
TICK, LONG = 1e-4, 1.0
"""Seconds of computing that a service takes in a tick of the fluid mode, about, and hours of them
that are worth a warning."""
PACE = 15_000.0
"""Requests a second of computing in mode `requests`, about."""
TICKS = 1 << 25
"""Most steps of the time: arrays of them are kept for each pool and service (a year of seconds)."""
STANDS = 0.05
"""Share of the time for which a training job waits for nodes that is worth a warning."""


class View:
    """A token factory while it is checked."""

    def __init__(self, twin: Twin, name: str, findings: Findings) -> None:
        self.twin, self.name, self.findings = twin, name, findings
        self.slots = Slots(twin, name, ParameterBuilder(twin.start, self.resolve), self.resolve)
        self.factory: model.Serving = self.slots.factory

    def resolve(self, reference: Fact | ModelPort | Signal, unit: str) -> Value:
        """Facts from the library; 1 for what only a run knows."""
        if isinstance(reference, Fact):
            return self.twin.library.resolve(reference.id, self.twin.as_of, unit)
        return Constant(1.0)

    def say(
        self,
        path: str,
        what: str,
        why: str = "",
        hint: str = "",
        code: str = "reference",
        warning: bool = False,
    ) -> None:
        """Add a finding at a path below the factory."""
        full = f"{self.slots.path}.{path}" if path else self.slots.path
        place = self.twin.place(full)
        severity: Severity = "warning" if warning else "error"
        self.findings.add(Finding(what, why, hint, full, code, severity, place))


def check_factory(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with one token factory."""
    view = View(twin, name, findings)
    before = len(findings.errors)
    for look in (_accelerators, _services, _disruptions, _power, _size):
        look(view)
    if len(findings.errors) == before:
        _compiled(view)


def _accelerators(view: View) -> None:
    """Data sheets that are incomplete; GPUs counted twice or not at all."""
    for name, pool in view.factory.accelerators.items():
        path = f"accelerators.{name}"
        try:
            sheet = view.slots.accelerators(name)
        except TwinError as error:
            view.findings.extend(error.findings)
            continue
        _facts(view, sheet)
        if pool.count is not None and pool.racks is not None:
            what = "'count' and 'racks' both say how many GPUs there are"
            view.say(f"{path}.count", what, "", "keep one of them", "size")
        if pool.count is None and pool.racks is None:
            view.findings.add(sheet.missing("count", "services run on a number of GPUs"))
        if (pool.mtbf is None) != (pool.mttr is None):
            given, other = ("mtbf", "mttr") if pool.mtbf is not None else ("mttr", "mtbf")
            what = f"{given!r} is read with {other!r} only"
            view.say(f"{path}.{given}", what, "", f"give {other!r}, or remove it", "unread")


def _facts(view: View, sheet: Sheet) -> None:
    for field in quantities(sheet.model):
        if sheet.fact(field):
            try:
                sheet.value(field)
            except TwinError as error:
                view.findings.extend(error.findings)


def _services(view: View) -> None:
    """Names, sizes and traffic of services."""
    rest: dict[str, str] = {}
    for name, service in view.factory.services.items():
        path = f"services.{name}"
        try:
            _facts(view, view.slots.language_model(name))
        except TwinError as error:
            view.findings.extend(error.findings)
        for below, pool in pools_of(service):
            _sizes(view, f"{path}.{below}" if below else path, name, pool, rest)
        _unread(view, path, service)
        if not service.traffic:
            what, hint = "no requests come", "declare them: traffic: {users: {rate: 10 request/s}}"
            view.say(path, what, "`traffic` is empty", hint, "traffic")
        for tenant, traffic in service.traffic.items():
            _traffic(view, f"{path}.traffic.{tenant}", traffic)


def _sizes(view: View, path: str, name: str, pool: Pool, rest: dict[str, str]) -> None:
    """At most one way to tell how many replicas; one service a pool that takes what is left."""
    given = [field for field in SIZES if getattr(pool, field) is not None]
    if len(given) > 1:
        what = f"{' and '.join(map(repr, given))} both say how many replicas there are"
        view.say(f"{path}.{given[0]}", what, "", "keep one of them", "size")
    try:
        on = view.slots.pool_name(name, pool)
    except TwinError as error:
        view.findings.extend(error.findings)
        return
    if not given:
        if on in rest:
            what = f"two take all that is left of {on!r}"
            why = f"so does {rest[on]}"
            view.say(path, what, why, "give one of them `replicas`, `gpus` or `share`", "size")
        rest[on] = path


def _unread(view: View, path: str, service: Service) -> None:
    """Fields that the service's mode does not read."""
    if "sample" in service.model_fields_set and service.mode != "hybrid":
        what = "'sample' is read in mode `hybrid` only"
        view.say(f"{path}.sample", what, "", "remove it, or say `mode: hybrid`", "unread")
    if service.routing in ("prefix", "session") and not service.engine.prefix_cache:
        what = f"routing by {service.routing} without a prefix cache"
        hint = "set `engine.prefix_cache: true`, or route to the least loaded"
        view.say(f"{path}.routing", what, "no KV is used again", hint, "unread")
    _engine(view, path, service)
    if service.engine.release and not service.engine.name:
        what = "a release without the engine's name"
        view.say(f"{path}.engine.release", what, "", "name it: vllm, sglang, trtllm", "unread")


def _engine(view: View, path: str, service: Service) -> None:
    """A name that no measured point has is as fast as the mean of all; often it is a slip."""
    from firsttoken.serving.perf_efficiency import ENGINES

    name = service.engine.name
    if name and name not in ENGINES:
        what = f"no measured points of an engine {name!r}"
        why = "it counts as fast as the mean of all"
        hint = f"known are {', '.join(sorted(ENGINES))}; set `engine.speed` for another"
        view.say(f"{path}.engine.name", what, why, hint, "reference", warning=True)


def _traffic(view: View, path: str, traffic: Traffic) -> None:
    """A trace or a rate, and what goes with it."""
    written = traffic.model_fields_set
    if traffic.trace is not None:
        for field in BY_RATE:
            if field in written:
                what = f"{field!r} is read without a trace only"
                why = "the trace tells it"
                view.say(f"{path}.{field}", what, why, "remove it, or the trace", "unread")
    else:
        if "repeat" in written:
            hint = "remove it, or name a trace"
            view.say(f"{path}.repeat", "'repeat' is read with a trace only", "", hint, "unread")
        sheet = view.slots.sheet(path, traffic)
        for field, why in (
            ("rate", "requests come at a rate, or from a `trace`"),
            ("prompt", "requests have prompts"),
            ("output", "requests have answers"),
        ):
            if not sheet.has(field):
                view.findings.add(sheet.missing(field, why))
    for field, count in (("day", 24), ("week", 7)):
        given = getattr(traffic, field)
        if given and len(given) != count:
            what = f"{len(given)} factors stand in {field!r}"
            view.say(f"{path}.{field}", what, "", f"write {count} of them, or none", "length")
        elif given and not any(given):
            what = f"all factors in {field!r} are 0"
            view.say(f"{path}.{field}", what, "no request would ever come", "", "traffic")


def _disruptions(view: View) -> None:
    wrong = partial(problem, view.factory)
    check_effects(view.twin, "serving", view.name, wrong, view.findings)


def _size(view: View) -> None:
    """Results by report period must fit into memory."""
    from firsttoken.twin.dates import report_edges

    twin, report = view.twin, view.factory.report
    periods = len(report_edges(twin.start, twin.end, report)) - 1
    if periods * twin.replications * COUNTED * len(view.factory.services) > MOST:
        what = f"{twin.replications} replications with {periods:,.0f} report periods are too many"
        hint = "report by day or month, or run less replications"
        view.say("report", what, "their results would take more than 1 GB", hint, "size")


def _computing(view: View, compiled: System) -> None:
    """Warn of hours of computing, which a default number of replications may bring."""
    twin, step = view.twin, compiled.step
    time = (twin.end - twin.start) * twin.replications
    flows = sum(service.mode != "requests" for service in view.factory.services.values())
    hours = flows * time / step * TICK / 3600.0
    if hours > LONG:
        what = (
            f"{twin.replications} replications of {flows} services in steps of {step:g} s are many"
        )
        why = f"they take about {hours:,.0f} hours of one core"
        hint = "write `replications: 20`, or a longer `step`"
        view.say("", what, why, hint, "size", warning=True)
    for service in compiled.services:
        part = {"requests": 1.0, "hybrid": 1.0 / service.sample}.get(service.mode, 0.0)
        asked = part * sum(stream.mean for stream in service.streams) * time
        if (hours := asked / PACE / 3600.0) > LONG:
            what = f"{asked:,.0f} requests are simulated one by one"
            why = f"in {twin.replications} replications; that takes about {hours:,.0f} core-hours"
            hint = "take mode `fluid` or `hybrid`, or less `replications`"
            view.say(f"services.{service.name}", what, why, hint, "size", warning=True)


def _power(view: View) -> None:
    """Who comes first under a cap that there is not, or where nobody is to come second."""
    factory = view.factory
    if "power_first" not in factory.model_fields_set:
        return
    for given, other in (
        (factory.power_cap is not None, "`power_cap`"),
        (bool(factory.training), "`training`"),
    ):
        if not given:
            what = f"'power_first' is read with {other} only"
            view.say("power_first", what, "", f"give {other}, or remove it", "unread")
            return


def _steps(view: View, compiled: System) -> None:
    """Steps that are longer than the time, or too many for memory."""
    from firsttoken.kernel.parameters import fixed_parameters

    told = view.slots.own.scalar("step")
    table, _ = view.slots.build.tables()
    step = float(fixed_parameters(table)[told])
    if step > compiled.horizon * (1 + 1e-9):
        what = f"a step of {step:,g} s in a horizon of {compiled.horizon:,g} s"
        why = "the whole time is one step"
        view.say("step", what, why, "take a shorter step", "step", warning=True)
    count = compiled.horizon / compiled.step
    if count > TICKS:
        what = f"{count:,.0f} steps of {compiled.step:g} s are too many"
        why = "power and replicas are kept for each of them"
        hint = f"take steps of {compiled.horizon / TICKS:.2g} s or longer"
        view.say("step", what, why, hint, "size")


def _silent(view: View, compiled: System) -> None:
    """Streams that never bring a request."""
    for service in compiled.services:
        for stream in service.streams:
            if stream.mean > 0.0 or _elsewhere(view, service.name, stream.name):
                continue
            traffic = view.factory.services[service.name].traffic[stream.name]
            field = "scale" if "scale" in traffic.model_fields_set else "rate"
            path = f"services.{service.name}.traffic.{stream.name}.{field}"
            what = f"no request ever comes: {field!r} is 0 at all times"
            hint = "give it a rate, or remove it"
            view.say(path, what, "", hint, "traffic", warning=True)


def _lengths(view: View, compiled: System) -> None:
    """Prompts and answers without a token, which engines would raise to one."""
    from firsttoken.kernel.parameters import fixed_parameters

    drawn = fixed_parameters(compiled.parameters)
    for service in compiled.services:
        for stream in service.streams:
            for field in ("prompt", "output"):
                row = getattr(stream, field)
                if row < 0 or drawn[row] >= 1.0:
                    continue
                what = f"{field!r} has {drawn[row]:.3g} tokens in the mean"
                why, hint = "a request has at least one of each", "give 1 or more"
                path = f"services.{service.name}.traffic.{stream.name}.{field}"
                view.say(path, what, why, hint, "traffic")


def _elsewhere(view: View, service: str, stream: str) -> bool:
    """Whether another room says the rate, which a run only knows."""
    traffic = view.factory.services[service].traffic[stream]
    return "ModelPort" in repr((traffic.rate, traffic.scale))


def _compiled(view: View) -> None:
    """What only compiling shows: layouts, memory, goals, traces."""
    from firsttoken.serving.check_fit import check_fit
    from firsttoken.serving.check_power import check_power
    from firsttoken.serving.compile import compile_factory

    if not view.factory.accelerators and not view.factory.services:
        return
    try:
        compiled = compile_factory(view.twin, view.name, view.resolve)
    except TwinError as error:
        view.findings.extend(error.findings)
        return
    _steps(view, compiled)
    _computing(view, compiled)
    _silent(view, compiled)
    _lengths(view, compiled)
    check_fit(view, compiled)
    held, jobs = _training(view)
    _left(view, compiled, held)
    if not view.findings.errors:
        check_power(view, compiled, jobs)


def _training(view: View) -> tuple[dict[str, float], list[TrainingSystem]]:
    """Layouts, memory and formats of training jobs; GPUs that they hold, by pool, and the jobs."""
    import math

    import numpy as np

    from firsttoken.serving.training_compile import compile_training
    from firsttoken.twin.dates import report_edges

    twin = view.twin
    edges = np.array(report_edges(twin.start, twin.end, view.factory.report))
    held: dict[str, float] = {}
    jobs = []
    for job, declared in view.factory.training.items():
        try:
            system = compile_training(
                view.twin, view.name, job, view.resolve, moments=edges[[0, -1]], edges=edges
            )
        except TwinError as error:
            view.findings.extend(error.findings)
        else:
            _nodes(view, job, system)
            nodes = math.ceil(system.replica * system.replicas / system.node - 1e-9)
            pool = declared.on or next(iter(view.factory.accelerators))
            held[pool] = held.get(pool, 0.0) + (nodes + _spares(system)) * system.node
            jobs.append(system)
    return held, jobs


def _spares(system: TrainingSystem) -> int:
    """Nodes held ready beside a job's, at the mean of what is uncertain."""
    from firsttoken.kernel.parameters import fixed_parameters

    spares = system.rows.spares
    return round(float(fixed_parameters(system.parameters)[spares])) if spares >= 0 else 0


def _left(view: View, compiled: System, held: dict[str, float]) -> None:
    """Services whose replicas do not fit beside training, which takes its GPUs first."""
    from firsttoken.kernel.parameters import fixed_parameters
    from firsttoken.serving.physics import most_gpus

    drawn, names = fixed_parameters(compiled.parameters), list(view.factory.accelerators)
    for (name, service), row in zip(view.factory.services.items(), compiled.services, strict=True):
        rows = [row.pool, *([row.prefill] if row.prefill is not None else [])]
        for (below, _), one in zip(pools_of(service), rows, strict=True):
            on, layout = names[one.on], one.layout
            owner = view.factory.accelerators[on]
            if on not in held or "ModelPort" in repr((owner.count, owner.racks)):
                continue
            most = most_gpus(compiled, compiled.accelerators[one.on], drawn)
            each = layout.tensor * layout.pipeline * layout.data if layout is not None else 1
            if most - held[on] < each:
                what = f"training leaves it {max(most - held[on], 0):,.0f} GPUs"
                why = f"it holds {held[on]:,.0f} of the {most:,.0f} of {on!r}, spares included; "
                why += f"a replica takes {each:,.0f}, no request would be served while it runs"
                hint = "give training less, or more GPUs"
                path = f"services.{name}" + (f".{below}" if below else "")
                view.say(path, what, why, hint, "size", warning=True)


def _nodes(view: View, job: str, system: TrainingSystem) -> None:
    """A job that waits for nodes in repair, as it has too few spares.

    Nodes fail while the job runs, and repairs go on beside each other: with n spares it stands for
    the share of the time in which n + 1 nodes are away, Erlang's loss formula for n + 1 servers
    (it holds for any distribution of repairs: Sevastyanov, Theory of Probability 2 (1957) 104).
    """
    import math

    import numpy as np

    from firsttoken.kernel import sampling
    from firsttoken.kernel.parameters import fixed_parameters

    rows, drawn = system.rows, fixed_parameters(system.parameters)
    if system.elastic or not len(rows.mtbf):
        return
    gpus = system.replica * system.replicas
    taken = gpus * float(np.sum(drawn[rows.replace] / drawn[rows.mtbf]))
    repair = sampling.mean(int(system.draws.code[2]), system.draws.args[2], system.parameters.table)
    away = taken * repair
    spares = _spares(system)

    def stands(spare: int) -> float:
        lost = 1.0
        for servers in range(1, spare + 2):
            lost = away * lost / (servers + away * lost)
        return lost

    if not away > 0 or not math.isfinite(away) or stands(spares) < STANDS:
        return
    most = spares + 2 + math.ceil(away + 5.0 * math.sqrt(away))
    enough = next((n for n in range(spares, most) if stands(n) < 0.01), most)
    what = f"the job stands for want of nodes for about {stands(spares):.0%} of the time"
    why = (
        f"one fails every {1 / taken / 3600:,.2g} hours and is away for {repair / 3600:,.3g}; "
        f"it has {spares} spares"
    )
    hint = f"give `spares: {enough}`, or say `elastic: true`"
    view.say(f"training.{job}.spares", what, why, hint, "spares", warning=True)
