"""Time: the hybrid clock that stamps writes, limits of time for waits, and pauses of the process."""
