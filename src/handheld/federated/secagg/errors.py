"""What ends a round of secure aggregation."""

from handheld.errors import HandheldError


class RefusedMessageError(HandheldError):
    """A message that no honest party sends: it is refused, and says why.

    A client that refuses takes no further part in the round, and forgets its secrets.
    """


class RoundFailedError(HandheldError):
    """Too few clients are left: the round gives nothing, and reveals nothing."""
