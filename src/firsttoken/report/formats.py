"""Numbers, dates, units and names as a reader of the report sees them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence

_SCALES = ((1e12, "tn"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))
# fmt: off
_COUNTED = frozenset({
    "rack", "wafer", "package", "die", "stack", "tray", "unit", "cpu", "gpu", "server", "board",
    "module", "kit", "node", "chip", "shelf", "person", "run", "lot", "hour", "day", "week",
    "month", "year", "dollar", "truck", "flight", "switch", "cartridge",
})
# fmt: on
_SPECIAL = {"shelf": "shelves", "switch": "switches", "cpu": "CPUs", "gpu": "GPUs"}
_IDENTIFIER = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")
# How names of the trade are written when an identifier is shown as words.
# fmt: off
_NAMES = {
    "tsmc": "TSMC", "cowos": "CoWoS", "hbm": "HBM", "hbm3e": "HBM3E", "hbm4": "HBM4",
    "gpu": "GPU", "cpu": "CPU", "gb200": "GB200", "gb300": "GB300", "b200": "B200",
    "b300": "B300", "h100": "H100", "nvl72": "NVL72", "spil": "SPIL", "us": "US", "usa": "USA",
    "sk": "SK", "dfw": "DFW", "cdu": "CDU", "pcb": "PCB", "ups": "UPS", "l10": "L10",
    "l11": "L11", "osat": "OSAT", "4np": "4NP", "n4": "N4", "n4p": "N4P", "usmca": "USMCA",
    "nvidia": "NVIDIA", "uk": "UK", "eu": "EU", "tw": "TW", "kr": "KR", "mx": "MX", "odm": "ODM",
    "ai": "AI", "vr200": "VR200", "hgx": "HGX", "ap": "AP", "n3p": "N3P", "tsv": "TSV",
    "smt": "SMT", "l6": "L6", "l12": "L12", "wip": "WIP", "oee": "OEE",
    "hopper": "Hopper", "r200": "R200", "worth": "Worth", "fremont": "Fremont",
    "california": "California",
    "taiwan": "Taiwan", "arizona": "Arizona", "houston": "Houston",
    "dallas": "Dallas", "mexico": "Mexico", "indiana": "Indiana", "korea": "Korea",
    "texas": "Texas", "wisconsin": "Wisconsin", "ohio": "Ohio", "peoria": "Peoria",
    "phoenix": "Phoenix", "juarez": "Juarez", "guadalajara": "Guadalajara", "japan": "Japan",
    "micron": "Micron", "samsung": "Samsung", "wistron": "Wistron", "hynix": "Hynix",
    "quanta": "Quanta", "asia": "Asia", "dell": "Dell", "delta": "Delta", "vertiv": "Vertiv",
    "foxconn": "Foxconn", "amkor": "Amkor", "blackwell": "Blackwell", "rubin": "Rubin",
}
# fmt: on


def number(value: float, digits: int = 3) -> str:
    """A number in `digits` significant digits with k, M, bn or tn: 14.3k."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    for scale, letter in _SCALES:
        if float(f"{size:.{digits - 1}e}") >= scale:
            return _minus(_plain(value / scale, digits) + letter)
    return _minus(_plain(value, digits))


def _plain(value: float, digits: int) -> str:
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    places = min(max(digits - 1 - exponent, 0), 6)
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _minus(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """A number with its unit: US$500bn, 14.3k racks, 12 %."""
    if not math.isfinite(value):
        return "–"
    if unit == "USD":
        text = number(abs(value), digits)
        return ("−" if value < 0 else "") + "US$" + text
    if unit.startswith("USD/"):
        return quantity(value, "USD", digits) + "/" + unit[4:]
    if unit in ("share", "fraction"):
        return share(value)
    if unit == "hour":
        return hours(value, digits)
    if unit.partition("/")[0] in ("kW", "kWh"):
        return _power(value, unit, digits)
    if unit[:1] == "k" and unit[1:].partition("/")[0] in _COUNTED:
        value, unit = 1000 * value, unit[1:]
    unit = _IDENTIFIER.sub(lambda match: label(match[0]), unit)
    if unit in ("", "1"):
        return number(value, digits)
    return f"{number(value, digits)} {plural(unit) if abs(value) != 1 else singular(unit)}"


def hours(value: float, digits: int = 3) -> str:
    """A time given in hours: 25 min, 7.5 hours, 5.2 days."""
    if 0 < abs(value) < 1:
        return f"{number(60 * value, digits)} min"
    if abs(value) >= 72:
        return f"{number(value / 24, digits)} days"
    return f"{number(value, digits)} {'hour' if abs(value) == 1 else 'hours'}"


def fitting(unit: str, most: float) -> tuple[str, float]:
    """Unit for an axis that ends at `most`, and how many of the given unit it has."""
    head, slash, rest = unit.partition("/")
    if unit == "hour":
        return ("days", 24.0) if most >= 72 else ("hours", 1.0) if most >= 1 else ("min", 1 / 60)
    if head in ("kW", "kWh"):
        scale, prefix = next((p for p in ((1e6, "G"), (1e3, "M")) if most >= p[0]), (1.0, "k"))
        return f"{prefix}{head[1:]}{slash}{rest}", scale
    return unit, 1.0


def _power(value: float, unit: str, digits: int) -> str:
    """Power or energy in the prefix that fits, as `19.2 MW` or `3.2 MWh/rack`."""
    head, slash, rest = unit.partition("/")
    if value == 0:
        return f"0 {unit}"
    size = abs(float(f"{value:.{digits - 1}e}"))
    scales = ((1e6, "G"), (1e3, "M"), (1.0, "k"), (1e-3, ""))
    scale, prefix = next((pair for pair in scales if size >= pair[0]), scales[-1])
    return f"{_minus(_plain(value / scale, digits))} {prefix}{head[1:]}{slash}{rest}"


def share(value: float) -> str:
    """A share in [0, 1] as a percentage, whole from 10 % up: 83 %."""
    if not math.isfinite(value):
        return "–"
    percent = 100 * value
    if 0 < percent < 0.1:
        text = "<0.1"
    else:
        near_whole = abs(percent) >= 9.95 or abs(percent - round(percent)) < 0.05
        text = f"{percent:.0f}" if near_whole else f"{percent:.1f}"
    return _minus(text) + "\N{NO-BREAK SPACE}%"


def plural(unit: str) -> str:
    """The unit's name for more than one: racks, racks/week, kWh."""
    if unit in ("", "each"):
        return "units"
    head, slash, rest = unit.partition("/")
    if head == "each":
        return "units" + slash + rest
    if head in _COUNTED:
        head = _SPECIAL.get(head, head + "s")
    return head + slash + rest


def singular(unit: str) -> str:
    """The unit's name for one."""
    return "unit" if unit in ("", "each") else unit


def day(iso: str) -> str:
    """An ISO day as a reader's date, 14 Nov 2028; '' is beyond the horizon."""
    if not iso:
        return "beyond horizon"
    moment = dt.date.fromisoformat(iso[:10])
    return f"{moment.day} {moment:%b} {moment.year}"


def month(iso: str) -> str:
    """An ISO day as its month, Nov 2028; '' is beyond the horizon."""
    return f"{dt.date.fromisoformat(iso[:10]):%b %Y}" if iso else "beyond horizon"


def ordinal(iso: str) -> float:
    """Days, for placing an ISO day on an axis."""
    return float(dt.date.fromisoformat(iso[:10]).toordinal())


def label(name: str) -> str:
    """An identifier or a name as words: `cowos_l_taiwan` becomes CoWoS-L Taiwan."""
    words = []
    for i, word in enumerate(re.split(r"[_\s]+|(?<=\D)-|-(?=\D)", name)):
        known = _NAMES.get(word.lower())
        if known:
            words.append(known)
        else:
            words.append(word[:1].upper() + word[1:] if i == 0 and word.islower() else word)
    return re.sub(r"\bCoWoS ([lsrLSR])\b", lambda m: f"CoWoS-{m[1].upper()}", " ".join(words))


def words(name: str) -> str:
    """As `label`, for the middle of a sentence: `burn_in` is burn in, `smt` is SMT."""
    text = label(name)
    known = re.split(r"[_\s-]", name)[0].lower() in _NAMES
    return text if known else name[:1] + text[1:]


def sentence(text: str) -> str:
    """A phrase with its identifiers as words, beginning with a capital, without `(fact ...)`."""
    text = re.sub(r"\s*\(fact [^)]*\)", "", text)
    text = _IDENTIFIER.sub(lambda match: label(match[0]), text)
    return text[:1].upper() + text[1:]


def output_of(stage: str, unit: str, word: str) -> str:
    """What a chart of a stage's output shows: Dies, wafers a quarter; Racks a quarter."""
    name, units = label(stage), plural(unit)
    return f"{name} a {word}" if name.lower() == units.lower() else f"{name}, {units} a {word}"


def period_word(labels: Sequence[str]) -> str:
    """What the periods of these labels are: quarter, month, year, week, day or period."""
    forms = {"quarter": r"\d{4}Q\d", "month": r"\d{4}-\d\d", "year": r"\d{4}"}
    for word, form in forms.items():
        if labels and all(re.fullmatch(form, text) for text in labels):
            return word
    if len(labels) > 1 and all(re.fullmatch(r"\d{4}-\d\d-\d\d", text) for text in labels):
        return {1: "day", 7: "week"}.get(int(ordinal(labels[1]) - ordinal(labels[0])), "period")
    return "period"
