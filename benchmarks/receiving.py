"""A receiver of webhooks that costs little, in a process of its own: ``python -m benchmarks.receiving FILE``.

It prints its port. A post to ``/slow/…`` is answered after ten seconds, any other at once. On SIGTERM it writes what came to
FILE: a line for each post, its ``webhook-id`` and when it had arrived, in seconds since 1970.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

SLOW = 10.0
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Posts:
    """All that came."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which is kept alive."""
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ", 2)[1]
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(headers["content-length"]))
                self.lines.append(f"{headers['webhook-id']} {time.time():.6f}")
                if path.startswith("/slow/"):
                    await asyncio.sleep(SLOW)
                writer.write(_OK)
        writer.close()


@contextlib.contextmanager
def receiving(file: Path) -> Iterator[tuple[int, Callable[[], dict[str, float]]]]:
    """A receiver in a process of its own; gives its port, and what will give the arrivals by id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receiving", str(file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), lambda: _arrivals(file)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _arrivals(file: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in file.read_text("utf-8").splitlines():
        name, at = line.split()
        found.setdefault(name, float(at))
    return found


async def main(file: Path) -> None:
    """Serve until told to stop."""
    posts = Posts()
    server = await asyncio.start_server(posts.serve, "127.0.0.1", 0, backlog=1024)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    file.write_text("\n".join(posts.lines), "utf-8")  # noqa: ASYNC240 - nothing else is left to do


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
