"""What is shared and revealed of a client's two secrets, in bytes.

One secret is the seed of the mask that is its own, the other the private key by which it agrees on
masks with its peers. Of each client who survived the first comes out, of others the second; who
knew both could take its masks away.
"""

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.keys import KEY_BYTES, SEALED_BYTES
from handheld.federated.secagg.masks import SEED_BYTES
from handheld.federated.secagg.packing import pack, packed_bytes, unpack
from handheld.federated.secagg.shares import LIMB_BYTES, PRIME, split

_ELEMENT_BITS = 17  # of an element of the field
_SEED_LIMBS = SEED_BYTES // LIMB_BYTES
_KEY_LIMBS = KEY_BYTES // LIMB_BYTES
SHARE_BYTES = packed_bytes(_SEED_LIMBS, _ELEMENT_BITS)
"""Of a share of one secret."""

SEALED_SHARE_BYTES = packed_bytes(_SEED_LIMBS + _KEY_LIMBS, _ELEMENT_BITS) + SEALED_BYTES
"""Of the shares of both, sealed."""


def split_both(seed: bytes, mask_key: bytes, holders: int, threshold: int) -> list[bytes]:
    """Return for each holder the shares of both secrets."""
    elements = split(seed + mask_key, holders, threshold)
    return [pack(row, _ELEMENT_BITS) for row in elements]


def one_of(both: bytes, *, of_seed: bool) -> bytes:
    """Return the share of the seed or that of the key alone.

    Raises:
        RefusedMessageError: these are no shares.
    """
    try:
        elements = unpack(both, _SEED_LIMBS + _KEY_LIMBS, _ELEMENT_BITS)
    except InputError as error:
        raise RefusedMessageError(f"a share is none: {error}") from error
    chosen = elements[:_SEED_LIMBS] if of_seed else elements[_SEED_LIMBS:]
    return pack(chosen, _ELEMENT_BITS)


def elements_of(share: bytes) -> NDArray[np.uint32]:
    """Return a share of one secret as field elements.

    Raises:
        RefusedMessageError: it is none.
    """
    try:
        elements = unpack(share, _SEED_LIMBS, _ELEMENT_BITS)
    except InputError as error:
        raise RefusedMessageError(f"a share is none: {error}") from error
    if int(elements.max()) >= PRIME:
        raise RefusedMessageError("a share is none: it is beyond the field")
    return elements.astype(np.uint32)
