"""The bodies of requests for one key, and of their answers. In answers, `address` and `causal-context` come last."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from node.api.shapes.words import NO, YES, Address, JsonValue, TtlLeft
from node.api.ttl import TTL_S_MAX

MaybeRaw: TypeAlias = Raw | UnsetType
"""A JSON text, as it was sent, or nothing."""

SentContext = Annotated[
    Any,
    Meta(
        description="What an earlier answer had, untouched; or one of the forms of an empty one",
        extra_json_schema={"anyOf": [{"type": "object"}, {"enum": [None, "", "{}"]}]},
    ),
]
ToldContext = Annotated[dict[str, Any], Meta(description="If the request had one. Opaque: to be passed on untouched")]
ServedBy = Annotated[Address, Meta(description="The node that has answered, if it is another one than was asked")]
TtlAsked = Annotated[
    Raw,
    Meta(
        description="After so many seconds the key is gone; without it, the key stays",
        extra_json_schema={"type": "number", "exclusiveMinimum": 0, "maximum": TTL_S_MAX},
    ),
]


class ContextBody(Struct, frozen=True, rename="kebab"):
    """What a request for a key may carry. All other fields are passed over."""

    causal_context: SentContext = UNSET

    @property
    def has_context(self) -> bool:
        return self.causal_context is not UNSET


class DataBody(ContextBody, frozen=True, rename="kebab"):
    """What is to be stored. All other fields are passed over."""

    value: JsonValue | UnsetType = UNSET
    ttl: TtlAsked | UnsetType = UNSET
    """Only a PUT has one; of others it is passed over, as a value is."""


class _Answer(Struct, frozen=True, rename={"causal_context": "causal-context"}, kw_only=True):
    """What may stand at the end of each."""

    address: ServedBy | UnsetType = UNSET
    causal_context: ToldContext | UnsetType = UNSET


class Added(_Answer, frozen=True, forbid_unknown_fields=True):
    """There was no such key before."""

    message: Literal["Added successfully"]
    replaced: Annotated[bool, NO]


class Updated(_Answer, frozen=True, forbid_unknown_fields=True):
    """The key had another value before."""

    message: Literal["Updated successfully"]
    replaced: Annotated[bool, YES]


class Retrieved(_Answer, frozen=True, forbid_unknown_fields=True):
    """The value of a key."""

    doesExist: Annotated[bool, YES]
    message: Literal["Retrieved successfully"]
    value: JsonValue
    ttl: TtlLeft | UnsetType = UNSET


class Deleted(_Answer, frozen=True, forbid_unknown_fields=True):
    """The key is gone."""

    doesExist: Annotated[bool, YES]
    message: Literal["Deleted successfully"]


class Missing(_Answer, frozen=True, forbid_unknown_fields=True):
    """There is no such key."""

    doesExist: Annotated[bool, NO]
    error: Literal["Key does not exist"]
    message: Annotated[str, Meta(pattern="^Error in [A-Z]+$")]


class Refused(_Answer, frozen=True, forbid_unknown_fields=True):
    """A condition of the request does not hold: nothing has changed."""

    error: Literal["Precondition failed"]
    message: Annotated[str, Meta(pattern="^Error in [A-Z]+$")]


class Unsatisfied(_Answer, frozen=True, forbid_unknown_fields=True):
    """What can be reached may be older than what the client has seen."""

    error: Literal["Unable to satisfy request"]
    message: Annotated[str, Meta(pattern="^Error in [A-Z]+$")]
