"""Whether models fit: layouts that divide, memory, formats, goals that physics allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving import perf_weights as weights
from firsttoken.serving.compile import formats_of, supports
from firsttoken.serving.model_service import Pool
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.physics import (
    architecture_of,
    engine_of,
    hardware_of,
    mean_lengths,
    most_gpus,
)
from firsttoken.serving.slots import pools_of
from firsttoken.serving.system import Architecture, Hardware, Layout

if TYPE_CHECKING:
    from firsttoken.serving.check import View

GB = 1e9
OFF = 0.08
"""Share by which counted parameters may miss those published: vision towers, norms, biases."""

SEATS = 1 << 27
"""Most sequences that request engines follow: each takes some ten bytes."""
SIZES = ("replicas", "gpus", "share")
TENSORS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Case:
    """One kind of replica, with everything at its mean.

    Attributes
    ----------
    path : below the factory.
    gpus : most GPUs that the pool has at any time.
    """

    path: str
    pool: Pool
    on: str
    row: to.Replicas
    architecture: Architecture
    hardware: Hardware
    gpus: float


def check_fit(view: View, compiled: to.System) -> None:
    """Add findings on every service of a compiled factory."""
    drawn = fixed_parameters(compiled.parameters)
    names = list(view.factory.accelerators)
    for number, (name, service) in enumerate(view.factory.services.items()):
        row = compiled.services[number]
        model = architecture_of(row, drawn)
        before = len(view.findings.errors)
        rows = [row.pool, *([row.prefill] if row.prefill is not None else [])]
        for (below, pool), replicas in zip(pools_of(service), rows, strict=True):
            gpu = compiled.accelerators[replicas.on]
            case = Case(
                path=f"services.{name}" + (f".{below}" if below else ""),
                pool=pool,
                on=names[replicas.on],
                row=replicas,
                architecture=model,
                hardware=hardware_of(gpu, drawn),
                gpus=most_gpus(compiled, gpu, drawn),
            )
            _precision(view, case)
            _count(view, case, compiled, drawn)
            _scaling(view, case, drawn)
            if replicas.layout is not None:
                _layout(view, case, replicas.layout)
                _memory(view, case, replicas.layout, float(drawn[row.engine.memory]))
            if replicas is row.pool:
                _choices(view, name, compiled, row, case)
        _overlap(view, name, model, row)
        _published(view, name, model)
        _scheduler(view, name, row)
        _hashes(view, name, row)
        if len(view.findings.errors) == before:
            _goals(view, name, compiled, row, drawn)
            _planned(view, name, compiled, row)
    _seats(view, compiled, drawn)
    _cap(view, compiled, drawn)


def _planned(view: View, name: str, compiled: to.System, row: to.Service) -> None:
    """A layout that is to be found, or a plan that is asked for, where there is none."""
    from firsttoken.serving.plan import layouts_of, plan_services
    from firsttoken.twin.findings import InfeasibleError

    rows = (row.pool, *([row.prefill] if row.prefill is not None else []))
    laid_out = all(one.layout is not None for one in rows)
    if not row.streams or (laid_out and not _may_fail(compiled, row)):
        return
    path, hint = f"services.{name}", "change that, or declare `parallel`"
    if laid_out:
        path, hint = f"{path}.search", "change that, or remove `search`"
    try:
        alone = replace(compiled, services=(row,))
        if laid_out:
            plan_services(alone)
        else:
            layouts_of(alone)
    except InfeasibleError as error:
        why = str(error).partition("no configuration serves it: ")[2]
        what = "no plan is found" if laid_out else "no layout serves it"
        view.say(path, what, why, hint, "infeasible", warning=True)


def _may_fail(compiled: to.System, row: to.Service) -> bool:
    """Whether a search beside layouts is bound by more than goals, which those may reach.

    A search takes a second, and a twin is checked before each run.
    """
    drawn, choices, layout = fixed_parameters(compiled.parameters), row.choices, row.pool.layout
    if not row.asked or layout is None:
        return False
    few = float(layout.tensor * layout.pipeline * layout.data)
    small = choices.gpus != to.NONE and float(drawn[choices.gpus]) < few
    return small or choices.power != to.NONE or choices.rate != to.NONE


def _choices(view: View, name: str, compiled: to.System, row: to.Service, case: Case) -> None:
    """A search in formats that the GPU does not multiply, or on more GPUs than there are."""
    choices = view.factory.services[name].search
    if choices is None:
        return
    sheet, path = view.slots.accelerators(case.on), f"services.{name}.search"
    for form in choices.precisions:
        if not supports(sheet, form):
            what = f"{case.on!r} does not multiply {form.upper()}: weights are widened on the way"
            why = "they take less memory and bandwidth, but are no faster to multiply"
            view.say(f"{path}.precisions", what, why, "", "precision", warning=True)
    if row.choices.gpus == to.NONE or "ModelPort" in repr((choices.gpus, case.pool)):
        return
    owner = view.factory.accelerators[case.on]
    if "ModelPort" in repr((owner.count, owner.racks)):
        return
    asked = float(fixed_parameters(compiled.parameters)[row.choices.gpus])
    if asked > case.gpus:
        what, why = f"a search on {asked:,.0f} GPUs", f"{case.on!r} has {case.gpus:,.0f}"
        hint = "ask for less, or give more GPUs"
        view.say(f"{path}.gpus", what, why, hint, "size", warning=True)


def _overlap(view: View, name: str, model: Architecture, row: to.Service) -> None:
    """Half batches that take turns where nothing passes between ranks of experts."""
    layouts = [one.layout for one in (row.pool, row.prefill) if one is not None]
    alone = all(layout is not None and layout.data <= 1 for layout in layouts)
    if not row.engine.overlap or (model.experts and not alone):
        return
    what = "there is no exchange between ranks of experts to overlap"
    why = "a dense model has none" if not model.experts else "it has one rank of data"
    why += ", and half batches read the weights twice, which only slows it"
    view.say(f"services.{name}.engine.overlap", what, why, "remove it", "unread", warning=True)


def _seats(view: View, compiled: to.System, drawn: to.Floats) -> None:
    """Replicas whose single sequences do not fit into the memory of this machine."""
    from firsttoken.serving.calibrated import replicas_of

    for service in compiled.services:
        layout, part = service.pool.layout, {"requests": 1, "hybrid": service.sample}
        if layout is None or service.mode == "fluid":
            continue
        count = np.ceil(replicas_of(compiled, service.pool, layout, drawn) / part[service.mode])
        seats = count * service.engine.sequences * float(layout.data)
        if seats > SEATS:
            what = f"{count:,.0f} replicas with {seats:,.0f} sequences in all are too many"
            why = f"mode `{service.mode}` follows each of them"
            hint = "take mode `fluid`, or `hybrid` with a larger `sample`"
            view.say(f"services.{service.name}.mode", what, why, hint, "size")


def _published(view: View, name: str, model: Architecture) -> None:
    """A model whose matrices do not add up to what was published."""
    counted = float(np.asarray(weights.counts(model).total))
    declared = view.factory.services[name].model in view.factory.models
    if declared and model.parameters and abs(counted / float(model.parameters) - 1.0) > OFF:
        what = f"{name!r} has {counted / GB:,.1f} billion parameters by its shapes"
        why = f"published are {float(model.parameters) / GB:,.1f} billion"
        hint = "correct the shapes, or `parameters`"
        view.say(
            f"models.{view.factory.services[name].model}.parameters",
            what,
            why,
            hint,
            "parameters",
            warning=True,
        )


def _scheduler(view: View, name: str, row: to.Service) -> None:
    """Steps that have no room for prompts beside the sequences in decoding."""
    engine = row.engine
    need = engine.sequences * (1 + engine.drafted)
    if engine.chunk <= need:
        what = f"a step of {engine.chunk} tokens, while {need} of decoding sequences may be in it"
        hint = f"give `chunk` more than {need} tokens, or less `sequences`"
        view.say(
            f"services.{name}.engine.chunk", what, "prompts would never come in", hint, "chunk"
        )


def _hashes(view: View, name: str, row: to.Service) -> None:
    """Traces whose blocks have different sizes; blocks that do not cover whole KV blocks."""
    traces = {s.name: s.trace.hash_block for s in row.streams if s.trace is not None}
    if len(set(traces.values())) > 1:
        said = ", ".join(f"{size} in {key!r}" for key, size in traces.items())
        what = f"traces hash blocks of different sizes: {said}"
        hint = "make services of their own of them"
        view.say(f"services.{name}.traffic", what, "one prefix cache holds one size", hint, "trace")
    for stream in row.streams:
        known = stream.trace is not None and len(stream.trace.requests.hashes)
        if known and row.mode == "fluid" and row.engine.prefix_cache:
            what = "flows do not know which blocks of prompts are in the prefix cache"
            why = "every prompt is computed as a whole"
            hint = "take mode `requests`, or `hybrid` for the latencies"
            path = f"services.{name}.traffic.{stream.name}.trace"
            view.say(path, what, why, hint, "trace", warning=True)
    for size in set(traces.values()):
        if size % row.engine.block:
            what = f"hashed blocks of {size} tokens do not cover whole KV blocks"
            hint = f"take a divisor of {size}"
            view.say(f"services.{name}.engine.block", what, "", hint, "block")


def _cap(view: View, compiled: to.System, drawn: to.Floats) -> None:
    """A power cap below what GPUs and hosts take without any work."""
    if compiled.power_cap == to.NONE or "ModelPort" in repr(view.factory.power_cap):
        return
    table, least = compiled.series, 0.0
    for pool in compiled.accelerators:
        gpu = hardware_of(pool, drawn)
        least += most_gpus(compiled, pool, drawn) * (float(gpu.idle) + float(gpu.host))
    knots = slice(table.start[compiled.power_cap], table.start[compiled.power_cap + 1])
    lowest = float(drawn[table.knot_value[knots]].min())
    if lowest < least:
        what = f"a cap of {lowest / 1e3:,.1f} kW cannot be kept"
        why = f"GPUs and hosts take {least / 1e3:,.1f} kW without any work"
        view.say("power_cap", what, why, "raise it, or close GPUs for that time", "power")


def _precision(view: View, case: Case) -> None:
    """Formats that the GPU cannot multiply."""
    pool = case.pool
    if pool.precision is None:
        return
    sheet = view.slots.accelerators(case.on)
    compute = formats_of(pool.precision, sheet)[3]
    if not supports(sheet, compute):
        known = [name for name in ("bf16", "fp8", "fp4") if supports(sheet, name)]
        what = f"{case.on!r} does not multiply {compute.upper()}"
        why = "its data sheet gives no peak for it"
        hint = f"compute in {' or '.join(known)}, or take another GPU"
        view.say(f"{case.path}.precision.compute", what, why, hint, "precision")
    for field in ("weights", "experts"):
        given = getattr(pool.precision, field)
        if given is not None and not supports(sheet, given):
            what = f"{case.on!r} does not multiply {given.upper()}: weights are widened on the way"
            why = "they take less memory and bandwidth, but are no faster to multiply"
            view.say(f"{case.path}.precision.{field}", what, why, "", "precision", warning=True)
            break


def _layout(view: View, case: Case, layout: Layout) -> None:
    """Ranks that do not divide heads, experts and layers, or are more than there are."""
    a, path = case.architecture, f"{case.path}.parallel"
    tensor, expert = int(layout.tensor), int(layout.expert)
    wrong = [
        (a.heads, tensor, "tensor", "attention heads"),
        (a.experts, expert, "expert", "experts"),
        (a.expert_ffn, int(layout.expert_tensor), "expert_tensor", "columns of an expert"),
        (a.ffn, tensor, "tensor", "columns of the feed-forward layers"),
    ]
    for have, ranks, field, what in wrong:
        count = round(float(np.asarray(have)))
        if not count or not count % ranks:
            continue
        if field.startswith("expert") and not a.experts:
            continue
        if field == "expert" and case.pool.parallel and case.pool.parallel.expert is None:
            continue  # derived from the ranks; engines then hold experts twice
        fits = [str(n) for n in range(1, min(count, 128) + 1) if not count % n]
        hint = f"take one of {', '.join(fits)}"
        view.say(f"{path}.{field}", f"{count} {what} do not divide by {ranks}", "", hint, "layout")
    if a.kv_heads and tensor > a.kv_heads and tensor % int(a.kv_heads) and not a.kv_rank:
        what = f"{tensor} tensor ranks cannot share {int(a.kv_heads)} heads of keys and values"
        hint = f"take a multiple or a divisor of {int(a.kv_heads)}"
        view.say(f"{path}.tensor", what, "", hint, "layout")
    if layout.pipeline > a.layers:
        what = f"{int(layout.pipeline)} stages for {int(a.layers)} layers"
        view.say(f"{path}.pipeline", what, "", "take less stages", "layout")
    if layout.expert * layout.expert_tensor != layout.tensor * layout.data:
        what = f"experts lie on {int(layout.expert * layout.expert_tensor)} GPUs of a stage"
        why = f"attention on {int(layout.tensor * layout.data)}"
        hint = "make expert x expert_tensor = tensor x data"
        view.say(f"{path}.expert", what, why, hint, "layout")
    _ranks(view, case, layout)


def _ranks(view: View, case: Case, layout: Layout) -> None:
    """More ranks than an NVLink domain or the pool has."""
    path, domain = f"{case.path}.parallel", int(case.hardware.domain)
    gpus = int(layout.tensor * layout.pipeline * layout.data)
    if layout.tensor > domain:
        what = f"{int(layout.tensor)} tensor ranks reach beyond an NVLink domain of {domain}"
        why = "every layer would wait for the network twice"
        within = 1 << (domain.bit_length() - 1)
        hint = f"take tensor: {within}, and pipeline: {-(-int(layout.tensor) // within)}"
        view.say(f"{path}.tensor", what, why, hint, "domain")
    elif layout.tensor * layout.data > domain and case.architecture.experts:
        what = f"experts on {int(layout.tensor * layout.data)} GPUs reach beyond the NVLink domain"
        why = f"it has {domain}; tokens go to their experts over the network"
        view.say(f"{path}.data", what, why, f"{domain} is the most within", "domain", warning=True)
    if gpus > case.gpus:
        what = f"one replica takes {gpus} GPUs"
        why = f"{case.on!r} has {case.gpus:,.0f}"
        view.say(path, what, why, "take a smaller layout, or more GPUs", "size")


def _count(view: View, case: Case, compiled: to.System, drawn: to.Floats) -> None:
    """Sizes that never come to one replica, or to more than the pool has.

    What another room says is known in a run only, and not looked at.
    """
    if case.row.kind == to.REST or case.row.layout is None:
        return
    field = next(name for name in SIZES if getattr(case.pool, name) is not None)
    table, number, layout = compiled.series, case.row.number, case.row.layout
    knots = table.knot_value[table.start[number] : table.start[number + 1]]
    most, each = float(drawn[knots].max()), float(layout.tensor * layout.pipeline * layout.data)
    owner = view.factory.accelerators[case.on]
    size = owner.count if owner.count is not None else owner.racks
    elsewhere = "ModelPort" in repr(size)
    if "ModelPort" in repr(getattr(case.pool, field)) or (field == "share" and elsewhere):
        return
    gpus = most * {"replicas": each, "gpus": 1.0, "share": case.gpus}[field]
    if gpus < each:
        what = (
            f"there is never a replica, {field!r} gives {gpus:,.0f} GPUs and one takes {each:,.0f}"
        )
        hint = "give more, take a smaller layout, or remove the service"
        view.say(f"{case.path}.{field}", what, "no request would be served", hint, "size")
    elif field == "gpus" and len(knots) == 1 and gpus % each and gpus <= case.gpus:
        idle = gpus % each
        what = f"{gpus:,.0f} GPUs are no whole number of replicas of {each:,.0f}"
        why = f"{idle:,.0f} of them {'is' if idle == 1 else 'are'} never used by it"
        hint = f"give {gpus - idle:,.0f} or {gpus - idle + each:,.0f}"
        view.say(f"{case.path}.{field}", what, why, hint, "size", warning=True)
    elif gpus > case.gpus >= each and not elsewhere:
        what = f"{field!r} asks for {gpus:,.0f} GPUs"
        why = f"{case.on!r} has {case.gpus:,.0f}, and no more can serve"
        view.say(f"{case.path}.{field}", what, why, "ask for less", "size", warning=True)


def _scaling(view: View, case: Case, drawn: to.Floats) -> None:
    """Autoscaling that has no load to hold, or more replicas at least than at the most."""
    declared, row = case.pool.scaling, case.row.scaling
    if declared is None or row is None:
        return
    path = f"{case.path}.scaling"
    if not float(drawn[row.target]) > 0.0:
        what, why = "a target of no load", "replicas would be added without end"
        view.say(f"{path}.target", what, why, "70 % is usual", "scaling")
    if declared.most is not None and declared.least > declared.most:
        what = f"at least {declared.least} replicas, and at the most {declared.most}"
        view.say(f"{path}.least", what, "", "give `most` as many or more", "scaling")


def _memory(view: View, case: Case, layout: Layout, share: float) -> None:
    """Weights that do not fit; room for too little KV."""
    a, h = case.architecture, case.hardware
    usable = float(h.memory) * share
    held = float(weights.weight_bytes(a, layout))
    if held > usable:
        what = f"the weights take {held / GB:,.0f} GB on each GPU"
        why = f"{share:.0%} of its memory are {usable / GB:,.0f} GB"
        hint = _more_ranks(case, layout, usable)
        view.say(f"{case.path}.parallel", what, why, hint, "memory")


def _more_ranks(case: Case, layout: Layout, usable: float) -> str:
    """The smallest layout that holds the weights."""
    for tensor in TENSORS:
        ranks = tensor * float(layout.data)
        tried = layout._replace(tensor=float(tensor), expert=ranks / float(layout.expert_tensor))
        fits = float(weights.weight_bytes(case.architecture, tried)) < 0.8 * usable
        if tensor > layout.tensor and tensor <= case.hardware.domain and fits:
            return f"take tensor: {tensor}, or a narrower format of the weights"
    return "take more pipeline stages, a narrower format of the weights, or a GPU with more memory"


def _goals(view: View, name: str, compiled: to.System, row: to.Service, drawn: to.Floats) -> None:
    """Goals that not even one request alone on a replica reaches; requests that do not fit."""
    from firsttoken.serving.perf_point import aggregated_point, disaggregated_point

    layout = row.pool.layout
    if layout is None or not row.streams:
        return
    hardware = hardware_of(compiled.accelerators[row.pool.on], drawn)
    model = architecture_of(row, drawn)
    prompt, output, cached = mean_lengths(row, drawn)
    need = prompt + output
    room = float(kv_capacity(model, hardware, layout, need, 1.0))
    if room < need:
        what = f"a mean request of {need:,.0f} tokens does not fit into a replica's memory"
        why = f"beside the weights there is room for {max(room, 0.0):,.0f} tokens of KV"
        hint = "take more ranks, FP8 for KV, or a GPU with more memory"
        view.say(f"services.{name}.parallel", what, why, hint, "memory")
        return
    engine = engine_of(row.engine)
    if row.prefill is None or row.prefill.layout is None:
        point = aggregated_point(
            *(model, hardware, layout, prompt, output, 1.0),
            engine=engine,
            cached=cached,
            tables=row.pool.tables,
        )
    else:
        point = disaggregated_point(
            *(model, hardware, row.prefill.layout, layout, 1.0, 1.0, prompt, output, 1.0),
            engine=engine,
            cached=cached,
            tables=row.pool.tables,
        )
    speed = float(drawn[row.engine.speed])
    for goal, found in (("ttft", point.ttft), ("tpot", point.tpot), ("e2e", point.e2e)):
        index = getattr(row.goals, goal)
        if index == to.NONE:
            continue
        best, wanted = float(np.ravel(found)[0]) / speed, float(drawn[index])
        if best > wanted:
            what = f"{goal.upper()} of {wanted:g} s cannot be reached"
            why = f"one request alone on a replica takes {best:.3g} s"
            hint = "take more tensor ranks, a faster GPU or narrower formats, or ease the goal"
            view.say(f"services.{name}.slo.{goal}", what, why, hint, "slo")
