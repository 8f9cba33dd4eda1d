"""How pixels are made: a pool in the server process, locked-in workers behind a border."""
