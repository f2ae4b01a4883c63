import pytest

from handheld.graph import Packet, Timestamp


def test_a_packet_is_an_immutable_pair() -> None:
    packet = Packet("hello", Timestamp(40))
    payload, timestamp = packet
    assert (payload, timestamp) == ("hello", 40)
    with pytest.raises(AttributeError):
        packet.payload = "other"  # type: ignore[misc]
