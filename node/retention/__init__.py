"""What may be forgotten: causal contexts of what is on all owners, and deletions that no returning node can undo."""
