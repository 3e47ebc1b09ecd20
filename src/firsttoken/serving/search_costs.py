"""What a GPU costs by the hour: its capital, its place in a site, and upkeep.

Capital is paid off in equal instalments over its life, with interest (annuity: Brealey, Myers and
Allen, Principles of Corporate Finance, chapter 2); energy is paid for by use, apart from this.
"""

from __future__ import annotations

from typing import Final, NamedTuple

YEAR: Final = 365.25 * 86400.0
"""s."""


class Prices(NamedTuple):
    """What owning and running a GPU costs.

    Attributes
    ----------
    gpu : USD of a GPU with its share of rack or server.
    network : cables, switches and storage beyond the rack, as a share of `gpu`.
    life, site_life : s over which GPU and site are paid off.
    interest : a year.
    upkeep : staff, spares and support, as a share of `gpu` a year.
    site : USD for a W of IT power, without IT.
    energy : USD/J.
    pue : energy of the site over that of its IT.
    """

    gpu: float
    network: float
    life: float
    interest: float
    upkeep: float
    site: float
    site_life: float
    energy: float
    pue: float


def annuity(interest: float, seconds: float) -> float:
    """Share of a sum that is paid each year to pay it off within some time.

    Parameters
    ----------
    interest : a year; paid at the end of each.
    seconds : time until it is paid off.
    """
    years = seconds / YEAR
    if interest <= 0:
        return 1.0 / years
    return float(interest / (1.0 - (1.0 + interest) ** -years))


def gpu_second(prices: Prices, watts: float) -> float:
    """USD/s of one GPU without energy.

    Parameters
    ----------
    watts : IT power that the site holds ready for it: its limit and its share of the host.
    """
    bought = prices.gpu * (1.0 + prices.network)
    a_year = bought * annuity(prices.interest, prices.life) + prices.gpu * prices.upkeep
    a_year += prices.site * watts * annuity(prices.interest, prices.site_life)
    return a_year / YEAR
