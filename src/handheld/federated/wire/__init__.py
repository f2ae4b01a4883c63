"""What a federation's server and its devices say to one another, and the connection for it.

``messages``: typed, versioned, bounded before they are decoded. ``connection``: HTTPS for a device,
which retries and is never silent for ever. ``session``: a device at its federation: enrolled,
checked in, taking part in rounds. Neither needs torch or the extra ``server``.
"""
