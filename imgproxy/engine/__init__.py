"""Transform engine: a pool in the server process, and sandboxed worker processes."""
