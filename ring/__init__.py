"""Where keys live: pure functions of a view. No I/O, no clock, no randomness."""
