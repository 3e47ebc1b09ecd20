"""The books of a simulation: requests, tokens, blocks and energy, none lost and none made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.serving.requests_machine import Machine
from firsttoken.serving.requests_state import (
    COLUMNS,
    DECODED,
    ENERGY,
    MOVING,
    NOWHERE,
    PREFILLED,
    READY,
)
from firsttoken.twin.findings import BalanceError

Integers = npt.NDArray[np.int64]


def check_books(machine: Machine, held: Integers, made: Integers) -> None:
    """Raise `BalanceError` if the books of a replication do not balance.

    Parameters
    ----------
    held, made : requests in the system when the statistics began, and their tokens, [C].
    """
    rows = machine["sequence"]
    live = rows[rows["place"] != NOWHERE]
    counts = machine["count"]
    tenants = len(machine.system.tenants)
    inside = np.bincount(live["tenant"], minlength=tenants)
    left = counts["arrived"] + held - counts["refused"] - counts["finished"] - inside
    _balanced(left, "requests: arrived = refused + finished + in hand")
    tokens = np.bincount(live["tenant"], weights=live["made"], minlength=tenants)
    lost = counts["made"] + made - counts["output"] - counts["wasted"] - tokens.astype(np.int64)
    _balanced(lost, "output tokens: made = given + wasted + in hand")
    _check_prompts(machine, live)
    _check_blocks(machine, live)
    _check_energy(machine)


def made_in_hand(machine: Machine) -> Integers:
    """Output tokens of the requests in the system, those since they began to decode apart, [C]."""
    rows = machine["sequence"]
    live = rows[rows["place"] != NOWHERE]
    tenants = len(machine.system.tenants)
    found = np.bincount(live["tenant"], weights=live["made"], minlength=tenants)
    return found.astype(np.int64)


def _balanced(difference: npt.NDArray[Any], what: str) -> None:
    if np.any(difference != 0):
        raise BalanceError(f"{what}: they differ by {difference.tolist()}")


def _check_prompts(machine: Machine, live: npt.NDArray[Any]) -> None:
    """Tokens that admissions had to compute are those that steps have computed, and those left."""
    if machine["world"]["since"][0] > 0.0:
        return
    reading = live[live["place"] == PREFILLED]
    left = int((reading["need"] - reading["done"]).sum())
    done = int(machine["pool"]["prefilled"].sum())
    _balanced(
        np.array([int(machine["count"]["computed"].sum()) - left - done]),
        "prompt tokens: admitted = computed + left",
    )


def _check_blocks(machine: Machine, live: npt.NDArray[Any]) -> None:
    """Blocks in use at each replica are those of its sequences and of its cache."""
    replicas, pools = machine["replica"], machine["pool"]
    entries = machine["entry"]
    known = entries["replica"][entries["replica"] >= 0]
    per_hash = pools["per_hash"][replicas["pool"]]
    found = np.bincount(known, minlength=machine.replicas) * per_hash
    placed = live[np.isin(live["place"], (PREFILLED, DECODED, READY, MOVING))]
    placed = placed[(placed["place"] != MOVING) | _lives(replicas, placed, "replica", "epoch")]
    found += np.bincount(
        placed["replica"], weights=placed["blocks"], minlength=machine.replicas
    ).astype(np.int64)
    sent = live[live["source"] >= 0]
    sent = sent[_lives(replicas, sent, "source", "source_epoch")]
    found += np.bincount(
        sent["source"], weights=sent["source_blocks"], minlength=machine.replicas
    ).astype(np.int64)
    decoding = live[live["place"] == DECODED]
    at = decoding["replica"]
    stride = pools["stride"][replicas["pool"][at]]
    step = replicas["step"][at]
    grown = (step - decoding["phase"]) // stride - (decoding["begin"] - decoding["phase"]) // stride
    found += np.bincount(at, weights=grown, minlength=machine.replicas).astype(np.int64)
    _balanced(found - replicas["used"], "KV blocks of replicas")


def _lives(
    replicas: npt.NDArray[Any], rows: npt.NDArray[Any], where: str, epoch: str
) -> npt.NDArray[np.bool_]:
    """Whether the replica that holds blocks of sequences has not failed since."""
    return np.asarray(replicas["epoch"][rows[where]] == rows[epoch])


def _check_energy(machine: Machine) -> None:
    """The energy of all steps is that of all ticks, up to rounding."""
    series = machine["series"]["v"].reshape(len(machine.pools), machine.ticks, COLUMNS)
    by_tick = series[:, :, ENERGY].sum(axis=1)
    by_step = machine["pool"]["energy"]
    if not np.allclose(by_tick, by_step, rtol=1e-9, atol=1e-6):
        raise BalanceError(f"energy of ticks {by_tick.tolist()} J, of steps {by_step.tolist()} J")
