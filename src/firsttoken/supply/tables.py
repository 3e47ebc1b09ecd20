"""FrePPLe's tables to the plain data of a supply network.

The result has the shape of `supply.model.Network` and is read by its classes like a YAML
file, so that units, ranges and references are checked in one place.

How frePPLe's terms are read:

* `duration` is the lead time. `duration per` of a `time_per` operation occupies its
  resources for that time a unit; without a resource the operation itself makes
  1 / `duration per` units a time.
* a resource of type `default` offers `maximum` resource-seconds a second, one of type
  `buckets` the value of its calendar in each bucket;
* the working hours of a calendar become the share of the week in which it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from firsttoken.supply.table_calendars import Span, capacity_series, is_set, read_buckets
from firsttoken.supply.table_columns import View, number_of, views
from firsttoken.twin.dates import DAY, WEEK
from firsttoken.twin.findings import Findings
from firsttoken.twin.slots import nearest
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import Table

Row = dict[str, Any]

_BUCKET_SECONDS = {"buckets_day": DAY, "buckets_week": WEEK, "buckets_month": 365.25 / 12 * DAY}


def read_network_tables(
    tables: Mapping[str, Table], findings: Findings
) -> tuple[dict[str, Any], SourceMap]:
    """Read frePPLe's tables.

    Parameters
    ----------
    tables : by folded name (`operationmaterial`).
    findings : gets what cannot be read, expressed or is not used.

    Returns
    -------
    plain data in the shape of `supply.model.Network`, and the row of each part.
    """
    return _Reader(views(tables, findings)).read()


class _Reader:
    """Reads one table after the other; later ones complete what earlier ones began."""

    def __init__(self, tables: Mapping[str, View]) -> None:
        self.tables = tables
        self.data: dict[str, dict[str, Row]] = {}
        self.sources = SourceMap()
        self.kinds: dict[str, tuple[str, float | None, float | None, float | None]] = {}
        self.resource_costs: dict[str, float] = {}
        self.infinite: set[str] = set()
        self.timed: set[str] = set()
        self.pools: set[str] = set()
        self.spans: dict[str, list[Span]] = {}
        self.capacity_calendars: set[str] = set()

    def read(self) -> tuple[dict[str, Any], SourceMap]:
        steps: tuple[tuple[str, Callable[[View], None]], ...] = (
            ("item", self._items),
            ("location", self._locations),
            ("buffer", self._buffers),
            ("calendar", self._calendars),
            ("calendarbucket", self._calendar_buckets),
            ("operation", self._operations),
            ("operationmaterial", self._materials),
            ("resource", self._resources),
            ("operationresource", self._uses),
            ("demand", self._demands),
            ("supplier", self._suppliers),
            ("itemsupplier", self._purchases),
            ("itemdistribution", self._lanes),
        )
        for name, step in steps:
            if name in self.tables:
                step(self.tables[name])
        self._finish_operations()
        self._finish_resources()
        self._finish_calendars()
        return {name: rows for name, rows in self.data.items() if rows}, self.sources

    def _keep(self, collection: str, view: View, names: list[str], rows: list[Row]) -> None:
        """Store rows under their names; blank and repeated names are reported."""
        into = self.data.setdefault(collection, {})
        kept: list[str] = []
        lines: list[int] = []
        for index, (name, row) in enumerate(zip(names, rows, strict=True)):
            if not name:
                view.report(index, f"table {view.name}: the name is missing")
            elif name in into:
                view.report(
                    index, f"table {view.name}: {name!r} stands twice", code="duplicate-key"
                )
            else:
                into[name] = row
                kept.append(name)
                lines.append(view.lines[index])
        self.sources.add_rows((collection,), kept, view.table.file, lines)

    def _items(self, view: View) -> None:
        kinds = view.text("type")
        for index, kind in enumerate(kinds):
            if kind.casefold() in ("mto", "make to order"):
                what = "items made to order cannot be expressed"
                view.report(index, what, "give each order an item of its own", "not-modelled")
        values = view.quantities("value", "USD")
        costs = view.quantities("cost", "USD")
        units = view.text("unit") if view.has("unit") else view.text("uom")
        rows = _rows(
            len(view),
            description=view.text("description"),
            value=[
                cost if value is None else value for value, cost in zip(values, costs, strict=True)
            ],
            unit=units,
            holding_cost=view.quantities("holdingcost", "1/year"),
        )
        self._keep("items", view, view.text("name"), rows)

    def _locations(self, view: View) -> None:
        if not view.has("country"):
            what = "table location has no column 'country'"
            hint = "tariffs and domestic content need the ISO code of each site's country"
            view.report(-1, what, hint, "not-used", "warning")
        rows = _rows(
            len(view), description=view.text("description"), available=view.text("available")
        )
        for row, country in zip(rows, view.text("country"), strict=True):
            row["country"] = country
        self._keep("locations", view, view.text("name"), rows)

    def _buffers(self, view: View) -> None:
        for index, kind in enumerate(view.text("type")):
            if kind not in ("", "default"):
                what = f"buffer type {kind!r} cannot be expressed"
                view.report(index, what, "buy the item from a supplier instead", "not-modelled")
        items, locations = view.text("item"), view.text("location")
        rows = _rows(
            len(view),
            item=items,
            location=locations,
            onhand=view.quantities("onhand", ""),
            minimum=view.quantities("minimum", ""),
            maximum=view.quantities("maximum", ""),
            base_stock=view.quantities("basestock", ""),
        )
        names = [
            name or (f"{item} @ {location}" if item and location else "")
            for name, item, location in zip(view.text("name"), items, locations, strict=True)
        ]
        self._keep("buffers", view, names, rows)

    # Calendars.

    def _calendars(self, view: View) -> None:
        defaults = view.quantities("default", "")
        # FrePPLe's default value of a calendar is 0.
        rows: list[Row] = [{"default": 0.0 if d is None else d, "buckets": []} for d in defaults]
        self._keep("calendars", view, view.text("name"), rows)

    def _calendar_buckets(self, view: View) -> None:
        self.spans = read_buckets(view, self.data.get("calendars", {}), self.sources)

    # Operations.

    def _operations(self, view: View) -> None:
        types, owners = view.text("type"), view.text("owner")
        durations = view.quantities("duration", "s")
        per = view.quantities("durationper", "s")
        largest = view.quantities("sizemaximum", "")
        items = view.text("item")
        names = view.text("name")
        for index, kind in enumerate(types):
            if kind not in ("", "fixed_time", "time_per"):
                what = f"operation type {kind!r} cannot be expressed"
                hint = "declare its steps as operations, chained by intermediate items"
                view.report(index, what, hint, "not-modelled")
            elif owners[index]:
                what = f"operation {names[index]!r} is a step of {owners[index]!r}"
                hint = "chain operations by intermediate items"
                view.report(index, what, hint, "not-modelled")
            self.kinds[names[index]] = (
                kind or "fixed_time",
                number_of(durations[index], "s"),
                number_of(per[index], "s"),
                number_of(largest[index]),
            )
        rows = _rows(
            len(view),
            description=view.text("description"),
            at=view.text("location"),
            lead_time=durations,
            cost=view.quantities("cost", "USD"),
            start=view.dates("start"),
            end=view.dates("end"),
            available=view.text("available"),
            stage=view.text("stage"),
            energy=view.quantities("energy", "kWh"),
            **{"yield": view.quantities("yield", "")},
            **self._lots(view),
        )
        for index, row in enumerate(rows):
            kind = types[index]
            if per[index] is not None and kind == "time_per":
                row["_per"] = per[index]
            elif per[index] is not None:
                what = f"operation {names[index]!r} of type fixed_time has a duration per unit"
                view.report(index, what, "its type is time_per, or leave it blank")
            if items[index]:
                row["_item"] = items[index]
        self._priorities(view, rows)
        self._keep("operations", view, names, rows)

    def _lots(self, view: View) -> dict[str, list[Any]]:
        """Lot sizes; frePPLe's own default of 1 is none."""
        smallest = view.quantities("sizeminimum", "")
        if any(size == 1.0 for size in smallest):
            what = "a size minimum of 1 is frePPLe's default and read as none"
            view.report(-1, what, "", "not-used", "note")
        if view.has("sizemaximum"):
            what = f"table {view.name}: larger lots are several lots, flows have no largest size"
            view.report(-1, what, "", "not-used", "warning")
        return {
            "lot_minimum": [None if size == 1.0 else size for size in smallest],
            "lot_multiple": view.quantities("sizemultiple", ""),
        }

    def _priorities(self, view: View, rows: list[Row]) -> None:
        if not view.has("priority"):
            return
        for index, (row, priority) in enumerate(
            zip(rows, view.integers("priority", 1), strict=True)
        ):
            if view.cells["priority"][index] is None:
                continue
            row["priority"] = priority
            if priority == 0:
                what = "priority 0 means in frePPLe: never used by a plan"
                view.report(index, what, "remove the row, or give it a priority", "not-modelled")

    def _materials(self, view: View) -> None:
        names, items = view.text("operation"), view.text("item")
        used = view.quantities("quantity", "", -1.0)
        made = view.quantities("quantity", "")
        types = view.text("type")
        for index, (name, item) in enumerate(zip(names, items, strict=True)):
            if types[index] not in ("", "start", "end"):
                what = f"flow type {types[index]!r} cannot be expressed"
                view.report(index, what, "flows are at the start or the end", "not-modelled")
            row = self._operation(view, index, name)
            if row is None:
                continue
            value = made[index]
            if value is None:
                view.report(index, f"the quantity of {item!r} is missing")
                continue
            consumed = _is_negative(value)
            side = row.setdefault("consumes" if consumed else "produces", {})
            if item in side:
                view.report(index, f"{item!r} stands twice in operation {name!r}", "add them up")
                continue
            side[item] = used[index] if consumed else value
            at = ("operations", name, "consumes" if consumed else "produces", item)
            self.sources.add_line(at, view.table.file, view.lines[index])

    def _operation(self, view: View, index: int, name: str) -> Row | None:
        """The row of an operation that another table names."""
        operations = self.data.setdefault("operations", {})
        if name not in operations:
            if "operation" in self.tables or not name:
                what = f"operation {name!r} is not in table operation"
                view.report(index, what, nearest(name, list(operations)), "reference")
                return None
            operations[name] = {}
        return operations[name]

    def _finish_operations(self) -> None:
        for name, row in self.data.get("operations", {}).items():
            item, per = row.pop("_item", None), row.pop("_per", None)
            produces = row.setdefault("produces", {}) if item else row.get("produces", {})
            if item and not produces:
                produces[item] = 1  # frePPLe's own rule
            if per is not None and name not in self.timed:
                seconds = number_of(per, "s")
                if seconds is None:
                    what = f"operation {name!r}: duration per must be a number of seconds"
                    self.tables["operation"].report(-1, what, "or name a resource")
                elif seconds > 0:
                    row["capacity"] = f"{1 / seconds!r} each/s"
                elif seconds < 0:
                    row["capacity"] = f"{seconds!r} each/s"  # refused by its bounds

    # Resources.

    def _resources(self, view: View) -> None:
        names, types = view.text("name"), view.text("type")
        maxima, calendars = view.quantities("maximum", "each/s"), view.text("maximumcalendar")
        costs = view.quantities("cost", "USD")
        constrained = view.cells.get("constrained") or [None] * len(view)
        self.pools = {owner for owner in view.text("owner") if owner}
        rows = _rows(
            len(view),
            description=view.text("description"),
            at=view.text("location"),
            efficiency=view.quantities("efficiency", "percent"),
            available=view.text("available"),
            stage=view.text("stage"),
        )
        for index, (name, kind) in enumerate(zip(names, types, strict=True)):
            free = constrained[index] is not None and not is_set(constrained[index])
            if kind == "infinite" or free:
                self.infinite.add(name)
                what = f"resource {name!r} is unlimited and left out"
                view.report(index, what, "", "not-used", "warning")
                continue
            cost = number_of(costs[index], "USD")
            if costs[index] is not None and cost is None:
                view.report(index, f"the cost of resource {name!r} must be a number an hour")
            self.resource_costs[name] = cost or 0.0
            rows[index]["capacity"] = self._capacity(
                view, index, kind or "default", maxima[index], calendars[index]
            )
        kept = [i for i, name in enumerate(names) if name not in self.infinite]
        limited = [rows[i] for i in kept]
        self._keep_some("resources", view, [names[i] for i in kept], limited, kept)

    def _keep_some(
        self, collection: str, view: View, names: list[str], rows: list[Row], index: list[int]
    ) -> None:
        into = self.data.setdefault(collection, {})
        for name, row, place in zip(names, rows, index, strict=True):
            if not name or name in into:
                what = f"{name!r} stands twice" if name else "the name is missing"
                view.report(place, f"table {view.name}: {what}", code="duplicate-key")
                continue
            into[name] = row
            self.sources.add_line((collection, name), view.table.file, view.lines[place])

    def _capacity(self, view: View, index: int, kind: str, maximum: Any, calendar: str) -> Any:
        if kind not in ("default", "buckets", *_BUCKET_SECONDS):
            what = f"resource type {kind!r} cannot be expressed"
            view.report(index, what, "use default, buckets or infinite", "not-modelled")
            return "1 each/s"
        if calendar:
            spans = self.spans.get(calendar)
            if spans is None:
                hint = nearest(calendar, list(self.data.get("calendars", {})))
                view.report(index, f"calendar {calendar!r} has no buckets", hint, "reference")
                return "1 each/s"
            default = number_of(self.data["calendars"][calendar]["default"]) or 0.0
            self.capacity_calendars.add(calendar)
            return capacity_series(spans, default, per_bucket=kind == "buckets")
        if kind == "buckets":
            view.report(index, "a resource of type buckets needs a maximum calendar")
            return "1 each/s"
        if kind in _BUCKET_SECONDS:
            number = number_of(maximum, "each/s")
            return f"{(1.0 if number is None else number) / _BUCKET_SECONDS[kind]!r} each/s"
        return "1 each/s" if maximum is None else maximum

    def _uses(self, view: View) -> None:
        resources = self.data.get("resources", {})
        names, used = view.text("operation"), view.text("resource")
        quantities = view.quantities("quantity", "")
        kinds = self.tables["resource"].text("type") if "resource" in self.tables else []
        titles = self.tables["resource"].text("name") if "resource" in self.tables else []
        by_bucket = {n for n, k in zip(titles, kinds, strict=True) if k.startswith("buckets")}
        for index, (name, resource) in enumerate(zip(names, used, strict=True)):
            row = self._operation(view, index, name)
            if row is None or resource in self.infinite:
                continue
            if "resource" in self.tables and resource not in resources:
                hint = nearest(resource, list(resources))
                what = f"resource {resource!r} is not in table resource"
                view.report(index, what, hint, "reference")
                continue
            if resource in self.pools:
                what = f"resource {resource!r} is a pool of alternates"
                hint = "name the member, or declare one operation for each"
                view.report(index, what, hint, "not-modelled")
                continue
            amount = self._amount(view, index, name, quantities[index], resource in by_bucket)
            uses = row.setdefault("uses", {})
            if resource in uses:
                what = f"{resource!r} stands twice in operation {name!r}"
                view.report(index, what, "add them up")
                continue
            uses[resource] = amount
            self.timed.add(name)
            at = ("operations", name, "uses", resource)
            self.sources.add_line(at, view.table.file, view.lines[index])
            self._charge(view, index, row, resource, amount)

    def _amount(self, view: View, index: int, name: str, quantity: Any, by_bucket: bool) -> Any:
        """Units of a resource that one run takes: resource-seconds, or units of a bucket."""
        quantity = 1.0 if quantity is None else quantity
        if by_bucket or name not in self.kinds:
            return quantity
        kind, duration, per, largest = self.kinds[name]
        number = number_of(quantity)
        time = per if kind == "time_per" else duration
        if number is None or (time is None and kind == "time_per"):
            what = f"operation {name!r}: quantity and duration on a resource must be numbers"
            view.report(index, what, "give the range to the operation's duration in the twin")
            return quantity
        if kind == "fixed_time":
            if not largest:
                what = f"operation {name!r} takes its duration on its resource for every unit"
                hint = "give its size maximum if one lot makes several units"
                view.report(index, what, hint, "approximation", "warning")
            return number * (time or 0.0) / (largest or 1.0)
        return number * (time or 0.0)

    def _charge(self, view: View, index: int, row: Row, resource: str, amount: Any) -> None:
        """Add the resource's cost an hour to the operation's cost a run."""
        hourly = self.resource_costs.get(resource, 0.0)
        if not hourly:
            return
        own = 0.0 if row.get("cost") is None else number_of(row["cost"], "USD")
        seconds = number_of(amount)
        if own is None or seconds is None:
            what = f"the cost of resource {resource!r} cannot be added to a range"
            view.report(index, what, "give the operation's cost with it, and the resource none")
            return
        row["cost"] = f"{own + hourly * seconds / 3600!r} USD"

    def _finish_resources(self) -> None:
        """Resources without a location stand where the operations that use them are."""
        places: dict[str, set[str]] = {}
        for row in self.data.get("operations", {}).values():
            for resource in row.get("uses", {}):
                places.setdefault(resource, set()).add(row.get("at", ""))
        for name, row in self.data.get("resources", {}).items():
            if "at" not in row and len(places.get(name, ())) == 1:
                row["at"] = next(iter(places[name]))

    def _finish_calendars(self) -> None:
        """Calendars that only say a resource's capacity have become its series."""
        working = {
            row["available"]
            for rows in self.data.values()
            for row in rows.values()
            if "available" in row
        }
        for name in self.capacity_calendars - working:
            self.data["calendars"].pop(name, None)

    # Demand and supply.

    def _demands(self, view: View) -> None:
        states = [state.casefold() for state in view.text("status")]
        if any(state in ("closed", "canceled", "inquiry") for state in states):
            what = "demands that are closed, canceled or an inquiry are left out"
            view.report(-1, what, "", "not-used", "note")
        if view.has("minshipment"):
            what = "a minimum shipment is not used: orders may be delivered in parts"
            view.report(-1, what, "", "not-used", "warning")
        rows = _rows(
            len(view),
            item=view.text("item"),
            location=view.text("location"),
            customer=view.text("customer"),
            quantity=view.quantities("quantity", ""),
            due=view.dates("due"),
            price=view.quantities("price", "USD"),
        )
        for row, priority in zip(rows, view.integers("priority", 10), strict=True):
            row["priority"] = priority
        names = view.text("name")
        wanted = [
            i for i, state in enumerate(states) if state not in ("closed", "canceled", "inquiry")
        ]
        if len(wanted) == len(names):
            self._keep("demands", view, names, rows)
        else:
            some = [rows[i] for i in wanted]
            self._keep_some("demands", view, [names[i] for i in wanted], some, wanted)

    def _suppliers(self, view: View) -> None:
        rows = _rows(len(view), description=view.text("description"), country=view.text("country"))
        self._keep("suppliers", view, view.text("name"), rows)

    def _activity(self, view: View, **more: list[Any]) -> list[Row]:
        """What purchases and lanes have in common."""
        rows = _rows(
            len(view),
            **more,
            description=view.text("description"),
            lead_time=view.quantities("leadtime", "s"),
            cost=view.quantities("cost", "USD"),
            start=view.dates("start"),
            end=view.dates("end"),
            stage=view.text("stage"),
            **self._lots(view),
        )
        self._priorities(view, rows)
        amounts = view.quantities("resourceqty", "")
        for row, resource, amount in zip(rows, view.text("resource"), amounts, strict=True):
            if resource and resource not in self.infinite:
                row["uses"] = {resource: 1.0 if amount is None else amount}
        return rows

    def _purchases(self, view: View) -> None:
        suppliers, items, locations = (view.text(c) for c in ("supplier", "item", "location"))
        rows = self._activity(view, supplier=suppliers, item=items, location=locations)
        needed = self._needed() if not all(locations) else {}
        names: list[str] = []
        kept: list[Row] = []
        index: list[int] = []
        for i, row in enumerate(rows):
            where = [locations[i]] if locations[i] else sorted(needed.get(items[i], ()))
            if not where:
                what = f"{items[i]!r} is bought for any location, but none needs it"
                view.report(i, what, "name the location")
            for location in where:
                names.append(f"{items[i]} @ {location} from {suppliers[i]}")
                kept.append({**row, "location": location})
                index.append(i)
        self._keep_some("purchases", view, names, kept, index)

    def _needed(self) -> dict[str, set[str]]:
        """Locations where an item is consumed, stocked or demanded."""
        needed: dict[str, set[str]] = {}
        for row in self.data.get("operations", {}).values():
            for item in row.get("consumes", ()):
                needed.setdefault(item, set()).add(row.get("at", ""))
        for collection in ("buffers", "demands"):
            for row in self.data.get(collection, {}).values():
                if row.get("item") and row.get("location"):
                    needed.setdefault(row["item"], set()).add(row["location"])
        return {item: {place for place in places if place} for item, places in needed.items()}

    def _lanes(self, view: View) -> None:
        items, origins, to = (view.text(c) for c in ("item", "origin", "location"))
        for index, item in enumerate(items):
            if not item:
                view.report(index, "a lane for all items cannot be expressed", "name the item")
        rows = self._activity(
            view,
            items=[[item] for item in items],
            origin=origins,
            destination=to,
        )
        names = [
            f"{item}: {origin} -> {place}" if item else ""
            for item, origin, place in zip(items, origins, to, strict=True)
        ]
        self._keep("lanes", view, names, rows)


def _rows(size: int, **columns: list[Any]) -> list[Row]:
    """One mapping a row of all cells that are not blank."""
    rows: list[Row] = [{} for _ in range(size)]
    for name, cells in columns.items():
        for row, cell in zip(rows, cells, strict=True):
            if cell is not None and cell != "":
                row[name] = cell
    return rows


def _is_negative(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_negative(value[key]) for key in ("value", "low", "high") if key in value)
    if isinstance(value, str):
        return value.lstrip().startswith("-")
    return isinstance(value, int | float) and value < 0
