"""Addresses that nobody but this machine reaches."""

LOCAL = ("127.0.0.1", "::1", "localhost")
