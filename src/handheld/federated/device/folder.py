"""What a device of a federation keeps: who it is, whom it trusts, and which rounds it has seen."""

import json
from pathlib import Path

from handheld.errors import InputError
from handheld.federated.secagg.keys import SigningKey
from handheld.files import atomic_path
from handheld.untrusted import read_json

_KEY = "identity.key"
_SERVER = "server.pub"
_ROUNDS = "rounds.json"
_KEY_BYTES = 32
_MOST_ROUNDS = 10_000
_PRIVATE = 0o600


class ClientFolder:
    """Files of a device, for its owner alone.

    Args:
        path: of the folder, which is made.

    Raises:
        InputError: what is in it is damaged.
        FileError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = self._identity()
        self._rounds = self._seen_rounds()

    @property
    def server(self) -> bytes | None:
        """The server's key that the device keeps to; None before it has seen one."""
        path = self.path / _SERVER
        if not path.exists():
            return None
        return _key_in(path)

    def trust(self, server: bytes) -> None:
        """Keep a server's key: another one is refused from now on."""
        _write(self.path / _SERVER, server.hex())

    def is_new_round(self, round_id: bytes) -> bool:
        """Return whether a round was never seen; it is from now on, whatever happens."""
        name = round_id.hex()
        if name in self._rounds:
            return False
        self._rounds = [*self._rounds, name][-_MOST_ROUNDS:]
        _write(self.path / _ROUNDS, json.dumps(self._rounds))
        return True

    def _identity(self) -> SigningKey:
        path = self.path / _KEY
        if path.exists():
            return SigningKey(_key_in(path))
        identity = SigningKey()
        _write(path, identity.private.hex())
        return identity

    def _seen_rounds(self) -> list[str]:
        path = self.path / _ROUNDS
        if not path.exists():
            return []
        try:
            rounds = read_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
        if not isinstance(rounds, list) or not all(isinstance(name, str) for name in rounds):
            raise InputError(f"{path}: expected a list of rounds")
        return rounds


def _key_in(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    if len(key) != _KEY_BYTES:
        raise InputError(f"{path}: expected a key of {_KEY_BYTES} bytes, got {len(key)}")
    return key


def _write(path: Path, text: str) -> None:
    with atomic_path(path, mode=_PRIVATE) as temporary:
        temporary.write_text(text + "\n")
