"""`python -m tests.golden` writes the golden files anew.

It may be run only with a change of the protocol, or of the form on disk, that is meant: the releases before it can then
neither speak with this one nor leave it their data, so the same commit raises `net.protocol.SPOKEN`, or `keys.FORMAT`
and brings a migration, see `storage.forms`. A new kind of message is no such change if all that the commit does to
`frames.json` is to add to it; nor is a field more at the end of a message, with a default, if the bytes of its samples
as they were go to `former.json`. To run it because a test fails is to throw the test away.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.golden import data_dir, samples


def main() -> None:
    frames = {name: sample.encode(sample.what).hex() for name, sample in samples.SAMPLES.items()}
    samples.FILE.write_text(json.dumps(frames, indent=0) + "\n")
    with TemporaryDirectory() as name:
        asyncio.run(data_dir.write_anew(Path(name)))


if __name__ == "__main__":
    main()
