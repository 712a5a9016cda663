import base64
from pathlib import Path

import pytest
from voskmodels import WORDS, automaton, in_folder, old_files, vosk_files

from edgeagent.errors import ModelError
from edgeagent.hear.vosk_folder import check

MADE_BY_OPENFST = base64.b64decode(
    "1v2yfgYAAAB2ZWN0b3IIAAAAc3RhbmRhcmQCAAAAAwAAAAMAgVpqAAAAAAAAAAAAAAADAAAAAAAAAAAAAAAAAAAAdPuyfgUAAAB3LnR4dAQAAAAA"
    "AAAABAAAAAAAAAAFAAAAPGVwcz4AAAAAAAAAAAQAAAB0dXJuAQAAAAAAAAACAAAAb24CAAAAAAAAAAYAAABLw7xjaGUDAAAAAAAAAHT7sn4FAAAA"
    "dy50eHQEAAAAAAAAAAQAAAAAAAAABQAAADxlcHM+AAAAAAAAAAAEAAAAdHVybgEAAAAAAAAAAgAAAG9uAgAAAAAAAAAGAAAAS8O8Y2hlAwAAAAAA"
    "AAAAAIB/AQAAAAAAAAABAAAAAQAAAAAAAAABAAAAAACAfwEAAAAAAAAAAgAAAAIAAAAAAAAAAgAAAAAAAAAAAAAAAAAAAA=="
)
"""What fstcompile of OpenFst 1.7.9 wrote of "turn on" with --keep_isymbols and --keep_osymbols."""


def test_a_model_of_today_is_taken_and_its_words_are_known(tmp_path: Path) -> None:
    found = check(in_folder(tmp_path, vosk_files()))
    assert found.words == frozenset(WORDS)
    assert found.remarks == ()


def test_a_model_of_old_is_taken_as_well(tmp_path: Path) -> None:
    assert check(in_folder(tmp_path, old_files())).words == frozenset(WORDS)


def test_the_published_small_models_have_no_words_txt_and_their_words_are_read_from_the_graph(tmp_path: Path) -> None:
    files = vosk_files() | {"graph/Gr.fst": MADE_BY_OPENFST}
    del files["graph/words.txt"]
    assert check(in_folder(tmp_path, files)).words == {"<eps>", "turn", "on", "Küche"}


def test_words_in_the_graph_count_before_those_in_words_txt_as_they_do_for_vosk(tmp_path: Path) -> None:
    assert "Küche" in check(in_folder(tmp_path, vosk_files() | {"graph/Gr.fst": MADE_BY_OPENFST})).words


def test_a_graph_that_was_cut_anywhere_in_its_symbols_is_an_error(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, vosk_files())
    end = MADE_BY_OPENFST.rindex(b"\x03" + bytes(7)) + 8
    for length in range(1, end):
        (folder / "graph/Gr.fst").write_bytes(MADE_BY_OPENFST[:length])
        with pytest.raises(ModelError, match=r"graph/Gr\.fst: damaged"):
            check(folder)


def test_a_symbol_table_of_absurd_sizes_is_damage_and_fills_no_memory(tmp_path: Path) -> None:
    huge = automaton(WORDS).replace((5).to_bytes(4, "little") + b"<eps>", (2**31 - 1).to_bytes(4, "little") + b"<eps>")
    assert huge != automaton(WORDS)
    with pytest.raises(ModelError, match="damaged: its symbols"):
        check(in_folder(tmp_path, vosk_files() | {"graph/Gr.fst": huge}))


@pytest.mark.parametrize(
    "name",
    [
        "am/final.mdl",
        "conf/mfcc.conf",
        "conf/model.conf",
        "graph/HCLr.fst",
        "graph/Gr.fst",
        "graph/disambig_tid.int",
    ],
)
def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path, name: str) -> None:
    folder = in_folder(tmp_path, vosk_files())
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelError, match=f"missing or empty: {name}"):
        check(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"missing or empty: {name}") as raised:
        check(folder)
    assert str(raised.value).startswith(f"{folder}: ")
    assert "edgeagent model fetch" in raised.value.remedy


def test_a_model_without_any_words_is_an_error(tmp_path: Path) -> None:
    files = vosk_files()
    del files["graph/words.txt"]
    with pytest.raises(ModelError, match=r"no words: expected graph/words\.txt, or symbols in graph/Gr\.fst"):
        check(in_folder(tmp_path, files))


def test_half_of_the_speaker_adaptation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ivector/final\.ie, ivector/final\.dubm"):
        check(in_folder(tmp_path, vosk_files() | {"ivector/final.mat": b"x", "ivector/splice.conf": b"x"}))


@pytest.mark.parametrize("name", ["am/final.mdl", "graph/HCLr.fst", "graph/Gr.fst"])
def test_a_file_that_does_not_begin_as_it_should_is_damaged(tmp_path: Path, name: str) -> None:
    folder = in_folder(tmp_path, vosk_files() | {name: bytes(5000)})
    with pytest.raises(ModelError, match=rf"{name}: damaged, or of another program: it begins with b'\\x00"):
        check(folder)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (b"--beam=10\n", "found none"),
        (b"# --endpoint.silence-phones=1:2\n", "found none"),
        (b"--endpoint.silence-phones=\n", "found none"),
        (b"--endpoint.silence-phones=sil\n", "found 'sil'"),
    ],
)
def test_options_over_which_vosk_would_end_the_process_are_an_error(tmp_path: Path, options: bytes, found: str) -> None:
    with pytest.raises(ModelError, match=rf"conf/model\.conf: expected --endpoint\.silence-phones .*{found}"):
        check(in_folder(tmp_path, vosk_files() | {"conf/model.conf": options}))


def test_options_are_read_as_kaldi_reads_them(tmp_path: Path) -> None:
    options = b"  --Endpoint.Silence_Phones= 1:2 # and no more\n--frame_subsampling_factor=3\n"
    assert check(in_folder(tmp_path, vosk_files() | {"conf/model.conf": options})).remarks == ()


def test_what_a_model_can_do_without_is_said(tmp_path: Path) -> None:
    files = vosk_files() | {"conf/model.conf": b"--endpoint.silence-phones=1\n", "graph/HCLG.fst": automaton()}
    del files["graph/phones/word_boundary.int"]
    del files["graph/HCLr.fst"]
    told = check(in_folder(tmp_path, files)).remarks
    assert [remark.split()[0] for remark in told] == [
        "--frame-subsampling-factor",
        "graph/phones/word_boundary.int",
        "graph/HCLG.fst",
    ]


def test_filter_banks_stand_in_for_cepstra(tmp_path: Path) -> None:
    files = vosk_files()
    files["conf/fbank.conf"] = files.pop("conf/mfcc.conf")
    assert check(in_folder(tmp_path, files)).words


def test_a_folder_of_something_else_is_no_model(tmp_path: Path) -> None:
    in_folder(tmp_path / "holidays", {"beach.jpg": b"x"})
    with pytest.raises(ModelError, match=r"holidays: no Vosk model: expected am/final\.mdl, or final\.mdl"):
        check(tmp_path / "holidays")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, vosk_files())
    (folder / "conf/model.conf").unlink()
    (folder / "conf/model.conf").symlink_to("model.conf")
    with pytest.raises(ModelError, match=r"conf/model\.conf"):
        check(folder)


def test_words_that_a_model_lacks_are_returned_once_each(tmp_path: Path) -> None:
    found = check(in_folder(tmp_path, vosk_files()))
    assert found.missing(["turn", "on", "dehumidifier", "dehumidifier", "zigbee"]) == ("dehumidifier", "zigbee")
    assert found.missing([]) == ()


def test_a_model_that_knows_none_of_the_words_is_of_another_language(tmp_path: Path) -> None:
    found = check(in_folder(tmp_path, vosk_files(["<eps>", "включи", "свет"])), "vosk-small-ru.zip")
    with pytest.raises(ModelError, match=r"vosk-small-ru\.zip: expected a model of the language of the commands"):
        found.missing(["turn", "on"])
