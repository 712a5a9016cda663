"""Chips by label and lines by offset; what is absent, busy or forbidden is said with what helps.

Requests of real lines need a kernel with GPIO; here is what comes before them, by the real library.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeagent.board.errors import BoardError
from edgeagent.board.gpio import Header, absent, chip_of, gone, no_such_line, refused_line
from edgeagent.board.lines import LABELS, Line, header


def test_a_machine_without_chips_says_so(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="there is none at all") as caught, Header(LABELS, tmp_path).input(Line(17)):
        pass
    assert "gpiodetect" in caught.value.remedy
    with pytest.raises(BoardError, match="pinctrl-rp1"), Header(LABELS, tmp_path).outputs([Line(5), Line(6)]):
        pass


def test_what_is_only_called_like_a_chip_is_none(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    (tmp_path / "gpiochip1").symlink_to("/dev/null")
    (tmp_path / "gpiochip2").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BoardError, match="there is none at all"):
        chip_of(LABELS, tmp_path)


def test_another_chip_is_named_so_that_its_label_can_be_written_down() -> None:
    error = absent(("pinctrl-rp1",), ("9030000.pl061", "raspberrypi-exp-gpio"), ())
    assert "labelled pinctrl-rp1; there is 9030000.pl061, raspberrypi-exp-gpio" in str(error)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_missing_group_is_what_helps_where_chips_may_not_be_opened(number: int) -> None:
    error = absent(("pinctrl-rp1",), ("other",), (OSError(number, os.strerror(number)),))
    assert "Permission denied" in str(error)
    assert "usermod -aG gpio edgeagent" in error.remedy


def test_a_line_that_is_taken_names_who_has_it() -> None:
    busy = OSError(errno.EBUSY, "Device or resource busy")
    error = refused_line("pinctrl-rp1", {17: "gpio-keys", 22: None}, (17, 22), busy)
    assert str(error) == "pinctrl-rp1, line 17 and 22: in use: 17 by gpio-keys, 22 by the kernel"
    assert "gpioinfo" in error.remedy
    assert str(refused_line("x", {}, (4,), busy)) == "x, line 4: in use"


def test_other_refusals_say_what_the_kernel_says() -> None:
    assert "Invalid argument" in str(refused_line("x", {}, (4,), OSError(errno.EINVAL, "Invalid argument")))
    assert "No such device" in str(gone((4,), OSError(errno.ENODEV, "No such device")))


def test_a_number_beyond_the_chip_says_how_many_there_are() -> None:
    assert "54 lines, 0 to 53, and none of the number 99" in str(no_such_line("pinctrl-bcm2835", 54, 99))


def test_lines_are_had_by_label() -> None:
    lines = header(("pinctrl-rp1",))
    assert lines == Header(("pinctrl-rp1",))


def test_without_gpiod_lines_say_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "gpiod.py").write_text("raise ImportError('no gpiod here')\n")
    asked = (
        "from edgeagent.board.lines import header\n"
        "from edgeagent.board.errors import BoardError\n"
        "try:\n    header()\nexcept BoardError as error:\n    print(error, error.remedy)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == 'lines need gpiod, which is not installed pip install "edgeagent[board]"\n'
