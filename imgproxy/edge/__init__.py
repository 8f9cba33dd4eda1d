"""HTTP for images."""
