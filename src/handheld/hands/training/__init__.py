"""How the hand models are trained: rendered hands and photos in one form, networks, runs.

Internal to the room ``handheld.hands``. ``labels`` is what is known of the hands in a picture;
``render`` makes pictures of hands with exact truth, and the clip that ships with the package;
``stream`` makes examples of any kind in worker processes.
"""
