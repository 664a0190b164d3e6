"""What each route takes, and what it may answer: a table, beside the handlers, from which `/openapi.json` is made.

It only declares. The bodies are types, see `node.api.shapes`; who may do what is told by `node.api.doors`. HEAD and
OPTIONS follow from the other methods of a path, and stand nowhere.
"""
