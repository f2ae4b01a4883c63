"""An error of this package on its way from another process: its class by name and its text,
whatever its arguments were.
"""

from typing import NamedTuple

from handheld import errors


class Failure(NamedTuple):
    """What went wrong elsewhere.

    Attributes:
        name: of a class in ``handheld.errors``.
        text: of the error.
    """

    name: str
    text: str

    @classmethod
    def of(cls, error: errors.HandheldError) -> "Failure":
        """Describe an error; a class that is not in ``handheld.errors`` becomes the nearest."""
        bases = type(error).__mro__
        nearest = next(base for base in bases if base.__module__ == errors.__name__)
        return cls(nearest.__name__, str(error))

    def error(self) -> errors.HandheldError:
        """Return the error, to be raised here."""
        error_class = getattr(errors, self.name)
        # Not by calling the class: some take other arguments than their text.
        error: errors.HandheldError = error_class.__new__(error_class, self.text)
        return error
