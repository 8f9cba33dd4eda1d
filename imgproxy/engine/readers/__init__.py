"""Readers of image formats, and of the boxes around them."""
