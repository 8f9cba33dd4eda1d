"""The record of files: who may see which key, and in which version. No HTTP, no bytes of images."""
