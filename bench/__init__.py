"""What the store costs and how fast it is, beside a bare aiohttp application in the same run: `make bench`."""
