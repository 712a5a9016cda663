"""`edgeagent import`: files and folders of others become a command file, and every sentence that does not is told."""

import json
from pathlib import Path

import pytest

from edgeagent.cli.imports import MOST_FILES, import_sentences
from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.commands import LARGEST_FILE_BYTES

INI = "[Go]\ngo to ($rooms){room}\nplay $movies{movie}\n"
YAML = """\
language: en
intents: {Go: {data: [{sentences: ['go {where}', 'go {nowhere}']}]}}
lists: {where: {values: [home]}}
"""


def intents_of(path: Path) -> set[str]:
    return {template.intent for template in commands.load(path).templates}


def test_a_folder_of_rhasspy_is_read_with_its_slots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sentences.ini").write_text(INI)
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "rooms").write_text("kitchen\nden\n")
    output = tmp_path / "out.yaml"
    assert import_sentences(tmp_path, output) == 0
    assert intents_of(output) == {"Go"}
    printed = capsys.readouterr().out
    assert f"{tmp_path.name}:3: left out: play $movies{{movie}}: $movies: no file of that name was given" in printed
    assert "1 sentences of 1 intents: Go" in printed
    assert f'command_files = ["{output}"]' in printed


def test_slots_may_stand_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine.ini").write_text(INI)
    (tmp_path / "values" / "sub").mkdir(parents=True)
    (tmp_path / "values" / "rooms").write_text("kitchen\n")
    (tmp_path / "values" / "movies").write_text("Primer\n")
    assert import_sentences(tmp_path / "mine.ini", tmp_path / "out.yaml", slots=tmp_path / "values") == 0
    assert len(commands.load(tmp_path / "out.yaml").templates) == 2


@pytest.mark.parametrize("where", ["custom_sentences", "custom_sentences/en", "custom_sentences/en/go.yaml"])
def test_sentences_of_home_assistant_are_read_from_wherever_they_are_named(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "custom_sentences" / "en"
    folder.mkdir(parents=True)
    (folder / "go.yaml").write_text(YAML)
    (folder / "notes.txt").write_text("none")
    assert import_sentences(tmp_path / where, tmp_path / "out.yaml") == 0
    assert intents_of(tmp_path / "out.yaml") == {"Go"}
    assert "go.yaml:2: left out: go {nowhere}: there is no list {nowhere}" in capsys.readouterr().out


def test_machines_are_told_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "go.yaml").write_text(YAML)
    assert import_sentences(tmp_path / "go.yaml", tmp_path / "out.yaml", is_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sentences"], told["intents"], told["changed"]) == (1, ["Go"], [])
    assert [(one["file"], one["line"], one["what"]) for one in told["left_out"]] == [("go.yaml", 2, "go {nowhere}")]


def test_where_nothing_can_be_used_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text("[Go]\n(\n")
    with pytest.raises(SettingsError, match="nothing of it can be used"):
        import_sentences(tmp_path / "a.ini", tmp_path / "out.yaml")
    assert not (tmp_path / "out.yaml").exists()


def test_only_what_was_imported_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "go.yaml").write_text(YAML)
    output = tmp_path / "out.yaml"
    import_sentences(tmp_path / "go.yaml", output)
    import_sentences(tmp_path / "go.yaml", output)
    output.write_text("# mine\n")
    with pytest.raises(SettingsError, match="there already"):
        import_sentences(tmp_path / "go.yaml", output)
    assert output.read_text() == "# mine\n"


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    output = tmp_path / "out.yaml"
    (tmp_path / "go.yaml").write_text(YAML)
    (tmp_path / "bytes.ini").write_bytes(b"[Go]\n\xff\n")
    (tmp_path / "large.ini").write_bytes(b"#" * (LARGEST_FILE_BYTES + 1))
    (tmp_path / "empty").mkdir()
    (tmp_path / "many" / "slots").mkdir(parents=True)
    (tmp_path / "many" / "sentences.ini").write_text(INI)
    for number in range(MOST_FILES + 1):
        (tmp_path / "many" / "slots" / str(number)).touch()
    for source, problem in {
        "missing.yaml": "No such file",
        "bytes.ini": "not UTF-8 at byte 5",
        "large.ini": "larger than 1 MiB",
        "empty": "0 files",
        "many": f"more than {MOST_FILES} files",
    }.items():
        with pytest.raises(SettingsError, match=problem) as caught:
            import_sentences(tmp_path / source, output)
        assert caught.value.remedy
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        import_sentences(tmp_path / "go.yaml", tmp_path / "file" / "out.yaml")


def test_sentences_that_are_too_many_ways_to_say_a_word_are_refused(tmp_path: Path) -> None:
    letters = "".join(f"[{letter}]" for letter in "abcdefghijklmnopqrstuvwxyzabcdefghijklmn")
    body = json.dumps({"intents": {"Go": {"data": [{"sentences": [f"go {letters}"]}]}}})
    (tmp_path / "ways.yaml").write_text(body)
    with pytest.raises(SettingsError, match="too many ways"):
        import_sentences(tmp_path / "ways.yaml", tmp_path / "out.yaml")
    assert not (tmp_path / "out.yaml").exists()
