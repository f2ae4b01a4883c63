"""Takes what a multipart parser finds: values into memory, files onto the disk."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from handheld.errors import HandheldError, InputError, MissingDependencyError
from handheld.service.jobs.kinds import JobKind

try:
    from python_multipart.multipart import parse_options_header
except ImportError as error:
    raise MissingDependencyError("python-multipart", "server", "uploads") from error

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

NO_TOKEN = (
    "expected the token of this server, got none or another; a program sends it as "
    "'Authorization: Bearer TOKEN', a form as the field 'token' before its first file"
)
_MAX_VALUE = 40_000  # bytes: 10,000 letters, the most that a field takes, in UTF-8


class UploadError(HandheldError):
    """An upload that is refused, with the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class UploadedForm:
    """What was sent: values by field, and names of files in the folder by field."""

    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def is_token(sent: str | None, token: str | None) -> bool:
    """Whether a token, if one is needed, is right; takes the same time whatever is sent."""
    return token is None or hmac.compare_digest((sent or "").encode(), token.encode())


@dataclass(frozen=True)
class UploadTerms:
    """What an upload has to keep to.

    Attributes:
        max_bytes: of the body.
        admit: called once with what the field ``token`` says, None without one, before the first
            byte of a file is written; what it raises ends the upload.
    """

    max_bytes: int
    admit: Callable[[str | None], None]


class FormReader:
    """Has the callbacks of the parser; ``form`` is what came, ``ended`` whether all did."""

    def __init__(self, folder: Path, job_kind: JobKind, terms: UploadTerms) -> None:
        self.form = UploadedForm()
        self.ended = False
        self._folder = folder
        self._kind = job_kind
        self._terms = terms
        self._is_admitted = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._name = ""
        self._text = b""
        self._file: BinaryIO | None = None

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser is to call."""
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._part_is_known,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._all_ends,
        }

    def count(self, size: int) -> None:
        """Count bytes of the body. Raises :class:`UploadError` when there are too many."""
        self.form.bytes += size
        # What comes is counted, as the length that a request declares may be any number.
        if self.form.bytes > self._terms.max_bytes:
            raise UploadError(
                413, f"expected an upload of at most {self._terms.max_bytes} bytes, got more"
            )

    def admit(self) -> None:
        """Have the sender admitted, once. Raises what the terms do."""
        if not self._is_admitted:
            self._terms.admit(self.form.values.get("token"))
            self._is_admitted = True

    def close(self) -> None:
        """Close the file that is being written, if any."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _part_begins(self) -> None:
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _part_is_known(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name in self.form.values or self._name in self.form.files:
            raise InputError(f"field {self._name!r}: expected it once, got it twice")
        if b"filename" in options:
            self._open(options[b"filename"].decode(errors="replace"))
        elif self._name not in ("token", "kind"):
            self._kind.field(self._name)

    def _open(self, sent: str) -> None:
        # Before the first byte of a file is kept: fields are small, files are not.
        self.admit()
        field = self._kind.field(self._name)
        if field.type != "file":
            raise InputError(f"{field.label}: expected a {field.type}, got a file")
        if not sent:  # what a browser sends for a field without a file
            self._file = Path("/dev/null").open("wb")  # noqa: SIM115
            return
        name = field.file_name(sent)
        self.form.files[self._name] = name
        # "x": nothing is there yet, and nothing is ever written over.
        self._file = (self._folder / name).open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        # At each piece: a value without an end would fill the memory.
        if len(self._text) > _MAX_VALUE:
            raise UploadError(
                413, f"field {self._name!r}: expected at most {_MAX_VALUE} bytes, got more"
            )

    def _part_ends(self) -> None:
        if self._file is None:
            self.form.values[self._name] = self._text.decode(errors="replace")
        self._text = b""
        self.close()

    def _all_ends(self) -> None:
        self.ended = True
