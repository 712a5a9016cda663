"""Our lines in a Raspberry Pi's config.txt, and everything else in it as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.board.config_txt import BEGIN, END, LARGEST_BYTES, Wanted, counts, with_lines
from edgeagent.board.errors import BoardError

OVERLAY = Wanted("dtoverlay=wm8960-soundcard")
BUS = Wanted("dtparam=i2c_arm=on")
MEMORY = Wanted("gpu_mem=16", "pi02")
AS_DELIVERED = b"""\
# For more options see http://rptl.io/configtxt
#dtparam=i2c_arm=on
dtparam=audio=on
camera_auto_detect=1

[cm4]
otg_mode=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
"""


def test_the_lines_stand_in_a_block_at_the_end_each_under_its_filter() -> None:
    after = with_lines(AS_DELIVERED, [MEMORY, BUS, OVERLAY], ["pi02", "pi0"])
    block = f"{BEGIN}\n[all]\ndtparam=i2c_arm=on\ndtoverlay=wm8960-soundcard\n[pi02]\ngpu_mem=16\n[all]\n{END}\n"
    assert after == AS_DELIVERED + block.encode()
    assert len(max(block.splitlines(), key=len)) <= 98  # the firmware reads no more of a line


def test_a_file_that_ends_under_a_filter_gives_it_to_none_of_our_lines() -> None:
    after = with_lines(b"[pi5]\ndtparam=pciex1", [OVERLAY], ["pi4"])
    assert after.decode().splitlines()[:4] == ["[pi5]", "dtparam=pciex1", BEGIN, "[all]"]
    assert counts(after, OVERLAY.line, ["pi4"])


@pytest.mark.parametrize(
    ("before", "is_repeated"),
    [
        (b"dtoverlay=wm8960-soundcard\n", False),
        (b"[all]\r\n  dtoverlay=wm8960-soundcard  \r\n", False),
        (b"[pi4]\ndtoverlay=wm8960-soundcard\n", False),
        (b"[pi5]\nx=1\n[pi4]\ndtoverlay=wm8960-soundcard\n", False),
        (b"#dtoverlay=wm8960-soundcard\n", True),
        (b"[pi5]\ndtoverlay=wm8960-soundcard\n", True),
        (b"[gpio4=1]\n[pi4]\ndtoverlay=wm8960-soundcard\n", True),
        (b"[none]\ndtoverlay=wm8960-soundcard\n", True),
        (b"dtoverlay=wm8960-soundcard,x=1\n", True),
    ],
)
def test_what_counts_already_for_this_board_is_not_repeated(before: bytes, *, is_repeated: bool) -> None:
    after = with_lines(before, [OVERLAY], ["pi400", "pi4"])
    assert (after != before) is is_repeated
    assert counts(after, OVERLAY.line, ["pi400", "pi4"])


def test_ends_of_lines_of_windows_are_kept_and_used() -> None:
    before = b"\xef\xbb\xbf# caf\xe9\r\ndtparam=audio=on\r\n"
    after = with_lines(before, [OVERLAY])
    assert after.startswith(before)
    assert b"\n" not in after.replace(b"\r\n", b"")
    assert with_lines(after, [OVERLAY]) == after


def test_the_block_is_replaced_where_it_is_and_what_is_below_it_stays_below() -> None:
    below = with_lines(AS_DELIVERED, [OVERLAY]) + b"arm_boost=1\n"
    changed = with_lines(below, [BUS])
    assert changed == with_lines(AS_DELIVERED, [BUS]) + b"arm_boost=1\n"


def test_without_lines_the_block_goes() -> None:
    assert with_lines(with_lines(AS_DELIVERED, [OVERLAY]), []) == AS_DELIVERED


@pytest.mark.parametrize("damage", [f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_damaged_markers_are_left_to_the_owner(damage: str) -> None:
    with pytest.raises(BoardError, match=r"config.txt: expected one block of edgeagent, found markers in lines 2"):
        with_lines(b"x=1\n" + damage.encode(), [OVERLAY])


def test_what_is_too_large_for_a_config_txt_is_not_touched() -> None:
    with pytest.raises(BoardError, match="larger than 64 KiB"):
        with_lines(b"#" * (LARGEST_BYTES + 1), [OVERLAY])


LINES = st.sampled_from(
    [b"[pi4]", b"[all]", b"[none]", b"[gpio4=1]", b"dtoverlay=wm8960-soundcard", b"gpu_mem=16", b"", b"# \xff", b"x"]
)
FILES = st.builds(lambda lines, end: end.join(lines), st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]))
SETS = st.lists(st.sampled_from([OVERLAY, BUS, MEMORY, Wanted("otg_mode=1", "cm4")]), unique=True)


@given(before=FILES, first=SETS, then=SETS, sections=st.sampled_from([(), ("pi02", "pi0"), ("cm4", "pi4")]))
def test_it_is_idempotent_forgets_what_was_before_and_every_line_counts(
    before: bytes, first: list[Wanted], then: list[Wanted], sections: tuple[str, ...]
) -> None:
    once = with_lines(before, then, sections)
    assert with_lines(once, then, sections) == once
    assert with_lines(with_lines(before, first, sections), then, sections).rstrip() == once.rstrip()
    assert all(counts(once, one.line, [*sections, one.section]) for one in then)
    assert once.startswith(before)
