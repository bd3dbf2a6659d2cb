from __future__ import annotations

import gzip
import io
import os
import random

import pytest

from connectors.stored import LONGEST_LINE, beginning, plain, read_lines

TEXT = "Caf\u00e9 shuts \U0001f600 after 80 years\n" * 5_000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_utf_16_is_read_as_utf_8_also_in_gzip(encoding: str, packed: bool) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    data = (mark + TEXT).encode(encoding)
    assert plain(io.BytesIO(gzip.compress(data) if packed else data)).read().decode() == TEXT


def test_half_a_character_at_the_end_is_replaced() -> None:
    assert plain(io.BytesIO("Port".encode("utf-16") + b"x")).read().decode() == "Port\ufffd"


def test_a_line_of_utf_16_is_there_as_soon_as_it_has_come() -> None:
    reading, writing = os.pipe()
    with io.FileIO(reading) as source, io.FileIO(writing, "w") as feed:
        feed.write("Port reopens\n".encode("utf-16"))
        data = plain(io.BufferedReader(source))
        assert data.readline() == b"Port reopens\n"
        feed.write("Mayor opens lock\n".encode("utf-16-le"))
        assert data.readline() == b"Mayor opens lock\n"


def test_a_line_without_end_takes_no_more_memory_than_the_longest() -> None:
    first, second = read_lines(io.BytesIO(b"x" * (3 * LONGEST_LINE) + b"\nPort\n"))
    assert len(first) == LONGEST_LINE + 1
    assert second == b"Port\n"


def test_the_beginning_of_an_input_may_end_within_a_character() -> None:
    whole = ("\u592e" * 30_000).encode()
    assert set(beginning(whole[:70_000])) == {"\u592e"}
    assert beginning(b"caf\xe9") == "caf\u00e9"
    assert beginning(random.Random(7).randbytes(500))


def test_zstandard_is_known_by_its_first_bytes_in_one_frame_or_more_and_damage_is_told() -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    frame = pa.compress(TEXT.encode(), "zstd", asbytes=True)
    assert plain(io.BytesIO(frame + frame)).read().decode() == TEXT * 2
    with pytest.raises(EOFError, match="Truncated"):
        plain(io.BytesIO(frame[:-20])).read()
