"""The tables that plans and simulations both fill."""

from __future__ import annotations

from firsttoken.supply import system
from firsttoken.twin.result_rows import QUANTILES, Rows

__all__ = ["KINDS", "QUANTILES", "Rows"]

KINDS = {system.OPERATION: "operation", system.PURCHASE: "purchase", system.LANE: "lane"}


def activity_rows() -> Rows:
    """Rows of `supply_activity`."""
    return Rows(
        "supply_activity",
        "What each operation, purchase and lane did in each period.",
        ("scenario", "engine", "activity", "period", "metric"),
        *("scenario", "engine", "activity", "kind", "stage", "location", "country"),
        *("period", "label", "metric", "unit", *QUANTILES),
    )


def stage_rows() -> Rows:
    """Rows of `supply_stage`."""
    return Rows(
        "supply_stage",
        "Good output of each stage of the chain in each period.",
        ("scenario", "engine", "stage", "period", "metric"),
        *("scenario", "engine", "stage", "period", "label", "metric", "unit", *QUANTILES),
    )


def demand_rows() -> Rows:
    """Rows of `supply_demand`."""
    return Rows(
        "supply_demand",
        "Demand, delivery, backlog, value and domestic content by period.",
        ("scenario", "engine", "demand", "period", "metric"),
        *("scenario", "engine", "demand", "customer", "item", "period", "label", "metric"),
        *("unit", *QUANTILES),
    )


def binding_rows() -> Rows:
    """Rows of `supply_binding`."""
    return Rows(
        "supply_binding",
        "Where a stage is the bottleneck: the share of the replications in which its capacity is "
        "used up and all it makes is taken at once; of a plan, the share of the period in which "
        "its capacity has a value.",
        ("scenario", "engine", "stage", "period", "limit"),
        *("scenario", "engine", "stage", "period", "label", "share", "limit"),
    )
