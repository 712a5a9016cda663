"""Colours to bytes on the wire, held against the data sheets, and bytes to a device that may not be one."""

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.board.apa102 import APA102_HZ, LARGEST_WRITE_BYTES, WS2812_HZ, apa102, spi, ws2812
from edgeagent.board.errors import BoardError
from edgeagent.board.showing import Picture

pictures = st.lists(st.tuples(*[st.integers(0, 255)] * 3), max_size=256).map(tuple)


def bits_of(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def shown_by_apa102(data: bytes, count: int) -> Picture:
    """Return what a chain of lamps shows, each of which takes the first frame and hands on the others."""
    bits = bits_of(data)
    assert set(bits[:32]) <= {"0"}, "the start"
    frames = [bits[at : at + 32] for at in range(32, 32 + 32 * count, 32)]
    assert all(frame.startswith("111") for frame in frames)
    assert all(frame[3:8] == "11111" for frame in frames), "full brightness"
    end = bits[32 + 32 * count :]
    assert set(end) <= {"0"}, "a one would light a lamp behind the last"
    assert len(end) >= 32 + count / 2, "half a clock for each lamp"
    return tuple((int(one[24:], 2), int(one[16:24], 2), int(one[8:16], 2)) for one in frames)


def shown_by_ws2812(data: bytes) -> Picture:
    """Return what a chain of lamps shows, by how long the line is high at a time."""
    bits = bits_of(data)
    bit_s = 1 / WS2812_HZ
    first = bits.find("1")
    if first < 0:
        return ()
    last = bits.rfind("1")
    assert first * bit_s > 280e-6
    symbols = [bits[at : at + 3] for at in range(first, last + 1, 3)]
    assert (len(bits) - first - 3 * len(symbols)) * bit_s > 280e-6, "low until it is shown"
    for symbol in symbols:  # T0H 0.2..0.5 us, T1H 0.55..0.95 us, a bit 0.9..1.65 us
        high_s = symbol.count("1") * bit_s
        assert 0.2e-6 < high_s < 0.5e-6 if symbol == "100" else 0.55e-6 < high_s < 0.95e-6, symbol
    assert 0.9e-6 < 3 * bit_s < 1.65e-6
    values = "".join("1" if symbol == "110" else "0" for symbol in symbols)
    parts = [int(values[at : at + 8], 2) for at in range(0, len(values), 8)]
    return tuple((parts[at + 1], parts[at], parts[at + 2]) for at in range(0, len(parts), 3))


@given(pictures)
def test_what_is_sent_to_apa102_is_what_they_show(picture: Picture) -> None:
    assert shown_by_apa102(apa102(picture), len(picture)) == picture


@given(pictures)
def test_what_is_sent_to_ws2812_is_what_they_show(picture: Picture) -> None:
    assert shown_by_ws2812(ws2812(picture)) == picture


def test_the_bytes_of_two_lamps() -> None:
    assert apa102(((255, 0, 0), (1, 2, 3))).hex() == "00000000" + "ff0000ff" + "ff030201" + "0000000000"
    assert ws2812(((0, 0xF0, 0x01),)).strip(b"\0") == bytes.fromhex("db6924" + "924924" + "924926")


@given(pictures)
def test_no_picture_is_more_than_the_kernel_takes_at_once(picture: Picture) -> None:
    assert max(len(apa102(picture)), len(ws2812(picture))) <= LARGEST_WRITE_BYTES


@contextmanager
def listening_pipe(folder: Path) -> Iterator[tuple[Path, int]]:
    """Give a path that can be written to as a device is, and what reads it."""
    folder.mkdir(exist_ok=True)
    path = folder / "spidev0.0"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield path, reader
    finally:
        os.close(reader)


def test_the_device_is_told_mode_word_and_speed_before_the_first_byte(tmp_path: Path) -> None:
    told: list[tuple[int, bytes]] = []
    with listening_pipe(tmp_path) as (path, reader):

        def control(_: int, request: int, argument: bytes) -> None:
            told.append((request, argument))

        with spi(path, APA102_HZ, control) as write:
            assert told == [  # as a C program prints those of linux/spi/spidev.h
                (0x40016B01, b"\0"),
                (0x40016B03, b"\x08"),
                (0x40046B04, struct.pack("=I", 4_000_000)),
            ]
            write(apa102(((1, 2, 3),)))
        assert os.read(reader, 100) == apa102(((1, 2, 3),))
        assert os.read(reader, 100) == b"", "and it is closed behind the block"


def test_what_is_no_spi_device_is_said_so_by_the_kernel_itself(tmp_path: Path) -> None:
    file = tmp_path / "spidev0.0"
    file.touch()
    with pytest.raises(BoardError, match="is no SPI device"), spi(file, APA102_HZ):
        pass
    with pytest.raises(BoardError, match="is no SPI device"), spi(tmp_path, APA102_HZ):
        pass


def test_a_device_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="No such file") as caught, spi(tmp_path / "spidev0.0", APA102_HZ):
        pass
    assert "dtparam=spi=on" in caught.value.remedy


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "group spi"),
        (errno.EMSGSIZE, "count"),
        (errno.EIO, "plugged in"),
        (errno.ENODEV, "plug the HAT in"),
    ],
)
def test_what_a_device_refuses_has_a_remedy(tmp_path: Path, number: int, remedy: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with (
        listening_pipe(tmp_path) as (path, _),
        pytest.raises(BoardError, match=os.strerror(number)) as caught,
        spi(path, APA102_HZ, refuse),
    ):
        pass
    assert remedy in caught.value.remedy


def test_a_device_that_goes_away_while_it_is_written_to_is_said_so(tmp_path: Path) -> None:
    with listening_pipe(tmp_path) as (path, _), spi(path, APA102_HZ, lambda *_: None) as write:
        write(b"a")
        with pytest.raises(BoardError, match="took"):
            write(bytes(1 << 20))
    with listening_pipe(tmp_path / "gone") as (path, reader), spi(path, APA102_HZ, lambda *_: None) as write:
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), reader)
        with pytest.raises(BoardError, match="Broken pipe"):
            write(b"a")


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "spidev0.0"
    os.mkfifo(path)
    with pytest.raises(BoardError, match="No such device"), spi(path, APA102_HZ):
        pass
