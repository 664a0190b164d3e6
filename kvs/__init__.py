"""What a user types: the `kvs` command, and the client it is built on."""
