"""Weather, prices and what files may hold: known climates, leap days, gaps, clocks."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from firsttoken import api
from firsttoken.facility.market import CARBON, PRICE, read_market
from firsttoken.facility.weather import Climate, read_climate, standard_climate
from firsttoken.facility.weather_files import pressure_at
from firsttoken.twin.dates import parse_date
from firsttoken.twin.findings import Findings

SPAN = (parse_date("2026"), parse_date("2028"))
DATA = 8  # lines of header of an EPW


def read(
    folder: Path, *names: str, span: tuple[float, float] = SPAN, offset: float | None = None
) -> tuple[Climate | None, str]:
    """A climate, and what was found."""
    findings = Findings()
    found = read_climate(list(names), folder, span, None, offset, findings, "facility.x.weather")
    return found, findings.as_text()


def epw(hours: int = 8760, **cells: dict[int, str]) -> str:
    """An EPW whose dry bulb is its row's number over 1000, with other cells by row."""
    head = ["LOCATION,Here,TX,USA,TMYx,1,33.4,-112.0,-7.0,337.4", *(["COMMENTS"] * (DATA - 1))]
    positions = {"dry": 6, "dew": 7, "humidity": 8, "pressure": 9}
    rows = []
    for row in range(hours):
        line = [*["2021", "1", "1", "1", "0"], "?", f"{row / 1000:.3f}", "-5.0", "50", "97000"]
        line += ["0"] * 25
        for name, changed in cells.items():
            if row in changed:
                line[positions[name]] = changed[row]
        rows.append(",".join(line))
    return "\n".join([*head, *rows]) + "\n"


def hourly(first: str, hours: int, value: float = 10.0) -> str:
    """A CSV of hours from a moment on; dry bulb rises by 0.001 K an hour."""
    start = np.datetime64(first, "h")
    rows = [f"{start + i}:00,{value + i / 1000:.3f},60" for i in range(hours)]
    return "\n".join(["time,temperature_2m,relative_humidity_2m", *rows]) + "\n"


# Known climates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("weather_epw/USA_AZ_Phoenix-Sky.Harbor.epw.xz", 0.72),
        ("weather_epw/USA_TX_Dallas-Fort.Worth.epw.xz", 0.90),
        ("weather_epw/USA_VA_Leesburg.Exec.epw.xz", 0.987),
        ("sustain_cluster/weather_KR_2020_2024.csv.xz", 0.995),
    ],
)
def test_hours_at_which_a_dry_cooler_gives_40_degrees(
    shared_data: Path, name: str, share: float
) -> None:
    """Hours up to 32 C, 8 K of approach: the figures that the programme names for four climates."""
    climate, said = read(shared_data, name)
    assert said == ""
    assert climate is not None
    assert (climate.years[:, 0] <= 305.15).mean() == pytest.approx(share, abs=0.004)


def test_wet_bulb_of_known_air(tmp_path: Path) -> None:
    """30 C at 50 % and 101.325 kPa: 22.0 C (ASHRAE Fundamentals 2017, psychrometric chart 1)."""
    rows = [f"2026-01-01T{h:02d}:00,30,50,101325" for h in range(24)]
    head = "time,dry_bulb,relative_humidity,pressure (Pa)"
    (tmp_path / "w.csv").write_text("\n".join([head, *rows]))
    climate, said = read(tmp_path, "w.csv", span=(SPAN[0], SPAN[0] + 86400))
    assert said == ""
    assert climate is not None
    assert climate.hours(SPAN[0], 2, 0)[1] - 273.15 == pytest.approx(22.0, abs=0.05)


def test_dew_point_humidity_and_wet_bulb_agree(tmp_path: Path) -> None:
    """Air of 25 C with a dew point of 13.9 C has 50 % humidity and a wet bulb of 17.9 C (same)."""
    found = []
    for name, value in (("dew_point", 13.87), ("relative_humidity", 50), ("wet_bulb", 17.9)):
        text = f"time,dry_bulb (degF),{name}\n2026-01-01,77,{value}\n2026-01-02,77,{value}\n"
        times = [f"2026-01-01T{h:02d}:00,77,{value}" for h in range(24)]
        (tmp_path / "w.csv").write_text("\n".join([text.splitlines()[0], *times]))
        climate, _ = read(tmp_path, "w.csv", span=(SPAN[0], SPAN[0] + 82800))
        assert climate is not None
        found.append(climate.hours(SPAN[0], 1, 0)[1, 0] - 273.15)
    assert found == pytest.approx([17.9] * 3, abs=0.05)


def test_standard_air() -> None:
    """ISO 2533: 15 C and 101325 Pa at the sea, 89875 Pa at 1000 m."""
    assert standard_climate(0.0).hours(0.0, 1, 0)[:, 0] == pytest.approx([288.15, 284.15, 101325])
    assert pressure_at(1000.0) == pytest.approx(89874.6, rel=1e-4)


# Time ---------------------------------------------------------------------------------------


def test_an_epw_hour_ends_at_its_number(tmp_path: Path) -> None:
    """The row of hour 1 is the value at 1:00; the last hour of the year that of its midnight."""
    (tmp_path / "w.epw").write_text(epw())
    climate, said = read(tmp_path, "w.epw")
    assert said == ""
    assert climate is not None
    air = climate.hours(parse_date("2026-01-01"), 3, 0)[0] - 273.15
    assert air == pytest.approx([8.759, 0.0, 0.001])
    assert climate.hours(SPAN[0], 1, 0)[2, 0] == 97000


def test_leap_days(tmp_path: Path) -> None:
    """29 February repeats the 28th where a file has none; twins without one leave it out."""
    (tmp_path / "w.epw").write_text(epw())
    (tmp_path / "leap.csv").write_text(hourly("2024-01-01", 8784))
    usual, _ = read(tmp_path, "w.epw")
    leap, _ = read(tmp_path, "leap.csv")
    assert usual is not None
    assert leap is not None
    day = parse_date("2028-02-28")
    three = usual.hours(day, 72, 0)[0]
    assert np.array_equal(three[:24], three[24:48])
    assert three[48] == pytest.approx(three[0] + 0.024)
    assert len(np.unique(leap.hours(day, 72, 0)[0])) == 72
    two = leap.hours(parse_date("2026-02-28"), 48, 0)[0]
    assert two[24] == pytest.approx(two[0] + 0.048)


def test_years_come_by_turns(tmp_path: Path) -> None:
    """Replication r begins with year r, and goes on with the next at the new year."""
    text = hourly("2021-01-01", 8760, 0.0).rstrip() + "\n"
    text += "\n".join(hourly("2022-01-01", 8760, 20.0).splitlines()[1:]) + "\n"
    (tmp_path / "w.csv").write_text(text)
    climate, _ = read(tmp_path, "w.csv")
    assert climate is not None
    assert climate.labels == ("w.csv 2021", "w.csv 2022")
    first = [climate.hours(parse_date("2026-01-01"), 1, r)[0, 0] - 273.15 for r in range(4)]
    assert first == pytest.approx([0, 20, 0, 20])
    eve = climate.hours(parse_date("2026-12-31T23:00"), 2, 0)[0] - 273.15
    assert eve == pytest.approx([8.759, 20.0])


def test_files_in_utc_need_the_clock(tmp_path: Path) -> None:
    text = hourly("2021-01-01", 8760).replace("time", "time_utc", 1)
    (tmp_path / "w.csv").write_text(text)
    none, said = read(tmp_path, "w.csv")
    assert none is None
    assert "w.csv:1: error" in said
    assert "utc_offset" in said
    climate, said = read(tmp_path, "w.csv", offset=-6 * 3600.0)
    assert said == ""
    assert climate is not None
    # the first instant of the local year is 6:00 UTC; its last hours repeat the day before
    assert climate.hours(SPAN[0], 1, 0)[0, 0] - 273.15 == pytest.approx(10.006)


def test_compressed_files_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "w.epw").write_text(epw())
    (tmp_path / "w.epw.xz").write_bytes(lzma.compress(epw().encode()))
    plain, _ = read(tmp_path, "w.epw")
    packed, _ = read(tmp_path, "w.epw.xz")
    assert plain is not None
    assert packed is not None
    assert np.array_equal(plain.years, packed.years)


# Bad files ----------------------------------------------------------------------------------


def test_missing_values(tmp_path: Path) -> None:
    """Codes of EPW: three hours are filled by a straight line, seven are not."""
    (tmp_path / "w.epw").write_text(epw(dry=dict.fromkeys(range(100, 103), "99.9")))
    climate, said = read(tmp_path, "w.epw")
    assert climate is not None
    assert "note: 3 missing hours" in said
    at = climate.hours(parse_date("2026-01-05T05:00"), 3, 0)[0] - 273.15
    assert at == pytest.approx([0.100, 0.101, 0.102])
    (tmp_path / "w.epw").write_text(epw(dry=dict.fromkeys(range(100, 107), "99.9")))
    none, said = read(tmp_path, "w.epw")
    assert none is None
    assert f"w.epw:{DATA + 101}: error: dry_bulb is missing for 7 hours" in said


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("w.epw", "nothing\n", 1, "is no EPW"),
        ("w.epw", epw(100), 108, "has 100 hours"),
        ("w.epw", epw(dry={5: "warm"}), DATA + 6, "dry_bulb is no number"),
        ("w.epw", epw(pressure={7: "97"}), DATA + 8, "pressure of 97 is out of range"),
        ("w.csv", "time,dry_bulb\n", 1, "has no rows"),
        ("w.csv", "when,dry_bulb\n2026-01-01,3\n", 1, "has no times"),
        ("w.csv", "time,dry_bulb\n2026-01-01,3\n", 1, "does not say how moist"),
        ("w.csv", "time,humidity\n2026-01-01,3\n", 1, "no column 'dry_bulb'"),
        ("w.csv", "time,dry_bulb,humidity\n2026-01-01,x,5\n", 2, "'x' in column"),
        ("w.csv", "time,dry_bulb,humidity\n2026-01-01,99,5\n", 2, "out of range"),
        ("w.csv", "time,dry_bulb,humidity\n2026-01-01\n", 2, "1 cells, the header 3"),
        ("w.csv", "time,dry_bulb,humidity\nsoon,3,5\n", 2, "'soon' is no time"),
        ("w.csv", "time,dry_bulb (kW),humidity\n2026-01-01,3,5\n", 1, "dry_bulb"),
        ("w.csv", "time,dry_bulb,humidity\n2026-01-02,3,5\n2026-01-01,3,5\n", 3, "goes back"),
        ("w.csv", hourly("2025-01-01", 100), 0, "holds no whole year"),
        ("w.txt", "x", 0, "is no weather file"),
        ("w.csv.xz", "x", 0, "cannot read w.csv.xz"),
    ],
)  # fmt: skip
def test_bad_files_are_findings(
    tmp_path: Path, name: str, text: str, where: int, what: str
) -> None:
    (tmp_path / name).write_text(text)
    climate, said = read(tmp_path, name)
    assert climate is None
    assert what in said
    assert f"{name}:{where}: error" in said if where else f"{name}: error" in said


def test_a_file_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    twin = tmp_path / "twin.yaml"
    twin.write_text(
        "twin: site\nstart: 2026-01-01\nhorizon: 1 day\n"
        "facility:\n  x:\n    weather: none.csv\n    racks: {all: {count: 1, power: 10 kW}}\n"
    )
    found = [str(f) for f in api.check(twin) if "none.csv" in f.what]
    assert len(found) == 1
    assert found[0].startswith(f"{twin}:6: error: cannot read none.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    climate, said = read(tmp_path, "none.epw")
    assert climate is None
    assert "cannot read none.epw" in said


# Prices -------------------------------------------------------------------------------------


def test_hours_that_stand_twice_are_told(tmp_path: Path) -> None:
    # as local time writes them in autumn: the first of each counts
    rows = hourly("2026-01-01T00", 17520).splitlines()
    again = rows[31].split(",")
    rows.insert(32, f"{again[0]},-40,60")
    (tmp_path / "twice.csv").write_text("\n".join(rows) + "\n")
    climate, text = read(tmp_path, "twice.csv")
    assert "twice.csv:33: warning: twice.csv has 1 of its times twice" in text
    assert climate is not None
    assert climate.years[:, 0].min() > 283.0


def test_mean_prices_and_carbon(shared_data: Path) -> None:
    """Means of the data's README: ERCOT 42.0 USD/MWh and 310 g/kWh."""
    findings = Findings()
    arguments = (shared_data, SPAN, -6 * 3600.0, findings, "x")
    price = read_market("sustain_cluster/price_US-TEX-ERCO_2023_2024.csv.xz", PRICE, *arguments)
    carbon = read_market("sustain_cluster/carbon_US-TEX-ERCO_2023_2024.csv.xz", CARBON, *arguments)
    assert findings.as_text() == ""
    assert price is not None
    assert carbon is not None
    assert price.years.mean() * 3.6e9 == pytest.approx(42.0, abs=0.1)
    assert carbon.years.mean() * 3.6e9 == pytest.approx(310, abs=1)


def test_a_price_holds_for_its_hour(tmp_path: Path) -> None:
    rows = [f"2026-01-01T{h:02d}:00,{h}" for h in range(24)]
    (tmp_path / "p.csv").write_text("\n".join(["time,price (USD/kWh)", *rows]))
    findings = Findings()
    found = read_market("p.csv", PRICE, tmp_path, (SPAN[0], SPAN[0] + 86400), None, findings, "x")
    assert found is None
    assert "out of range" in findings.as_text()  # 11 USD/kWh and more
    (tmp_path / "p.csv").write_text("\n".join(["time,price (USD/MWh)", *rows]))
    findings = Findings()
    found = read_market("p.csv", PRICE, tmp_path, (SPAN[0], SPAN[0] + 86400), None, findings, "x")
    assert found is not None
    assert found.hours(SPAN[0], 24, 0)[0] * 3.6e9 == pytest.approx(np.arange(24))
