"""All routes, in the order in which they are described. Those that are for other nodes alone are none of them."""

from __future__ import annotations

from node.api.routes import cluster, keys, many_keys, one_node, page
from node.api.routes.words import Route

ROUTES: tuple[Route, ...] = (*keys.ROUTES, *many_keys.ROUTES, *cluster.ROUTES, *one_node.ROUTES, *page.ROUTES)
