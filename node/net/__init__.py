"""What nodes say to each other, and what carries it."""
