"""Purges of caches: the PURGE endpoint, CDNs and proxies by tag or key, and caches by URL."""
