"""The running heart: facts in, image, tick, commands out."""
