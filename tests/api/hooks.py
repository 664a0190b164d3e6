"""What Schemathesis is told besides the description, by `SCHEMATHESIS_HOOKS`: what no schema can say of a request.

A cursor and a causal context are opaque: a client has them from the store, and passes them on. The nodes of a view have
to be there, and no fewer than the copies; and 1.0, a whole number to JSON Schema, is none to a node. So what the store
takes stands in the place of what was made up, wherever that is well formed. Waits are cut short. What is watched is
what the test writes meanwhile, and no request meddles with that.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure, ServerError

from node.api.routes.words import LINES
from node.api.shapes.cluster import VIEW_PATTERN
from node.api.shapes.streams import BatchAnswer, Broken, Cursor, End, Exported
from node.api.shapes.words import KEY_CHARACTERS_MAX
from node.api.waiting import WAIT_S_MAX

NODES = os.environ["KVS_NODES"].split(",")
TOKEN = os.environ.get("KVS_TOKEN")
"""With which the store is asked; None: it has none."""
WRITTEN = os.environ["KVS_WRITTEN"]
"""A prefix of keys that are written all the time."""
IS_REFUSED = "KVS_REFUSED" in os.environ
"""Whether requests carry no token, though they should."""
OPEN = ("/livez", "/readyz", "/ui", "/ui/{file}")
SHORT_WAIT_S = 0.05
PATIENCE_S = 20.0

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=5,
)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["put", "get", "delete"]) | texts, "key": texts},
    optional={"value": json_values, "ttl": json_values, "if-match": texts, "if-none-match": st.just("*")},
)


def as_lines(values: list[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


schemathesis.openapi.media_type(LINES, st.lists(operations | json_values, max_size=20).map(as_lines))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    if SHORT_WAIT_S < seconds(case.query.get("wait")) <= WAIT_S_MAX:
        case.query["wait"] = SHORT_WAIT_S
    if case.path == "/kvs/watch" and is_part_of_key(case.query.get("prefix", "")):
        case.query["prefix"] = WRITTEN
    if str(case.path_parameters.get("key", "")).startswith(WRITTEN):
        case.path_parameters["key"] = "left-alone"
    if isinstance(case.query.get("cursor"), str) and is_part_of_key(case.query.get("prefix", "")):
        case.query |= {"prefix": WRITTEN, "cursor": a_cursor()}
    if isinstance(case.body, dict):
        if isinstance(case.body.get("causal-context"), dict):
            case.body["causal-context"] = {}
        if case.path == "/kvs/view-change":
            case.body = as_a_node_takes_it(case.body)


def seconds(text: Any) -> float:
    """What it says; 0 if it is no number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0


def is_part_of_key(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= KEY_CHARACTERS_MAX


def as_a_node_takes_it(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a view change."""
    body = {name: int(value) if is_whole(value) else value for name, value in body.items()}
    nodes = random.sample(NODES, random.randint(2, len(NODES)))
    if isinstance(body.get("view"), str) and re.search(VIEW_PATTERN, body["view"]):
        body["view"] = ",".join(nodes)
    factor = body.get("repl-factor")
    if type(factor) is int and factor > 0:
        body["repl-factor"] = 1 + factor % len(nodes)
    return body


def is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def a_cursor() -> str:
    told = asked("/kvs/export?" + urlencode({"prefix": WRITTEN}), b'{"cursor"')
    return str(json.loads(told)["cursor"])


def asked(path: str, start: bytes) -> bytes:
    """The first line of what a node answers that begins so."""
    headers = {} if TOKEN is None else {"Authorization": f"Bearer {TOKEN}"}
    with urlopen(Request(f"http://{NODES[0]}{path}", headers=headers), timeout=PATIENCE_S) as answer:
        return next(bytes(line) for line in answer if line.startswith(start))


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """A 503 is no fault if it ends: on a busy machine an owner may be late."""
    return not (isinstance(failure, ServerError) and response.status_code == 503 and ends(response))


def ends(response: Response) -> bool:
    """Whether the same request is answered something else before long."""
    until = time.monotonic() + PATIENCE_S
    with requests.Session() as session:
        while time.monotonic() < until:
            time.sleep(float(response.headers.get("retry-after", ["1"])[0]))
            if session.send(response.request, timeout=PATIENCE_S).status_code != 503:
                return True
    return False


SHAPES: dict[str, tuple[type, ...]] = {
    "/kvs/export": (Exported, Cursor, End, Broken),
    "/kvs/batch": (BatchAnswer,),
}


@schemathesis.check
def line_conformance(ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """Each line of a stream has one of the shapes that are told: Schemathesis knows nothing of such streams."""
    if response.headers.get("content-type") != [LINES]:
        return True
    for line in response.content.splitlines():
        assert any(is_a(shape, line) for shape in SHAPES[case.path]), f"none of the described lines: {line!r}"
    return None


def is_a(shape: type, line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=shape)
    except msgspec.ValidationError:
        return False
    return True


@schemathesis.check
def only_refusals(ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """Who has no token is told so, whatever is asked, but for what is open to anybody."""
    if not IS_REFUSED:
        return True
    assert case.path in OPEN or response.status_code == 401, f"{response.status_code} without a token"
    return None
