"""What the package offers: its public modules and their names, read from the source without
importing it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import griffe

from handheld._rooms import ROOMS

PACKAGE = "handheld"
_DOTTED = re.compile(rf"\b{PACKAGE}(?:\.[a-z]\w*)+")
_OFFERED = (griffe.Kind.CLASS, griffe.Kind.FUNCTION, griffe.Kind.ATTRIBUTE, griffe.Kind.TYPE_ALIAS)


@dataclass(frozen=True)
class PublicModule:
    """A room, or a module within one, that has a page in the reference.

    Attributes:
        path: as in ``handheld.federated.algorithms``.
        names: those that it offers, sorted.
    """

    path: str
    names: tuple[str, ...]

    @property
    def room(self) -> str:
        """The room that it is or stands in."""
        return self.path.split(".")[1]

    @property
    def page(self) -> str:
        """The file of its page, within the folder of the pages."""
        room, _, inner = within(self.path).partition(".")
        return f"reference/{room}/{inner or 'index'}.md"


class Public:
    """The public modules of the package, and where the reference describes each of their names.

    Public are the rooms, the packages within them that list names in ``__all__``, and the modules
    that a task page names.

    Args:
        package: as :func:`load` returns it.
        texts: of the task pages.

    Attributes:
        modules: sorted by path.
        homes: the module whose page describes an object, by the path where that is defined. Of
            several that offer it, it is the one that it is defined in, or else the first.
        anchors: the path by which the reference describes an object, by each path that the object
            goes by.
    """

    def __init__(self, package: griffe.Module, texts: list[str]) -> None:
        self.package = package
        listed = [module.path for module in _packages(package) if module.exports is not None]
        paths = {f"{PACKAGE}.{room.name}" for room in ROOMS} | set(listed)
        offered: set[str] = set()
        for path in paths:
            offered.update(f"{path}.{name}" for name in _names(self.module(path)))
        # What has the name of its file, such as handheld.data.load, is a name and no module.
        paths |= set(self._modules_named("\n".join(texts))) - offered
        self.modules = [PublicModule(path, _names(self.module(path))) for path in sorted(paths)]
        self.homes = self._homes()
        self.anchors = self._anchors()

    def module(self, path: str) -> griffe.Module:
        """Return the module of a full path."""
        module = self.package[within(path)]
        assert isinstance(module, griffe.Module)
        return module

    def of_room(self, room: str) -> list[PublicModule]:
        """Return the public modules of a room, itself first."""
        return [module for module in self.modules if module.room == room]

    def value(self, module: PublicModule, name: str) -> griffe.Object:
        """Return what a module offers under a name, where it is defined."""
        member = self.module(module.path)[name]
        if member.is_module and name in member.members:
            # A function and its file have one name: to Python it is the function, to griffe the
            # file.
            member = member.members[name]
        return member.final_target if isinstance(member, griffe.Alias) else member

    def _homes(self) -> dict[str, PublicModule]:
        homes: dict[str, PublicModule] = {}
        for module in self.modules:  # inner modules after those that they stand in
            for name in module.names:
                path = self.value(module, name).path
                if path not in homes or path.startswith(f"{module.path}."):
                    homes[path] = module
        return homes

    def _anchors(self) -> dict[str, str]:
        anchors = {module.path: module.path for module in self.modules}
        for module in self.modules:
            for name in module.names:
                value = self.value(module, name)
                offered = f"{self.homes[value.path].path}.{name}"
                anchor = value.path if self._is_module(offered) else offered
                anchors[value.path] = anchor
                anchors[f"{module.path}.{name}"] = anchor
                for member in _described_members(value):
                    anchors[f"{value.path}.{member}"] = f"{anchor}.{member}"
        return anchors

    def _modules_named(self, text: str) -> Iterator[str]:
        for match in _DOTTED.finditer(text):
            path = match.group()
            while path != PACKAGE and not self._is_module(path):
                path = path.rpartition(".")[0]
            if path != PACKAGE:
                yield path

    def _is_module(self, path: str) -> bool:
        try:
            return bool(self.package[within(path)].is_module)
        except KeyError:
            return False


def load(search_path: str) -> griffe.Module:
    """Load the package from its source, aliases resolved."""
    package = griffe.load(PACKAGE, search_paths=[search_path], resolve_aliases=True)
    assert isinstance(package, griffe.Module)
    return package


def within(path: str) -> str:
    """Return a full path without the package's name."""
    return path.removeprefix(f"{PACKAGE}.")


def _packages(module: griffe.Module) -> Iterator[griffe.Module]:
    for name, inner in module.modules.items():
        if inner.is_init_module and not name.startswith("_"):
            yield inner
            yield from _packages(inner)


def _names(module: griffe.Module) -> tuple[str, ...]:
    if module.exports is not None:
        return tuple(sorted(str(name) for name in module.exports))
    if module.is_init_module:
        return ()
    defined = [
        name
        for name, member in module.members.items()
        if not member.is_alias and member.kind in _OFFERED and not name.startswith("_")
    ]
    return tuple(sorted(defined))


def _described_members(value: griffe.Object) -> Iterator[str]:
    if value.is_class:
        for name, member in value.members.items():
            if member.has_docstring and not name.startswith("_"):
                yield name
