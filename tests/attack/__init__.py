"""Attacks on a running server over loopback, as a client without its source could send them."""
