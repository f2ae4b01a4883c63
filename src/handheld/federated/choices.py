"""What the tables of a configuration name.

Algorithms, stages, encoders and their like, ours or a user's own.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from handheld.config import factory, from_table
from handheld.errors import HandheldError, InputError
from handheld.federated import algorithms, stages, updates
from handheld.federated.learning import subspaces
from handheld.federated.user_code import said

# Names of configurations: what a table may be called, and what it makes.
ALGORITHMS = {
    "fedavg": algorithms.FedAvg,
    "fedsgd": algorithms.FedSGD,
    "fedprox": algorithms.FedProx,
    "fedavgm": algorithms.FedAvgM,
    "fedadam": algorithms.FedAdam,
    "fedyogi": algorithms.FedYogi,
    "scaffold": algorithms.Scaffold,
}
ROBUST = {
    "trimmed_mean": algorithms.TrimmedMean,
    "median": algorithms.Median,
    "krum": algorithms.Krum,
}
STAGES = {
    "clip": stages.Clip,
    "adaptive_clip": stages.AdaptiveClip,
    "central_noise": stages.CentralNoise,
    "local_noise": stages.LocalNoise,
    "tree_noise": stages.TreeNoise,
    "compressed": stages.Compressed,
    "structured": stages.Structured,
    "whole_numbers": stages.WholeNumbers,
}
ENCODERS = {
    "eden": updates.Eden,
    "stochastic": updates.Stochastic,
    "subsample": updates.Subsample,
    "largest": updates.Largest,
    "coded": updates.Coded,
    "whole": updates.Whole,
}
STRUCTURES = {"random_mask": subspaces.RandomMask, "low_rank": subspaces.LowRank}


@dataclass(frozen=True)
class TableChoice:
    """What a table may name.

    Attributes:
        classes: of ours, by name.
        attributes: what a class of the user's own must have.
    """

    classes: Mapping[str, type[Any]]
    attributes: tuple[str, ...]

    def require_attributes(self, value: object, entry: str, name: str) -> None:
        """Raise :class:`InputError` where a user's own value lacks one of the attributes."""
        for attribute in self.attributes:
            if not hasattr(value, attribute):
                expected = ", ".join(self.attributes)
                raise InputError(f"{entry}: {name} has no {attribute!r}; expected {expected}")


# What each must have: an own class that lacks it is refused before the first round.
ALGORITHM = TableChoice(ALGORITHMS, ("corrects", "init", "adjust", "keep", "apply"))
ROBUST_MEAN = TableChoice(ROBUST, ("mean",))
STAGE = TableChoice(STAGES, ("start", "after", "on_update", "on_sum"))
ENCODER = TableChoice(ENCODERS, ("unbiased", "encode", "decode"))
STRUCTURE = TableChoice(STRUCTURES, ("subspace",))
LEARNER = TableChoice({}, ("examples", "shapes", "at_once", "start", "learn", "evaluate"))
INNER = {"encoder": ENCODER, "then": ENCODER, "structure": STRUCTURE}
"""Fields of stages and encoders that are tables themselves."""


def named(choice: TableChoice, table: Any, entry: str, *, folder: Path) -> Any:
    """Build what a table names, such as ``{name = "eden", bits = 2}``.

    Encoders and structures in it are tables likewise.

    Args:
        choice: what may be named.
        table: as TOML gives it.
        entry: of the configuration, for messages.
        folder: in which the user's modules are looked for too.

    Raises:
        InputError: no such name or field, or a class of the user's own that raises, or lacks an
            attribute.
    """
    name = ""
    if isinstance(table, dict):
        name = str(table.get("name"))
    maker = _maker(choice, name, folder)
    if maker is None:
        names = ", ".join([*choice.classes, "package.module:Class"])
        raise InputError(f"{entry}: expected a table with a name of {names}, got {table!r}")
    inner: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for key, value in table.items():
        if key in INNER:
            inner[key] = named(INNER[key], value, f"{entry}.{key}", folder=folder)
        elif key != "name":
            plain[key] = value
    if isinstance(maker, type) and _is_made_from_fields(maker):
        make = partial(from_table, maker, plain, entry, **inner)
    else:
        make = partial(_call, maker, {**plain, **inner}, f"{entry}: {name}")
    value = result_of(make, entry, name)
    choice.require_attributes(value, entry, name)
    return value


def table_of(choice: TableChoice, value: Any) -> dict[str, Any]:
    """Return the table that names a value of one of our classes: the reverse of :func:`named`.

    Raises:
        InputError: its class is the user's own, whose name means nothing elsewhere.
    """
    names = {known: name for name, known in choice.classes.items()}
    name = names.get(type(value))
    if name is None:
        raise InputError(
            f"expected one of {', '.join(choice.classes)}, got a {type(value).__qualname__}: where"
            " a plan travels, devices know ours only"
        )
    table: dict[str, Any] = {"name": name}
    for entry in fields(value):
        inner = getattr(value, entry.name)
        if entry.name in INNER:
            table[entry.name] = table_of(INNER[entry.name], inner)
        elif inner is not None:
            table[entry.name] = inner
    return table


def require_ours(table: Any) -> None:
    """Raise :class:`InputError` where a table, or one in it, names anything but a class of ours.

    For tables from outside: what they name is imported and called.
    """
    if isinstance(table, dict):
        name = table.get("name")
        if isinstance(name, str) and ":" in name:
            raise InputError(f"expected the name of a class of ours, got {name[:80]!r}")
        for inner in table.values():
            require_ours(inner)
    elif isinstance(table, list):
        for inner in table:
            require_ours(inner)


def _maker(choice: TableChoice, name: str, folder: Path) -> Callable[..., Any] | None:
    """Return what is called by a name; None for one that nothing has."""
    # A colon: none of ours has one.
    if ":" in name:
        return factory(name, folder)
    return choice.classes.get(name)


def result_of(function: Callable[..., Any], entry: str, name: str, *arguments: Any) -> Any:
    """Return what a user's class or function gives.

    Raises :class:`InputError` with its name where it raises.
    """
    try:
        return function(*arguments)
    except (HandheldError, MemoryError):
        raise
    except Exception as error:  # whatever a user's code raises
        raise InputError(f"{entry}: {name} raises {said(error)}") from error


def _is_made_from_fields(maker: type[Any]) -> bool:
    """Whether a class's ``__init__`` is its dataclass's: a subclass may have written one."""
    if not is_dataclass(maker):
        return False
    owner = next(base for base in maker.__mro__ if "__init__" in vars(base))
    return "__dataclass_fields__" in vars(owner)


def _call(function: Callable[..., Any], values: Mapping[str, Any], entry: str) -> Any:
    # Bound first: a TypeError of the call itself may be the user's own, and is another error.
    try:
        inspect.signature(function).bind(**values)
    except TypeError as error:
        raise InputError(f"{entry}: {error}") from error
    return function(**values)
