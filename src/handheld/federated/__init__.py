"""One model over many devices whose data never leaves them. So far: ``updates``, which makes what they send small."""
