"""Co-owners in step: leases by heartbeats, changes by streams, and what each of them has and lacks."""
