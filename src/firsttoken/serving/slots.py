"""Slots of a token factory: sheets of its GPUs and of its language models."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from firsttoken.serving import model, parts
from firsttoken.serving.model_hardware import LanguageModel
from firsttoken.serving.model_service import Pool, Service
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.library import FactError
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.schema import Declared
from firsttoken.twin.sheets import Sheet
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin


@dataclass(frozen=True)
class Slots:
    """Everything that compilers and checks read a token factory with.

    Attributes
    ----------
    twin : the twin under its scenario.
    name : instance under `serving`.
    build : collects parameters and series.
    resolve : looks facts and ports of other rooms up.
    """

    twin: Twin
    name: str
    build: ParameterBuilder
    resolve: Resolve
    factory: model.Serving = field(init=False)

    def __post_init__(self) -> None:
        factory = self.twin.rooms["serving"][self.name]
        assert isinstance(factory, model.Serving)
        object.__setattr__(self, "factory", factory)

    @property
    def path(self) -> str:
        """Path of the factory."""
        return f"serving.{self.name}"

    @cached_property
    def own(self) -> Sheet:
        """The factory's own fields."""
        return Sheet(self.twin, self.build, self.path, type(self.factory), self.factory, "")

    def sheet(self, path: str, declared: Declared) -> Sheet:
        """The sheet of an object below the factory that has no part: `services.chat.slo`."""
        return Sheet(self.twin, self.build, f"{self.path}.{path}", type(declared), declared, "")

    def accelerators(self, name: str) -> Sheet:
        """The sheet of a pool of GPUs; a rack as its part stands for its GPUs.

        Raises
        ------
        TwinError
            If its part is unknown.
        """
        declared, path = self.factory.accelerators[name], f"{self.path}.accelerators.{name}"
        part = ""
        if declared.part is not None:
            part = self._look_up(declared.part, "accelerator", f"{path}.part")
        return Sheet(self.twin, self.build, path, type(declared), declared, part)

    def language_model(self, service: str) -> Sheet:
        """The sheet of a service's model: declared under `models`, or of the library.

        Raises
        ------
        TwinError
            If there is no such model.
        """
        name = self.factory.services[service].model
        declared = self.factory.models.get(name)
        path = f"{self.path}.models.{name}"
        if declared is None:
            path = f"{self.path}.services.{service}.model"
            part = self._look_up(name, "model", path)
            return Sheet(self.twin, self.build, path, LanguageModel, None, part)
        part = ""
        if declared.part is not None:
            part = self._look_up(declared.part, "model", f"{path}.part")
        return Sheet(self.twin, self.build, path, LanguageModel, declared, part)

    def pool_name(self, service: str, pool: Pool | None = None) -> str:
        """Pool of GPUs that a service, or its prefill, runs on.

        Raises
        ------
        TwinError
            If it is not declared, or none is named and there are several.
        """
        declared = self.factory.services[service]
        given = (pool.on if pool is not None else None) or declared.on
        known = list(self.factory.accelerators)
        path = f"{self.path}.services.{service}.on"
        if given is None and len(known) == 1:
            return known[0]
        if given is None:
            what, hint = "'on' is missing", f"name one of {', '.join(known)}"
            if not known:
                hint = "declare GPUs: accelerators: {pool: {part: gb300, count: 72}}"
            raise TwinError(self._finding(what, hint, path, "missing"))
        if given not in known:
            what, hint = f"{given!r} is no pool of GPUs", nearest(given, known)
            raise TwinError(self._finding(what, hint, path, "reference"))
        return given

    def _look_up(self, name: str, kind: str, path: str) -> str:
        find = parts.find_model if kind == "model" else parts.find_accelerator
        try:
            return find(self.twin.library, name)
        except FactError as error:
            known = [] if kind != "model" else list(self.factory.models)
            hint = nearest(name, known) if known else ""
            raise TwinError(self._finding(str(error), error.hint or hint, path, "part")) from None

    def _finding(self, what: str, hint: str, path: str, code: str) -> Finding:
        return Finding(what, "", hint, path, code, place=self.twin.place(path))


def pools_of(service: Service) -> list[tuple[str, Pool]]:
    """(path below the service, pool): the service's own, and its prefill."""
    found: list[tuple[str, Pool]] = [("", service)]
    if service.prefill is not None:
        found.append(("prefill", service.prefill))
    return found
