"""Telling clients what changes: owners keep a log for that, and who is watched asks all of them."""
