"""How two nodes prove to each other that they know the secret of their cluster, and tell it to nobody.

Each sends the other one a challenge, bytes that were never sent before, and gets a proof for it: an HMAC-SHA-256 under
the secret, over all that makes this meeting this one. Over both challenges, or what was recorded of one link would open
another. Over which side proves, or a node could be shown its own proof. Over both addresses, or a proof that was given
to one node could be passed on to another. And over the name of the cluster and the number of the protocol, so that
none of both can be made out to be another one.

Pure. What a proof does not do: who sits between two nodes, and passes on what they say, hears and changes all of it
afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum

import msgspec

from gossip.view import Address

CHALLENGE_BYTES = 32
PROOF_BYTES = hashlib.sha256().digest_size


class Side(Enum):
    """Of a link: who proves."""

    DIALLER = "dialler"
    ANSWERER = "answerer"


class Meeting(msgspec.Struct, frozen=True):
    """What makes it this one, as one side sees it."""

    protocol: int
    """That is to be spoken."""
    cluster: str
    dialler: Address
    answerer: Address
    dialler_challenge: bytes
    """Which the answerer's proof is for."""
    answerer_challenge: bytes


def proof_of(secret: bytes, side: Side, meeting: Meeting) -> bytes:
    protocol, *what = msgspec.structs.astuple(meeting)
    told = ("kvs link", protocol, side.value, *what)
    return hmac.digest(secret, msgspec.msgpack.encode(told), hashlib.sha256)


def proven_by(secrets: tuple[bytes, ...], side: Side, meeting: Meeting, proof: bytes) -> bytes | None:
    """The one of the secrets that `side` knows; None: it knows none of them. All are compared, in constant time."""
    found: bytes | None = None
    for secret in secrets:
        if hmac.compare_digest(proof_of(secret, side, meeting), proof):
            found = secret
    return found
