"""The part of a handshake in which two nodes prove that they know the secret of their cluster; `proof` says how.

It takes no round trip of its own. Who dials sends its challenge in the headers of its request, and who answers its own,
with its proof, in those of the answer; the proof of who dialled is the first frame, before any that carries calls. Who
answers proves itself by the first of its secrets, and who dials by the same one: so what is the first on one node need
only be known to the others.

A node with a secret and one without refuse each other, whoever dials, and each says so: a cluster of which only some
have one would be open. A release that knows of no secrets is one without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import token_bytes

from gossip.view import Address
from node.cluster_secret import Secrets
from node.net.proof import CHALLENGE_BYTES, Meeting, Side, proof_of, proven_by
from node.secret_files import SecretFile

CHALLENGE_HEADER, PROOF_HEADER = "Kvs-Challenge", "Kvs-Proof"
SECRET_HEADER, HAS_ONE, HAS_NONE = "Kvs-Secret", "yes", "no"
"""In which who refuses tells whether it has a secret, if that is why."""

ALL_OR_NONE = "all nodes of a cluster have the same, or none has one"
THEY_LACK_IT = f"it has no CLUSTER_SECRET_FILE, and this node has one: {ALL_OR_NONE}"
WE_LACK_IT = f"it has a CLUSTER_SECRET_FILE, and this node has none: {ALL_OR_NONE}"
NOT_PROVEN = "it does not prove that it knows the secret in CLUSTER_SECRET_FILE"


class Greeting:
    """What who answers says first. `await_proof`: whether nothing more is said before the other one's proof has come,
    and is found right by `is_proven`."""

    def __init__(self, headers: Mapping[str, str], is_proven: Callable[[bytes], bool] | None = None) -> None:
        self.headers = headers
        self.await_proof = is_proven is not None
        self.is_proven = is_proven or (lambda _: True)


class Prover:
    """That of one node. `secret`: None: it has none, and proves nothing. `refuse` is told whom it turns away, and why;
    `draw`: gives so many bytes that nobody can foresee."""

    def __init__(
        self,
        me: Address,
        cluster: str,
        secret: SecretFile[Secrets] | None,
        refuse: Callable[[Address, str], None],
        draw: Callable[[int], bytes] = token_bytes,
    ) -> None:
        self._me = me
        self._cluster = cluster
        self._secret = secret
        self._refuse = refuse
        self._draw = draw

    def challenge(self) -> bytes:
        """For who is dialled; empty: there is no secret."""
        return b"" if self._secret is None else self._draw(CHALLENGE_BYTES)

    def answer(self, peer: Address, challenge: bytes, told: Mapping[str, str], protocol: int) -> bytes | None:
        """The first frame for `peer`, which was dialled with this challenge and has let this node in with these
        headers, to speak this protocol; empty: it wants none. None: it is turned away."""
        if self._secret is None:
            return b""
        if PROOF_HEADER not in told:
            self._refuse(peer, THEY_LACK_IT)
            return None
        theirs = _bytes_in(told, CHALLENGE_HEADER)
        meeting = Meeting(protocol, self._cluster, self._me, peer, challenge, theirs)
        secret = proven_by(self._secret.now, Side.ANSWERER, meeting, _bytes_in(told, PROOF_HEADER))
        if secret is None or len(theirs) != CHALLENGE_BYTES:
            self._refuse(peer, NOT_PROVEN)
            return None
        return proof_of(secret, Side.DIALLER, meeting)

    def refused(self, peer: Address, told: Mapping[str, str]) -> None:
        """`peer`, which was dialled, has refused with these headers."""
        has_one = told.get(SECRET_HEADER)
        if has_one == HAS_ONE and self._secret is None:
            self._refuse(peer, WE_LACK_IT)
        elif has_one == HAS_NONE and self._secret is not None:
            self._refuse(peer, THEY_LACK_IT)

    def greet(self, peer: Address, told: Mapping[str, str], protocol: int) -> Greeting | None:
        """What `peer`, which has dialled with these headers to speak this protocol, is told; None: it is turned
        away."""
        theirs = _bytes_in(told, CHALLENGE_HEADER)
        if self._secret is None:
            if CHALLENGE_HEADER not in told:
                return Greeting({})
            self._refuse(peer, WE_LACK_IT)
            return None
        if len(theirs) != CHALLENGE_BYTES:
            self._refuse(peer, THEY_LACK_IT)
            return None
        secret, challenge = self._secret.now[0], self._draw(CHALLENGE_BYTES)
        meeting = Meeting(protocol, self._cluster, peer, self._me, theirs, challenge)
        headers = {
            CHALLENGE_HEADER: challenge.hex(),
            PROOF_HEADER: proof_of(secret, Side.ANSWERER, meeting).hex(),
        }
        return Greeting(headers, lambda proof: self._is_proven(peer, secret, meeting, proof))

    def refusal(self) -> Mapping[str, str]:
        """What who is not greeted is told."""
        return {SECRET_HEADER: HAS_NONE if self._secret is None else HAS_ONE}

    def _is_proven(self, peer: Address, secret: bytes, meeting: Meeting, proof: bytes) -> bool:
        is_proven = proven_by((secret,), Side.DIALLER, meeting, proof) is not None
        if not is_proven:
            self._refuse(peer, NOT_PROVEN)
        return is_proven


def _bytes_in(told: Mapping[str, str], header: str) -> bytes:
    """Empty if there are none."""
    try:
        return bytes.fromhex(told.get(header, ""))
    except ValueError:
        return b""


def headers_for(challenge: bytes) -> Mapping[str, str]:
    """With which a node is dialled."""
    return {CHALLENGE_HEADER: challenge.hex()} if challenge else {}
