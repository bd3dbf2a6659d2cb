"""Slices in the hands of the workers of a Dask cluster, each slice a task of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from streams.backtest.slices.finding import Work, found_in_slice
from streams.backtest.slices.hands import HandsError

#: How long a scheduler may take to answer, seconds.
_PATIENCE = 10


class Cluster:
    """The workers behind a Dask scheduler. A slice is sent once all of it is read, and again where its worker has died."""

    def __init__(self, distributed: Any, address: str, work: Work) -> None:
        """Go to the scheduler at ``address``; ``distributed`` is the module of that name.

        Raises:
            HandsError: nobody is there, or not with this version of wirewatch.
        """
        try:
            self._client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            way_out = "start one with `dask scheduler`, and name what it says it listens at, such as tcp://host:8786"
            raise HandsError(f"no Dask scheduler answers at {address}: {error}", way_out) from None
        self._errands: list[_Errand] = []
        try:
            self._width = self._checked(address)
            self._work = self._client.scatter(work.packed(), broadcast=True)
        except BaseException:
            self._client.close()
            raise

    def _checked(self, address: str) -> int:
        ours = version("wirewatch")
        try:
            versions = self._client.run(version, "wirewatch")
        except Exception as error:  # noqa: BLE001 - whatever a worker raised is raised here
            raise HandsError(f"a worker of {address} has no wirewatch: {error}", "install it there, too") from None
        if not versions:
            raise HandsError(f"the scheduler at {address} has no workers", f"start one with `dask worker {address}`")
        for worker, theirs in versions.items():
            if theirs != ours:
                raise HandsError(f"{worker} has wirewatch {theirs}, and this is {ours}", "install the same there")
        return len(versions)

    @property
    def width(self) -> int:
        """The number of workers."""
        return self._width

    def begin(self, number: int, warm_up: bytes, trusted: int) -> _Errand:
        """Begin a slice, as :class:`streams.backtest.slices.hands.Hands` has it."""
        errand = _Errand(self._client, self._work, number, warm_up, trusted)
        self._errands = [*(one for one in self._errands if not one.done), errand]
        return errand

    def drop(self) -> None:
        """Take back what was submitted."""
        for errand in self._errands:
            errand.cancel()
        self._errands = []

    def close(self) -> None:
        """Leave the cluster, which drops what it is at."""
        self._client.close()


class _Errand:
    """A slice, collected, and then the task that it became."""

    def __init__(self, client: Any, work: Any, number: int, warm_up: bytes, trusted: int) -> None:
        self._client, self._work, self._number = client, work, number
        self._warm_up, self._trusted = warm_up, trusted
        self._batches: list[bytes] = []
        self._task: Any = None
        self.done = False

    def give(self, batch: bytes) -> None:
        self._batches.append(batch)

    def end(self) -> None:
        self._task = self._client.submit(
            found_by_worker, self._work, self._warm_up, self._trusted, self._batches, pure=False
        )
        self._batches = []

    def results(self) -> Iterator[bytes]:
        try:
            found: list[bytes] = self._task.result()
        except Exception as error:  # noqa: BLE001 - whatever a worker raised is raised here
            raise HandsError(
                f"a worker of the cluster failed at slice {self._number}: {error}",
                "its log says more; where it was killed, memory may have been short: use more --slices",
            ) from None
        self.cancel()
        yield from found

    def cancel(self) -> None:
        """Nobody needs it any more."""
        self.done = True
        if self._task is not None:
            self._task.cancel()


def found_by_worker(work: bytes, before: bytes, trusted: int, batches: list[bytes]) -> list[bytes]:
    """What is found of a slice, at a worker of the cluster."""
    return found_in_slice(Work.unpacked(work), before, trusted, batches)
