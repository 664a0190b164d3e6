"""`python -m bench.unmetered`: a node that counts none of its requests for keys, to know what counting costs."""

from __future__ import annotations

import sys
from unittest.mock import patch

from node.api.tally import Tally
from node.process import main


def _leave(_: Tally, *__: object) -> None: ...


if __name__ == "__main__":
    with patch.object(Tally, "note_key", _leave):
        sys.exit(main())
