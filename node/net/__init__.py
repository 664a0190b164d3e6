"""What nodes say to each other, and the links that carry it."""
