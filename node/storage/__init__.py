"""What is durable: records, donors, watermarks and settings, and the one writer that changes them."""
