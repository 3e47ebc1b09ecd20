"""The generated JSON Schema and reference pages agree with the classes."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from firsttoken.supply import model
from firsttoken.supply.room import ROOM
from firsttoken.twin.findings import Findings
from firsttoken.twin.reference import reference_markdown, twin_schema, unit_words
from firsttoken.twin.schema import Quantity
from firsttoken.twin.slots import fields
from firsttoken.twin.source import read_yaml_text

from .conftest import SOUND
from .test_scenario import SCENARIOS

ROOMS = {"supply": ROOM}


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = twin_schema(ROOMS)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def data(text: str) -> dict[str, Any]:
    return read_yaml_text(text, "t", Findings())[0]


@pytest.mark.parametrize(
    "text",
    [
        SOUND + SCENARIOS,
        SOUND.replace("{die: 72}", "part(nvl72)"),
        "twin: t\nstart: 2026\nend: 2027\nsupply: {main: {tables: tables}}\n",
        "supply: {main: {items: {imported: {}}}}\n",
    ],
)
def test_sound_twins_fit_the_schema(validator: Any, text: str) -> None:
    assert [error.message for error in validator.iter_errors(data(text))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("twin: demo", "twine: demo"),
        ("yield: 0.95", "yeild: 0.95"),
        ("{country: US}", "{country: 5}"),
        ("{die: 72}", "anything"),
        ("library: [own]", "library: own"),
        ("scenarios:", "scenarios: {x: {disruptions: [{shut: y}]}}\nscenes:"),
    ],
)
def test_broken_twins_do_not(validator: Any, old: str, new: str) -> None:
    text = SOUND + SCENARIOS
    assert text.count(old) >= 1
    assert not validator.is_valid(data(text.replace(old, new)))


def test_units_are_in_the_schema() -> None:
    definitions = twin_schema(ROOMS)["$defs"]
    capacity = definitions["Resource"]["properties"]["capacity"]
    assert capacity["x-unit"] == "each/s"
    assert capacity["description"]


def test_every_field_of_every_class_is_in_the_reference() -> None:
    pages = reference_markdown(ROOMS)
    assert list(pages) == ["twin", "scenarios", "supply"]
    page = pages["supply"]
    for declared in (model.Network, model.Operation, model.Investment, model.CalendarBucket):
        section = page.split(f"\n## {declared.__name__}\n")[1].split("\n## ")[0]
        for name, info in fields(declared).items():
            (row,) = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
            assert info.description in row
    assert "| `yield` | quantity or series | 1, > 0, <= 1 | `1` | each period | " in page


def test_units_of_a_slot_that_takes_several_are_all_named() -> None:
    power_or_flow = Quantity("W", at_least=0, units=("W", "m**3/s"))
    assert unit_words(power_or_flow) == "W or m**3/s, >= 0"
    shown = power_or_flow.__get_pydantic_json_schema__({}, None)["description"]  # type: ignore[arg-type]
    assert "a power" in shown
    assert "a flow, such as" in shown


def test_links_of_a_page_lead_to_its_sections() -> None:
    import re

    for name, page in reference_markdown(ROOMS).items():
        for target in re.findall(r"\]\(#([a-z]+)\)", page):
            assert re.search(rf"^## {target}$", page, re.MULTILINE | re.IGNORECASE), (name, target)
