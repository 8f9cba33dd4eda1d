"""What is asked of an image. Pure: no I/O, no clock, no pyvips."""
