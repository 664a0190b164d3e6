"""The targets there are."""

from __future__ import annotations

from tests.fuzz.disks import DISKS, RECORDS
from tests.fuzz.frames import ASKING, FRAMES, SERVING
from tests.fuzz.gossiping import GOSSIP
from tests.fuzz.http import HTTP, HTTP_TOKENS
from tests.fuzz.lines import BATCHES, EXPORTS, LOADS
from tests.fuzz.secrets import SECRETS
from tests.fuzz.target import Target
from tests.fuzz.views import VIEWS

_ALL = (*(HTTP, HTTP_TOKENS, FRAMES, SERVING, ASKING, GOSSIP, VIEWS, RECORDS, DISKS, BATCHES, LOADS, EXPORTS, SECRETS),)
TARGETS: dict[str, Target] = {target.name: target for target in _ALL}
