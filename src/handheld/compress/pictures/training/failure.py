"""An error of this package on its way from another process: its class by name and its text,
whatever its arguments were.
"""

from typing import NamedTuple

from handheld import errors


class Failure(NamedTuple):
    """What went wrong elsewhere.

    Attributes:
        kind: name of a class in ``handheld.errors``.
        text: of the error.
    """

    kind: str
    text: str

    @classmethod
    def of(cls, error: errors.HandheldError) -> "Failure":
        """Describe an error; a class that is not in ``handheld.errors`` becomes the nearest that
        is.
        """
        kind = next(base for base in type(error).__mro__ if base.__module__ == errors.__name__)
        return cls(kind.__name__, str(error))

    def error(self) -> errors.HandheldError:
        """Return the error, to be raised here."""
        kind = getattr(errors, self.kind)
        # Not by calling the class: some take other arguments than their text.
        made: errors.HandheldError = kind.__new__(kind, self.text)
        return made
