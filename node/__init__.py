"""The running node, and the only package that does I/O."""
