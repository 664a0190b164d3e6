"""Which view holds: which one may follow which, what the next one is, and when this node may act under it."""
