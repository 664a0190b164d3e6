"""What the answers of others say about a key, and whether they say enough.

An owner that may not answer alone asks its peers what they hold, see `owner`. A peer that is silent is passed over, for
nobody can tell whether it will ever speak again. What was found counts all the same; but that nothing was found says
little while those who would have it cannot be heard. So the judgement has two halves: the newest record that anybody
holds, and whether a key that is neither there nor here can be said not to exist (`is_complete`).

Pure: answers in, sightings out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeAlias

from gossip.view import Address
from node.net.messages import Answer, Fetched
from node.values.donors import Kind
from node.values.record import Record, decode_record, is_forgotten, version_of
from node.values.version import Version

Answers: TypeAlias = Mapping[Address, Answer | None]
"""What each peer that was asked has answered; None: it refused the connection, or was silent."""


class Asker(NamedTuple):
    """The node that asks: what it knows itself once the answers are there."""

    nodes: Collection[Address]
    """Those of the view."""
    owners: Collection[Address]
    """Those of the key."""
    donors: Mapping[Address, Kind]
    """Those of the key's partition: owners under earlier views that have not handed over yet."""
    is_waiting_to_be_filled: bool
    """Whether this node may have lost what it held, and has not been brought it yet."""
    purge_watermark: int
    """The clock up to which deletions are forgotten here."""
    may_revive: Callable[[Version, int], bool]
    """See `Store.may_revive`."""


class Sightings(NamedTuple):
    """What others hold of a key."""

    newest: Record | None
    source: Address
    """Who holds `newest`, of several the first."""
    is_complete: bool
    """Whether what is neither here nor in `newest` does not exist."""
    holders: Collection[Address] = ()
    """All who hold `newest`."""
    heard: Collection[Address] = ()
    """Who has told all that it holds of the key, be it nothing."""
    unheard: Collection[Address] = ()
    """Who has not, and may still have something to tell, or act by it. One outside the view that has lost its disk has
    said all that it ever will."""
    is_donor_silent: bool = False
    """Whether an owner under an earlier view was passed over, which may still answer alone."""
    is_undecided: bool = False
    """Whether a node of the view answered, but could not tell: it must be asked again, not passed over."""

    @property
    def agree(self) -> bool:
        """Whether everybody who was heard holds `newest`."""
        return all(peer in self.holders for peer in self.heard)


NOBODY_ASKED = Sightings(None, "", True)


def weigh(answers: Answers, asker: Asker) -> Sightings:
    """What these answers, to Fetch, say together. Of equal versions, the one of the first peer in `answers` counts."""
    newest: Record | None = None
    holders: list[Address] = []
    for peer, answer in answers.items():
        if isinstance(answer, Fetched) and answer.record is not None:
            record = decode_record(answer.record)
            if not is_to_be_believed(answer.record, peer, answer.stable_watermark, asker):
                continue
            if newest is None or record.version > newest.version:
                newest, holders = record, [peer]
            elif record.version == newest.version:
                holders.append(peer)
    heard = {peer for peer, answer in answers.items() if _tells(answer)}
    lacking = {peer for peer, answer in answers.items() if isinstance(answer, Fetched) and not _tells(answer)}
    silent = {peer for peer, answer in answers.items() if answer is None}
    return Sightings(
        newest,
        holders[0] if holders else "",
        _is_complete(heard, lacking, silent, asker),
        tuple(holders),
        heard,
        {peer for peer in answers if peer not in heard and (peer not in lacking or peer in asker.nodes)},
        not silent.issubset(asker.owners),
        any(_is_undecided(peer, answer, asker) for peer, answer in answers.items()),
    )


def _tells(answer: Answer | None) -> bool:
    """Whether a peer has told all that it holds of a key, be it nothing."""
    return isinstance(answer, Fetched) and (answer.record is not None or not answer.may_lack)


def _is_undecided(peer: Address, answer: Answer | None, asker: Asker) -> bool:
    """Whether the peer has answered, but could not tell. Where both nodes may have lost what they held, neither can;
    but soon they will have found out whether one of the owners has everything, or all of them have nothing."""
    if isinstance(answer, Fetched):
        return asker.is_waiting_to_be_filled and not _tells(answer)
    return answer is not None and peer in asker.nodes


def is_to_be_believed(encoded: bytes, holder: Address, stable_watermark: int, asker: Asker) -> bool:
    """Whether a record counts, be deletions as old as it forgotten here: not if it is one of those deletions, nor if
    its holder may have missed the deletion of its key. See `retention.tombstones`."""
    if holder in asker.nodes:
        return not is_forgotten(encoded, asker.purge_watermark)
    return not asker.may_revive(version_of(encoded), stable_watermark)


def _is_complete(
    heard: Collection[Address], lacking: Collection[Address], silent: Collection[Address], asker: Asker
) -> bool:
    """Whether enough peers were heard to say that a key does not exist if none of them holds it. Of donors that are
    copies of each other, one is enough. A silent donor outside the view is passed over: it was removed, and whoever
    removes a node that is down gives up what only that node had. One that lost its disk has said all that it will ever
    say, but speaks for no other copy."""
    donors = asker.donors
    if asker.is_waiting_to_be_filled and not heard:
        return False
    a_copy_was_heard = any(donors[donor] is Kind.COPY for donor in donors.keys() & heard)
    for donor, kind in donors.items():
        is_passed_over = donor in lacking or (donor in silent and donor not in asker.nodes)
        if donor in heard or is_passed_over or kind is Kind.COVERED:
            continue
        if kind is Kind.ALONE or not a_copy_was_heard:
            return False
    return True
