"""The store beside Redis, etcd, and the limits of the machine that it runs on: `make bench-peers`."""
