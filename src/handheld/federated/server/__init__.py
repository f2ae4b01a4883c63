"""The server of a federation: devices check in, rounds are made of them, a model comes out.

``config`` reads a file, ``hosting`` serves it, ``pki`` makes certificates for a try. ``task`` is
the seam to what is learned: bytes and sums alone. ``pace`` tells devices when to come back;
``store`` keeps everything in SQL, ``blobs`` models in files; ``coordinator`` leads rounds, of which
any process can go on with any. Needs the extras ``server`` and ``federated``, but no torch.
"""
