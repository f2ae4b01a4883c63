"""Secure aggregation: a server learns the sum of what many clients send, and nothing else of it.

Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (CCS 2017).
Nothing here opens a socket, reads a clock or knows of models: bytes in, bytes out.
"""
