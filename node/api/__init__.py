"""The HTTP edge: bytes and requests of clients and operators in, answers out; it decides nothing."""
