"""What the bodies of several routes have in common."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Raw

from gossip import view

Address = Annotated[view.Address, Meta(description="`host:port` of a node", examples=["10.10.0.2:13800"])]
Addresses: TypeAlias = tuple[Address, ...]
ShardId = Annotated[str, Meta(description="The id of a shard, from `1` on", examples=["1"])]
Epoch = Annotated[int, Meta(description="That of a view: each view change makes a higher one", ge=0)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Count = Annotated[int, Meta(ge=0)]

KEY_CHARACTERS_MAX = 50
Key = Annotated[str, Meta(min_length=1, max_length=KEY_CHARACTERS_MAX)]
JsonValue = Annotated[Raw, Meta(description="Any JSON value, as it was sent: numbers keep their digits")]
TtlLeft = Annotated[
    Raw,
    Meta(
        description="For how many seconds the key exists yet; only of one that expires",
        extra_json_schema={"type": "number", "minimum": 0},
    ),
]
ETag = Annotated[
    str, Meta(description="The version of a value, as the header `ETag` tells it", pattern='^"[0-9a-f]{32}"$')
]

YES = Meta(extra_json_schema={"const": True})
NO = Meta(extra_json_schema={"const": False})
