"""Results: keys, tiers and flights."""
