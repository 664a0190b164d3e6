"""Where the page is, and what it asks that is not asked by others."""

from __future__ import annotations

from aiohttp import web

from node.api.doors import Doors
from node.api.ui.copies import CopiesApi
from node.api.ui.files import FilesApi
from node.api.ui.stream import StreamApi
from node.node import Node


def add_page(router: web.UrlDispatcher, node: Node, doors: Doors | None) -> StreamApi:
    """`doors`: None: anybody may do anything."""
    stream, files = StreamApi(node, doors), FilesApi()
    router.add_get("/ui/stream", stream.stream)
    router.add_get("/ui/copies", CopiesApi(node).copies)
    router.add_get("/ui", files.index)
    router.add_get("/ui/{file}", files.file)
    return stream
