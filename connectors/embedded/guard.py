"""Run a program for no longer than the process that asked for it lives.

Started as ``python -I -S guard.py FD -- PROGRAM ARGUMENT ...`` by ``connectors.embedded.process``; it imports
nothing but the standard library. ``FD`` is one end of a socket pair whose other end only the asking process
holds. Through it come the orders ``T`` (terminate) and ``K`` (kill); its end means that the asking process is
gone, in whatever way, ``kill -9`` included, and the program is terminated, and killed if it has not ended
after ``GRACE`` seconds.

The guard is the only parent of the program, so an order can never hit another process that was given the same
id. Should the guard itself be killed, Linux kills the program with it (``PR_SET_PDEATHSIG``, prctl(2)).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

#: Seconds that a program has to end by itself once nobody is left to wait for it.
GRACE = 10.0

_PR_SET_PDEATHSIG = 1


def run(channel: socket.socket, command: list[str]) -> int:
    """Run ``command`` to its end, obeying ``channel``; give its exit code as a shell would (128 + signal)."""
    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_guard())  # noqa: PLW1509  (no threads yet)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        return 127

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        program.terminate()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    threading.Thread(target=_obey, args=(channel, program), daemon=True).start()
    code = program.wait()
    return code if code >= 0 else 128 - code


def _obey(channel: socket.socket, program: subprocess.Popen[bytes]) -> None:
    while order := channel.recv(1):
        if order == b"K":
            program.kill()
        else:
            program.terminate()
    program.terminate()
    time.sleep(GRACE)
    program.kill()


def _die_with_guard() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    guard = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:  # it died before the line above
            os._exit(1)

    return prepare


if __name__ == "__main__":
    sys.exit(run(socket.socket(fileno=int(sys.argv[1])), sys.argv[3:]))
