"""Who is there and which view holds: a state machine without I/O, plus one small driver (`loop`)."""
