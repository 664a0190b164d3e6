"""Keeping co-owners in step: which of them has what, who may answer alone, who may be left out."""
