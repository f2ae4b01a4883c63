"""Who may take part: the identities of devices, and the nonces that they signed, in SQL."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from handheld.errors import InputError, MissingDependencyError
from handheld.federated.server._tables import devices
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.sessions import NONCE_SECONDS

try:
    import sqlalchemy as sql
    from sqlalchemy.exc import IntegrityError
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a federation's server") from error

_MICRO = 1_000_000
_RECENT = 3600.0  # seconds after its last session for which a device counts as active


@dataclass(frozen=True)
class DeviceCounts:
    """How many devices there are.

    Args:
        enrolled: that may take part.
        active: of these, those that opened a session in the last hour.
        revoked: that may not any more.
    """

    enrolled: int
    active: int
    revoked: int


class EnrolmentStore:
    """Devices by their identities, of 32 bytes.

    Args:
        database: of the federation.
        clock: seconds since the epoch.
    """

    def __init__(
        self, database: FederationDatabase, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock

    def enrol(self, identity: bytes, nonce_at: int = 0) -> bool:
        """Let a device take part; once more does no harm.

        Args:
            identity: its public key.
            nonce_at: microseconds of the nonce that it signed; 0: the operator enrols it.

        Returns:
            False where the nonce is not newer than one before, or the device was revoked.
        """
        values = {
            "identity": identity.hex(),
            "enrolled": self._clock(),
            "nonce_at": nonce_at,
            "seen": self._clock(),
        }
        try:
            with self._database.write() as connection:
                connection.execute(sql.insert(devices).values(**values))
            return True
        # It is enrolled already. Inserted first, as two requests at once could both find nothing.
        except IntegrityError:
            return nonce_at == 0 or self.seen(identity, nonce_at)

    def seen(self, identity: bytes, nonce_at: int) -> bool:
        """Say that a device signed a nonce; return False where it may not, or did so before."""
        is_it = devices.c.identity == identity.hex()
        # One of a clock that was ahead: by the clock of now it is not good yet, nor are any after
        # it, and the device would have to wait until the clock is there.
        ahead = int((self._clock() + NONCE_SECONDS) * _MICRO)
        is_newer = (devices.c.nonce_at < nonce_at) | (devices.c.nonce_at > ahead)
        update = sql.update(devices).where(is_it, devices.c.revoked.is_(None), is_newer)
        values = {"nonce_at": nonce_at, "seen": self._clock()}
        with self._database.write() as connection:
            return connection.execute(update.values(**values)).rowcount == 1

    def revoke(self, identity: bytes) -> None:
        """Let a device take part no more.

        Raises:
            InputError: there is none.
        """
        update = sql.update(devices).where(devices.c.identity == identity.hex())
        with self._database.write() as connection:
            changed = connection.execute(update.values(revoked=self._clock())).rowcount
        if not changed:
            raise InputError(f"no device {identity.hex()[:12]} is enrolled")

    def revoked(self) -> frozenset[str]:
        """Return the identities of those that were revoked, in hexadecimal."""
        selected = sql.select(devices.c.identity).where(devices.c.revoked.is_not(None))
        with self._database.read() as connection:
            return frozenset(connection.execute(selected).scalars())

    def counts(self) -> DeviceCounts:
        """Return how many devices there are."""
        is_revoked = devices.c.revoked.is_not(None)
        is_active = (devices.c.seen > self._clock() - _RECENT) & ~is_revoked
        selected = sql.select(
            sql.func.count().filter(~is_revoked),
            sql.func.count().filter(is_active),
            sql.func.count().filter(is_revoked),
        ).select_from(devices)
        with self._database.read() as connection:
            return DeviceCounts(*connection.execute(selected).one())
