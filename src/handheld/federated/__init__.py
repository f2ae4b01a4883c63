"""One model over many devices whose data never leaves them.

So far: ``algorithms``, what a server does with a round, and ``updates``, which makes what devices send small.
"""
