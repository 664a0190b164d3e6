"""Which paths the page has."""

from __future__ import annotations

from aiohttp import web

from node.api.ui.routes import add_page
from node.node import Node


async def test_routes_of_the_page_are_under_one_path_and_only_read(idle_node: Node) -> None:
    app = web.Application()
    add_page(app.router, idle_node, None)
    routes = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    paths = {"/ui", "/ui/stream", "/ui/copies", "/ui/{file}"}
    assert routes == {(method, path) for method in ("GET", "HEAD") for path in paths}
