"""One client's operation: whom to ask and how often, what an owner does, and what a causal context demands of it."""
