"""Measurements: ratios of runs side by side, never a time alone."""
