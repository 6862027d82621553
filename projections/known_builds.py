"""The builds as one function instance knows them: read once in seconds, gone by no longer.

Every phase of a rebuild is held longer than that, which is what makes the phases mean anything.
Whoever writes builds also stores which are live before it writes the first time.
"""

from collections.abc import Callable

from projections.builds import Builds, BuildState, BuildStore, Registered
from projections.freshness import Fresh
from projections.projection import Projection


class KnownBuilds(Fresh[Builds]):
    """The builds as one function instance knows them, never by states older than `fresh_s`."""

    def __init__(
        self,
        store: BuildStore,
        registered: Registered,
        *,
        elapsed_s: Callable[[], float],
        fresh_s: float,
    ) -> None:
        super().__init__(
            self._read_builds,
            unknown="it is not known which builds are live",
            elapsed_s=elapsed_s,
            fresh_s=fresh_s,
        )
        self._store = store
        self._registered = registered

    def _read_builds(self) -> Builds:
        return Builds(self._registered, self._store.read())

    def settled(self) -> Builds:
        """Return the builds as `current` does, after storing which are live where nothing says so.

        For who writes them. What is written first stays live until a rebuild replaces it: else
        code that comes with another version only would give its own, empty, builds to readers.

        Raises:
            StoreUnavailable: as `current`; or it could not be stored.

        """
        builds = self.current()
        unstored = builds.unstored()
        if not unstored:
            return builds
        for name in unstored:
            # If somebody else was first, what that one has stored is read below.
            self._store.change(name, BuildState(live=""), builds.state(name))
        self.renew()
        return self.current()

    def live(self, projection: Projection) -> Projection:
        """Return the build that readers of a projection get now."""
        return self.current().live(projection)

    def written(self, projection: Projection) -> tuple[Projection, ...]:
        """Return every build of a projection that some reader gets, or is about to get."""
        return self.current().written_of(projection)
