"""A kind of job: the seam between this room and those that have work to do."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from handheld.errors import InputError
from handheld.ranges import in_range

Spec = dict[str, Any]
Report = Callable[[float, str], None]
_FieldType = Literal["file", "text", "number", "choice", "flag"]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MAX_TEXT = 10_000  # characters: a long letter


def _accept(_upload: Path, spec: Spec) -> Spec:
    return spec


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One field of a form.

    ``name`` is its key in the spec; ``accept`` are the file name endings of a file field (lower
    case, such as ``.tar.gz``); ``minimum`` and ``maximum`` bound a number; ``choices`` are the
    values of a choice. A file arrives as ``upload/NAME + ending``, never under the name that its
    sender gave it.
    """

    name: str
    label: str
    type: _FieldType = "text"
    help: str = ""
    required: bool = True
    default: str = ""
    accept: Sequence[str] = ()
    choices: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in ("kind", "token"):
            raise InputError(
                f"field {self.name!r}: expected a name of a-z, 0-9 and _ that is neither 'kind' "
                "nor 'token'"
            )
        if self.type not in get_args(_FieldType):
            known = ", ".join(get_args(_FieldType))
            raise InputError(f"field {self.name!r}: expected a type of {known}, got {self.type!r}")
        if self.type == "choice" and not self.choices:
            raise InputError(f"field {self.name!r}: a choice needs choices")
        for name in ("accept", "choices"):
            # A text is a sequence too, of letters.
            if isinstance(getattr(self, name), str):
                raise InputError(f"field {self.name!r}: expected {name} as a list of texts")
        # A default that the field refuses is told now, and not to whoever leaves it as it is.
        if self.default:
            self.parse(self.default)

    def parse(self, text: str) -> Any:
        """Return what a person entered as a value, None for nothing.

        Raises :class:`InputError` naming the field.
        """
        if self.type == "flag":
            return text.lower() in ("on", "true", "1", "yes")
        if len(text) > _MAX_TEXT:
            raise InputError(
                f"{self.label}: expected at most {_MAX_TEXT} characters, got {len(text)}"
            )
        if not text.strip():
            if self.required:
                raise InputError(f"{self.label}: expected a {self.type}, got nothing")
            return None
        if self.type == "choice" and text not in self.choices:
            raise InputError(
                f"{self.label}: expected one of {', '.join(self.choices)}, got {text!r}"
            )
        if self.type == "number":
            return self._number(text)
        return text

    def file_name(self, sent: str) -> str:
        """Return the name under which a file is kept.

        Raises :class:`InputError` for an ending that is not accepted.
        """
        endings = [ending for ending in self.accept if sent.lower().endswith(ending)]
        # Without a list any file is taken, and none keeps its ending.
        if self.accept and not endings:
            raise InputError(
                f"{self.label}: expected a file called *{', *'.join(self.accept)}, "
                f"got {sent[-80:]!r}"
            )
        # The longest: what ends in .tar.gz ends in .gz too.
        return self.name + max(endings, key=len, default="")

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"{self.label}: expected a number, got {text[:80]!r}") from None
        in_range(self.label, value, low=self.minimum, high=self.maximum)
        return value


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """A kind of job that people may submit.

    ``entry`` is ``package.module:function``, called in a process of its own as
    ``function(folder, spec, report)``: it reads ``folder/upload``, works in ``folder/work``, writes
    what may be downloaded into ``folder/result``, and calls ``report(fraction, message)`` now and
    then. It may be killed at any moment and called again with the same folder, so it must go on
    from what it finds in ``work``. ``check(upload, spec)`` runs in the server before a job is
    queued, must be quick, must not open an archive, and returns the spec or raises
    :class:`InputError`; the entry checks the rest.
    """

    name: str
    title: str
    entry: str
    fields: Sequence[FormField] = ()
    description: str = ""
    check: Callable[[Path, Spec], Spec] = _accept

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"kind {self.name!r}: expected a name of a-z, 0-9 and _")
        module, colon, function = self.entry.partition(":")
        if not (module and colon and function.isidentifier()):
            raise InputError(
                f"kind {self.name!r}: expected an entry such as 'package.module:function', "
                f"got {self.entry!r}"
            )
        for name, number in Counter(self._names).items():
            if number > 1:
                raise InputError(f"kind {self.name!r}: two fields are called {name!r}")

    @property
    def _names(self) -> list[str]:
        return [field.name for field in self.fields]

    def field(self, name: str) -> FormField:
        """Return a field by name. Raises :class:`InputError` if the form has none of that name."""
        for field in self.fields:
            if field.name == name:
                return field
        names = ", ".join(self._names)
        # Cut off: the name is a sender's, and may be as long as a field's value.
        raise InputError(f"{self.title}: expected the fields {names}, got {name[:80]!r}")

    def parse(self, values: Mapping[str, str], files: Mapping[str, str]) -> Spec:
        """Return a job's spec: the values entered, and for each file its name in ``upload``."""
        spec: Spec = {}
        for field in self.fields:
            if field.type != "file":
                spec[field.name] = field.parse(values.get(field.name, field.default))
            elif field.name in files:
                spec[field.name] = files[field.name]
            elif field.required:
                raise InputError(f"{field.label}: expected a file, got none")
            else:
                spec[field.name] = None
        return spec
