"""Who is refused is written down, whatever others do to fill the audit trail."""

from console.web.website import HOME, Website

from edgeagent.console.web.lines import (
    MOST_SUMMARIES,
    ONE_STRANGERS_A_MINUTE,
    STRANGERS_A_MINUTE,
    USERS_A_MINUTE,
    Cause,
    Lines,
)


def test_one_stranger_does_not_use_up_the_lines_of_another() -> None:
    lines = Lines()
    assert sum(lines.may("", "2001:db8::1", 60) for _ in range(1_000)) == ONE_STRANGERS_A_MINUTE
    assert not lines.may("", "2001:db8::2", 60)
    assert lines.may("", "10.0.0.2", 61)
    assert lines.may("", "2001:db8::2", 120)


def test_strangers_from_everywhere_use_up_no_users_lines() -> None:
    lines = Lines()
    written = sum(lines.may("", f"10.{number // 250}.{number % 250}.1", 60) for number in range(20_000))
    assert written == STRANGERS_A_MINUTE
    assert sum(lines.may("vic", "10.0.0.1", 61) for _ in range(1_000)) == USERS_A_MINUTE
    assert lines.may("ole", "10.0.0.1", 61)
    told = lines.left_out(120)
    assert len(told) <= MOST_SUMMARIES + 1
    assert (Cause("vic"), 1_000 - USERS_A_MINUTE) in told
    assert sum(count for _, count in told) == 20_000 - written + 1_000 - USERS_A_MINUTE
    assert not lines.left_out(121)


def test_refusals_that_were_not_written_one_by_one_are_told_by_number(website: Website) -> None:
    lines = website.app.state.site.lines
    before = 1_000.0
    for _ in range(USERS_A_MINUTE + 7):
        lines.may("vic", "", before)
    visitor = website.visitor("vic")
    visitor.get(HOME)
    told = [line for line in website.audited("refused") if "more" in line.detail]
    assert [(line.user, line.detail["more"].split()[0]) for line in told] == [("vic", "7")]


def test_a_users_refusal_is_written_while_a_stranger_knocks(website: Website) -> None:
    stranger = website.stranger()
    for _ in range(40):
        stranger.get(HOME)
    assert website.visitor("vic").get(f"{HOME}/audit").status_code == 403
    assert website.audited("refused")[-1].user == "vic"
