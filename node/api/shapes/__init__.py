"""The bodies that clients send and are sent, as types: what is encoded is one of them, and so is what is described.

Their docstrings and descriptions are those of `/openapi.json`. They only declare: who fills one stands elsewhere. A
field that may be missing has UNSET in its place. Those that are exact, to the last field, forbid unknown ones.
"""
