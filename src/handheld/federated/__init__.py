"""One model over many devices whose data never leaves them.

``algorithms``: what a server does with a round; ``convex``: the same for sparse convex models.
``learning``: what devices do in it. ``updates``: what they send, made small. ``stages``: what
happens to it on its way, such as clipping and noise. ``simulator``: a whole population in one
place.
"""
