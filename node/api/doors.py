"""Who may do what: which role each route takes, and who is told 401 or 403.

Nothing else of a request is looked at before, neither its body nor whether its key exists, so that the answer tells
nothing. A route that is not named here takes the highest role: whoever adds one and forgets this has shut it.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import SystemRoute

from node.api.answers import HttpAnswer, render_fault
from node.api.data import KEYS, answered_as
from node.errors import RequestFault
from node.net.handshake import PATH
from node.secret_files import SecretFile
from node.tokens import Role, Tokens

KEY_ROLES = {"GET": Role.READ, "PUT": Role.WRITE, "DELETE": Role.WRITE}
VIEW_CHANGE_ROLES = {"GET": Role.READ, "PUT": Role.ADMIN, "DELETE": Role.ADMIN}
READ_PATHS = (
    *("/", "/kvs", "/kvs/keys", "/kvs/export", "/kvs/watch", "/kvs/key-count", "/kvs/shards", "/kvs/shards/{id}"),
    *("/kvs/status", "/kvs/node", "/kvs/ring", "/metrics", "/openapi.json", "/ui/stream", "/ui/copies"),
)
OPEN_PATHS = ("/livez", "/readyz", "/ui", "/ui/{file}", PATH)
ROLES: Mapping[str, Mapping[str, Role]] = {
    KEYS + "{key}": KEY_ROLES,
    "/kvs/view-change": VIEW_CHANGE_ROLES,
    "/kvs/batch": {"POST": Role.WRITE},
    **{path: {"GET": Role.READ} for path in READ_PATHS},
    **{path: {"GET": Role.ANYBODY} for path in OPEN_PATHS},
}
"""By path and method. Nodes have no tokens: whom they let in, `net.handshake` decides. Whoever looks after a process,
and asks whether it lives, need not be trusted with its data. The files of the page are the same everywhere, and say
nothing; what it shows takes a role."""


class Unauthorized(RequestFault):
    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class NotAllowed(RequestFault):
    status = 403


class Doors:
    """Of one node that has tokens."""

    def __init__(self, tokens: SecretFile[Tokens]) -> None:
        self._tokens = tokens

    def refusal(self, needed: Role, authorization: bytes | None) -> RequestFault | None:
        """Why who sends this `Authorization` header may not do what takes the role `needed`; None: it may."""
        if needed is Role.ANYBODY:
            return None
        if authorization is None:
            return Unauthorized("Token is missing")
        role = self._tokens.now.role_of(authorization)
        if role >= needed:
            return None
        if role is Role.ANYBODY:
            return Unauthorized("Token is unknown")
        return NotAllowed(f"Token is for {role.name.lower()}, and this takes {needed.name.lower()}")

    def refuse_for_key(self, method: str, authorization: bytes | None) -> HttpAnswer | None:
        """What the short way in answers to who may not send this request for a key; None: it may."""
        refusal = self.refusal(KEY_ROLES[method], authorization)
        return None if refusal is None else render_fault(method, refusal)

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises RequestFault."""
        refusal = self.refusal(needed(request), _authorization(request))
        if refusal is not None:
            raise refusal
        return await handler(request)

    def role_of(self, request: web.Request) -> Role:
        """That of whoever sends it."""
        authorization = _authorization(request)
        return Role.ANYBODY if authorization is None else self._tokens.now.role_of(authorization)


def _authorization(request: web.Request) -> bytes | None:
    told = request.headers.getall("Authorization", [])
    return ", ".join(told).encode(errors="surrogateescape") if told else None


def needed(request: web.Request) -> Role:
    """The role that a request takes."""
    route = request.match_info.route
    if isinstance(route, SystemRoute) or route.resource is None:
        return role_to_be_told(request.path)
    return role_of(route.resource.canonical, request.method)


def role_to_be_told(path: str) -> Role:
    """What it takes to be told that there is no such path, or which methods it takes: no more than for the least of
    these."""
    is_of_page = path.startswith("/ui/") and path not in ROLES
    return min(ROLES.get("/ui/{file}" if is_of_page else path, {}).values(), default=Role.READ)


def role_of(path: str, method: str) -> Role:
    """`path`: of a route, as it is declared."""
    return ROLES.get(path, {}).get(answered_as(method), Role.ADMIN)
