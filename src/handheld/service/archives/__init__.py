"""Archives: those that strangers send, opened without trusting a word of them, and those that are
sent while they are made.
"""

from handheld.service.archives._unpacker import unpack
from handheld.service.archives.zipstream import stream_zip

__all__ = ["stream_zip", "unpack"]
