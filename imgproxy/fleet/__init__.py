"""Several processes that are one server: what they tell each other, who keeps them alive. Knows no HTTP."""
