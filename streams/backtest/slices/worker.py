"""The process that looks at slices: ``python -m streams.backtest.slices.worker``, told what to do on standard input.

A frame is its length (four bytes, little-endian), its kind (a letter) and what it holds. `WORK` comes first, `BEGIN` before
each slice and `BATCH` for its headlines; each of the last two is answered by a frame of the same kind.
"""

from __future__ import annotations

import signal
import struct
import sys
from typing import IO, Final

import msgspec

from streams.backtest.slices.finding import Finder, Work, decode_candidates, encode
from streams.core.dedupe import Candidate

WORK: Final = b"W"
BEGIN: Final = b"S"
BATCH: Final = b"B"
_HEAD = struct.Struct("<Ic")

Beginning = tuple[int, list[Candidate]]
_decode_beginning = msgspec.msgpack.Decoder(Beginning).decode


def send(stream: IO[bytes], kind: bytes, value: bytes) -> None:
    """Write a frame."""
    stream.write(_HEAD.pack(len(value), kind))
    stream.write(value)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read a frame, its kind and what it holds; None where the stream has ended, also in the middle of one."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, kind = _HEAD.unpack(head)
    value = stream.read(length)
    return (kind, value) if len(value) == length else None


def serve(orders: IO[bytes], answers: IO[bytes]) -> None:
    """Do as told until nobody tells any more."""
    work: Work | None = None
    finder: Finder | None = None
    while frame := receive(orders):
        kind, value = frame
        if kind == WORK:
            work = Work.unpacked(value)
        elif kind == BEGIN:
            assert work is not None
            finder = Finder(work)
            trusted, before = _decode_beginning(value)
            send(answers, BEGIN, encode(finder.warm_up(before, trusted)))
        else:
            assert finder is not None
            send(answers, BATCH, encode(finder.find(decode_candidates(value))))


def main() -> None:
    """Serve on standard input and output. Whoever started this is who hears of Ctrl-C, and ends this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
