"""What is wrong with this node, as far as it can tell itself, and since when; and what it did lately: looked at in each
round of gossip."""

from __future__ import annotations

from node.config import Config
from node.diagnosis.recorder import UNKNOWN, Recorder
from node.net.messages import AskFigures, AskHealth, Figures, Health
from node.release import version
from node.storage.disk import Space
from node.storage.store import Store
from node.timing.clock import HybridClock, Time
from node.views.holder import Views
from node.views.readiness import Readiness


class Vitals:
    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        readiness: Readiness,
        clock: HybridClock,
        recorder: Recorder,
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._readiness = readiness
        self._clock = clock
        self._recorder = recorder
        self._since: dict[str, float] = {}
        """What is wrong, by the field of `Health` that tells it, and since when (monotonic)."""

    def look(self) -> None:
        """See what is wrong now. To be called now and then, so that it is known since when."""
        now = self._time.monotonic()
        self._recorder.look(now)
        wrong = {
            "full_ms": self._store.is_full,
            "hung_ms": self._store.disk.condition.hangs,
            "unstored_ms": self._views.lag.is_behind,
            "unready_ms": not self._readiness.is_ready and not self._views.lag.is_behind,
            "refused_ms": bool(self._clock.refused_s),
        }
        self._since = {field: self._since.get(field, now) for field, is_wrong in wrong.items() if is_wrong}

    def answer(self, request: AskHealth | AskFigures) -> Health | Figures:
        return self.health() if isinstance(request, AskHealth) else self.figures(request)

    def figures(self, asked: AskFigures) -> Figures:
        """What this node did lately, and how much room its disk has."""
        return self._recorder.figures(asked, self._time.monotonic(), self._space)

    def health(self) -> Health:
        self.look()
        now = self._time.monotonic()
        lasting = {field: max(1, int(1000 * (now - since))) for field, since in self._since.items()}
        release, trip_ms, ahead_s = version() or "", self._config.round_trip_ms, max(0, self._clock.refused_s)
        space = self._space
        room = {"free_bytes": space.free, "disk_bytes": space.disk, "set_aside_bytes": space.set_aside}
        return Health(release, trip_ms, **lasting, ahead_s=ahead_s, **(room if space.disk else {}))

    @property
    def _space(self) -> Space:
        """A disk that hangs is not asked."""
        disk = self._store.disk
        return UNKNOWN if disk.condition.hangs else disk.space()
