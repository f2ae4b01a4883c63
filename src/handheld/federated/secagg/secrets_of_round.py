"""What is shared and revealed of a client's two secrets, in bytes.

One secret is the seed of the mask that is its own, the other the private key by which it agrees on
masks with its peers. Of each client who survived the first comes out, of others the second; who
knew both could take its masks away.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.keys import SEALED_BYTES
from handheld.federated.secagg.masks import SEED_BYTES
from handheld.federated.secagg.packing import pack, packed_bytes, unpack
from handheld.federated.secagg.shares import LIMB_BYTES, PRIME, split

# The field has 65,537 elements: one more than 16 bits can tell.
_ELEMENT_BITS = 17  # of an element of the field
_SEED_LIMBS = SEED_BYTES // LIMB_BYTES
SHARE_BYTES = packed_bytes(_SEED_LIMBS, _ELEMENT_BITS)
"""Of a share of one secret, seed or key: 16 elements of 17 bits, which are whole bytes."""

SEALED_SHARE_BYTES = 2 * SHARE_BYTES + SEALED_BYTES
"""Of the shares of both, sealed."""


def split_both(seed: bytes, mask_key: bytes, holders: int, threshold: int) -> list[bytes]:
    """Return for each holder the shares of both secrets, that of the seed first."""
    elements = split(seed + mask_key, holders, threshold)
    # All at once: a holder's elements fill whole bytes.
    packed = pack(elements.reshape(-1), _ELEMENT_BITS)
    size = 2 * SHARE_BYTES
    return [packed[start : start + size] for start in range(0, len(packed), size)]


def one_of(both: bytes, *, of_seed: bool) -> bytes:
    """Return the share of the seed or that of the key alone.

    Raises:
        RefusedMessageError: these are no shares.
    """
    if len(both) != 2 * SHARE_BYTES:
        raise RefusedMessageError(
            f"a share is none: expected {2 * SHARE_BYTES} bytes of both, got {len(both)}"
        )
    if of_seed:
        return both[:SHARE_BYTES]
    return both[SHARE_BYTES:]


def elements_of(shares: Sequence[bytes]) -> NDArray[np.uint32]:
    """Return shares of one secret each as (shares, limbs) field elements.

    Raises:
        RefusedMessageError: one of them is none.
    """
    try:
        elements = unpack(b"".join(shares), len(shares) * _SEED_LIMBS, _ELEMENT_BITS)
    except InputError as error:
        raise RefusedMessageError(f"a share is none: {error}") from error
    # 17 bits hold numbers up to 131,071.
    if elements.size and int(elements.max()) >= PRIME:
        raise RefusedMessageError("a share is none: it is beyond the field")
    return elements.astype(np.uint32).reshape(len(shares), _SEED_LIMBS)
