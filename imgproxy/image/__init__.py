"""Transforms of images as values. Pure: no I/O, no clock, no pyvips."""
