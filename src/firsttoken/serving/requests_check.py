"""What is wrong with a system of the request mode, all of it at once."""

from __future__ import annotations

import numpy as np

from firsttoken.serving.requests_state import MOST_STRIDE
from firsttoken.serving.requests_system import (
    COUNT,
    FAIL,
    SPEED,
    Pool,
    Requests,
    System,
    pools_of,
)
from firsttoken.twin.findings import Finding, Findings


def check_system(system: System) -> None:
    """Raise `TwinError` if a system cannot be simulated; the findings name what would mend it."""
    wrong = Findings()
    for pool, path in zip(pools_of(system), ("pool", "decode"), strict=False):
        _check_pool(pool, system, path, wrong)
    if not system.tenants:
        wrong.add(Finding("there is no tenant", "requests belong to one", "name one", "tenants"))
    if not system.horizon > 0.0 or not system.tick > 0.0:
        why = "the horizon and the tick of the series are times"
        wrong.add(Finding("nothing to simulate", why, "give more than 0 s", "horizon"))
    if isinstance(system.traffic, Requests):
        check_requests(system.traffic, len(system.tenants), wrong)
    for change in system.changes:
        _check_change(system, change.pool, change.what, change.value, wrong)
    wrong.raise_if_errors()


def _check_pool(pool: Pool, system: System, path: str, wrong: Findings) -> None:
    def say(what: str, why: str, hint: str, field: str) -> None:
        wrong.add(Finding(what, why, hint, f"{path}.{field}", "requests"))

    if pool.replicas < 1:
        say("there are no replicas", "requests need at least one", "give GPUs", "replicas")
    if pool.sequences < 1 or pool.width < 1 or not pool.progress >= 1.0:
        say("no sequence fits a step", "batch, width and progress are at least 1", "", "sequences")
    if pool.chunk < pool.sequences * pool.width + 1:
        what = f"a step of {pool.chunk} tokens, while {pool.sequences} sequences may decode"
        hint = f"give the step more than {pool.sequences * pool.width} tokens, or fewer sequences"
        say(what, "prompts would never come in", hint, "chunk")
    if pool.block < 1 or int(pool.block / pool.progress) > MOST_STRIDE:
        say(f"KV blocks of {pool.block} tokens", f"1 to {MOST_STRIDE} are known", "", "block")
    elif system.hash_block % pool.block:
        what = f"hashes of {system.hash_block} tokens do not cover whole blocks of {pool.block}"
        say(what, "known blocks are shared as a whole", "choose a divisor", "block")
    if pool.block >= 1 and not pool.law.kv_tokens >= pool.block:
        what = f"there is KV memory for {pool.law.kv_tokens:.0f} tokens"
        say(what, "the model leaves none", "use more GPUs a replica or fewer bits", "law.kv_tokens")
    if not pool.law.overhead > 0.0:
        say("steps have no overhead", "time must pass in each step", "", "law.overhead")
    if not (pool.mtbf > 0.0 and pool.mttr >= 0.0):
        say("times of failures are not positive", "", "give MTBF > 0 and MTTR >= 0", "mtbf")
    if (scaling := pool.scaling) is not None and (
        not 0 <= scaling.least <= pool.replicas
        or not scaling.target > 0.0
        or not scaling.interval > 0.0
        or not scaling.tolerance >= 0.0
    ):
        say("autoscaling cannot work", "0 <= least <= replicas, target > 0", "", "scaling")


def check_requests(requests: Requests, tenants: int, wrong: Findings) -> None:
    """Add what is wrong with requests: none, out of order, without length, of nobody."""

    def say(what: str, why: str, hint: str) -> None:
        wrong.add(Finding(what, why, hint, "traffic", "requests"))

    arrival = requests.arrival
    if not len(arrival):
        say("there is no request", "nothing would be served", "give a trace or a rate")
        return
    if not np.isfinite(arrival).all() or arrival[0] < 0.0:
        row = int(np.flatnonzero(~(np.isfinite(arrival) & (arrival >= 0.0)))[0])
        say(f"request {row + 1} arrives at {arrival[row]} s", "times count from the start", "")
    elif (np.diff(arrival) < 0.0).any():
        row = int(np.flatnonzero(np.diff(arrival) < 0.0)[0]) + 1
        say(f"request {row + 1} arrives before the one above it", "order by arrival", "sort them")
    for name in ("prompt", "output"):
        length = getattr(requests, name)
        if (length < 1).any():
            row = int(np.flatnonzero(length < 1)[0])
            what = f"request {row + 1} has {name} tokens: {length[row]}"
            say(what, "a prompt and an answer have at least one", "drop it, or say what it had")
    if ((requests.cached < 0) | (requests.cached > requests.prompt)).any():
        say("more tokens are cached than the prompt has", "", "give 0 <= cached <= prompt")
    if ((requests.tenant < 0) | (requests.tenant >= tenants)).any():
        say("requests of a tenant that does not exist", f"there are {tenants}", "")
    spans = np.diff(requests.first)
    if len(requests.first) != len(arrival) + 1 or (spans < 0).any():
        say("hashes do not belong to requests", "one more beginning than requests", "")


def _check_change(system: System, p: int, what: int, value: float, wrong: Findings) -> None:
    pools = pools_of(system)
    if not 0 <= p < len(pools):
        wrong.add(Finding(f"a change of pool {p}", f"there are {len(pools)}", "", "changes"))
        return
    most = pools[p].replicas
    low, high = 0.0, np.inf
    if what == COUNT:
        high = most
    elif what == FAIL:
        high = most - 1
    elif what == SPEED:
        high = 1.0
    if not low <= value <= high:
        text = f"a change to {value:g} that is not in [{low:g}, {high:g}]"
        wrong.add(Finding(text, "", "", "changes", "requests"))
