"""The proof sheet, the certificate, and the parts that verification stands on."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_extension as tiny
from watari.artifact.stage import Silent
from watari.errors import Interrupted, UserError
from watari.tokenizer.opening import locate, open_base, open_encoder
from watari.tokenizer.script import script_of
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.texts import Text
from watari.tokenizer.verify import Result, Sheet, render, verify, verify_command
from watari.tokenizer.verify.boundaries import first_cut, not_coarser
from watari.tokenizer.verify.script import find_script
from watari.tokenizer.verify.shrink import TRIES, shrunk
from watari.tokenizer.verify.strings import fuzz_strings
from watari.tokenizer.verify.structure import Structure
from watari.tokenizer.verify.subject import Half, Subject, shown


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Mistral's tokenizer and a sound extension, each in all its forms."""
    root = tmp_path_factory.mktemp("verify")
    tiny.write_spm(root / "base", tiny.mistral())
    tiny.write_spm(root / "extended", tiny.mistral().extended(tiny.spm_pieces()))
    return root / "base", root / "extended"


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    rows = [{"id": item.id, "body": item.text} for item in tiny.texts(30)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def sound(folders: tuple[Path, Path], texts_file: Path) -> Sheet:
    base, extended = map(str, folders)
    return verify_command(base, extended, [str(texts_file)], field="body", fuzz=600, reference=50)


def faulty() -> Sheet:
    """A sheet with counter-examples, of bare encoders without files."""
    base = tiny.mistral()
    extended = SpmBpe("ours", base.extended(["「あ", "\n", "zq", "東京都庁"]).model)
    return verify(base, extended, tiny.texts(20), script=tiny.SCRIPT, fuzz=300)


# --- the sheet ---


def test_the_command_asks_every_form(sound: Sheet) -> None:
    assert sound.holds
    assert (sound.added, sound.script_from) == (60, "the new tokens")
    assert sound.asked.documents == 30
    assert sound.asked.reference_lines == 50
    assert 0 < sound.used <= 60
    asked = {result.name: result.cases for result in sound.results}
    for form in ("tokenizers", "sentencepiece"):
        assert asked[f"agree-{form}"] == 630
    for form in ("transformers", "reference-model", "reference-json"):
        # The lines of the sample, and as many fuzz strings.
        assert asked[f"agree-{form}"] == 100
    assert asked["unchanged"] > 200


def test_json_says_holds_cases_and_the_counter_example() -> None:
    content = json.loads(json.dumps(faulty().to_json()))
    assert content["holds"] is False
    entries = {entry["name"]: entry for entry in content["invariants"]}
    assert {name for name, entry in entries.items() if entry["holds"] is False} == {
        "strict-pieces",
        "reachable",
        "unchanged",
    }
    entry = entries["unchanged"]
    assert 0 < entry["failures"] <= entry["cases"]
    found = entry["counter_example"]
    assert found["text"] == "\n"
    assert found["base"] == ["▁".replace("▁", " "), "\n"]
    assert found["position"] == 1
    assert entries["agree-tokenizers"]["holds"] is None
    assert "no tokenizer.json" in entries["agree-tokenizers"]["note"]


def test_the_certificate_is_the_same_on_every_run(
    sound: Sheet, folders: tuple[Path, Path], texts_file: Path
) -> None:
    base, extended = map(str, folders)
    again = verify_command(base, extended, [str(texts_file)], field="body", fuzz=600, reference=50)
    content = again.certificate()
    assert content == sound.certificate()
    assert content["format"] == 1
    assert content["script"]["shared_with"] == ["zh"]
    assert "3000-30FF" in content["script"]["strict"]
    assert content["base"] == {"vocabulary": 32000, "digest": tiny.mistral().digest()}
    assert content["extended"]["vocabulary"] == 32060
    assert content["asked"]["seed"] == 0
    written = json.dumps(content)
    assert base not in written
    assert "texts.jsonl" not in written
    for entry in content["invariants"]:
        assert {"name", "law", "title", "holds", "cases", "failures"} <= entry.keys()


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@pytest.mark.parametrize("kind", ["sound", "faulty"])
def test_the_proof_sheet_fits_80_columns(kind: str, sound: Sheet) -> None:
    sheet = sound if kind == "sound" else faulty()
    page = render(sheet)
    assert max(map(columns, page.splitlines())) <= 80
    for result in sheet.results:
        assert result.name in page
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in page.replace("\n", ""))
    if kind == "faulty":
        # Token boundaries are bars, a line break is written out.
        assert "extended ␣|\\n" in page
        assert "FAILS    unchanged [I1]" in page
        assert "3 fail" in page
    else:
        assert "0 fail" in page


def test_progress_is_told_and_may_stop(folders: tuple[Path, Path]) -> None:
    class Stopping(Silent):
        def stop_requested(self) -> bool:
            return True

    told: list[float] = []

    class Telling(Silent):
        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            told.append(done)

    base, extended = tiny.mistral(), tiny.mistral().extended(tiny.spm_pieces())
    texts = tiny.texts(10)
    verify(base, extended, texts, fuzz=10, progress=Telling())
    assert told == sorted(told)
    assert told[-1] == sum(len(item.text) for item in texts)
    with pytest.raises(Interrupted):
        verify(base, extended, texts, fuzz=10, progress=Stopping())


def test_no_new_token_is_no_fault() -> None:
    sheet = verify(tiny.mistral(), tiny.mistral(), tiny.texts(6), fuzz=60)
    assert sheet.holds
    assert sheet.script is None
    assert sheet.certificate()["promise"] == "every text keeps its ids"
    # Nothing is outside the promise then.
    assert sheet.result("unchanged").cases == 66


def test_packaged_base_and_a_folder_with_a_longer_json(folders: tuple[Path, Path], tmp_path: Path) -> None:
    # `add_tokens` leaves the old tokenizer.model where it is; what people load is the longer tokenizer.json.
    (tmp_path / "tokenizer.model").write_bytes((folders[0] / "tokenizer.model").read_bytes())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folders[1] / name).read_bytes())
    sheet = verify_command("mistral-v1", str(tmp_path), fuzz=200)
    assert sheet.added == 60
    assert {"agree-sentencepiece", "agree-reference-model"} <= set(sheet.failed)
    assert not {"agree-tokenizers", "unchanged", "coarsening", "round-trip"} & set(sheet.failed)


def test_byte_level_with_every_form(tmp_path: Path) -> None:
    from watari.tokenizer.opening import open_base
    from watari.tokenizer.policy import Policy

    folder = tiny.byte_level(tmp_path / "base")
    base = open_base(str(folder))
    wanted = ["東京", "鬱", "竈", "ありがとう", "は東", "黙って"]
    entries = base.with_intermediates(wanted, Policy(tiny.SCRIPT))  # type: ignore[attr-defined]
    assert entries.pieces
    base.extended(entries.pieces).write(tmp_path / "out", base=len(base))
    sheet = verify_command(str(folder), str(tmp_path / "out"), fuzz=400)
    assert sheet.holds
    assert sheet.result("base-merges").holds


# --- script ---


def test_the_script_is_told_by_graft_json_or_the_new_tokens(tmp_path: Path) -> None:
    (tmp_path / "graft.json").write_text(
        json.dumps(
            {
                "language": "ko",
                "base_digest": "x",
                "base_vocabulary": 1,
                "pieces": ["한"],
                "ranks": [0],
                "parents": [[0]],
                "frequency": [1],
                "first_frequency": [1],
            }
        )
    )
    script, source = find_script(tmp_path, ["日本"])
    assert script is not None
    assert (script.language, source) == ("ko", "graft.json")
    for new, language in (
        (["日本", "ひら"], "ja"),
        (["中国", "数据"], "zh"),
        (["привет"], "ru"),
        (["한국"], "ko"),
    ):
        script, source = find_script(None, new)
        assert script is not None
        assert (script.language, source) == (language, "the new tokens")
    with pytest.raises(UserError, match="give --script"):
        find_script(None, ["hello", "the"])


@pytest.mark.parametrize("data", [b"\xe3", b"\xe3\x81", b"\xe3\x83", b"\xe9\xac", b"\xe2\x80", b"\xf0\xa0", b"\xf0", b"\xef\xbc", b"\xe4", b"\x81", "東".encode() + b"\xe2", b"\x81" + "東".encode(), b"a\xe9"])  # fmt: skip
def test_parts_of_characters_are_strict_if_all_that_hold_them_are(data: bytes) -> None:
    subject = Subject(Half(tiny.mistral(), Structure()), Half(tiny.mistral(), Structure()), script_of("ja"))
    assert shown(data)
    if len(data) > 2 or data[:1] == b"a":
        expected = script_of("ja").has_strict(data.decode("utf-8", "ignore")) or data == b"a\xe9"
        # E9 begins U+9000 to U+9FFF.
        assert subject.always_strict(data) is expected
    else:
        every = map(chr, (*range(0x80, 0xD800), *range(0xE000, 0x110000)))
        holders = [character for character in every if data in character.encode("utf-8")]
        assert holders
        assert subject.always_strict(data) is all(map(script_of("ja").has_strict, holders))


# --- parts ---


@given(
    st.lists(
        st.tuples(st.lists(st.integers(1, 3), max_size=6), st.lists(st.integers(1, 3), max_size=6)),
        max_size=6,
    )
)
def test_coarsening_is_a_subset_of_the_cuts(texts: list[tuple[list[int], list[int]]]) -> None:
    lengths = np.array([0, 1, 2, 3], dtype=np.int64)
    base = [np.array(one, dtype=np.int32) for one, _ in texts]
    extended = [np.array(other, dtype=np.int32) for _, other in texts]
    expected = []
    for place, (one, other) in enumerate(zip(base, extended, strict=True)):
        cuts, new = set(np.cumsum(lengths[one]).tolist()), set(np.cumsum(lengths[other]).tolist())
        if not new <= cuts or sum(lengths[one]) != sum(lengths[other]):
            expected.append(place)
    assert not_coarser(base, extended, lengths, lengths) == expected
    for place in expected:
        cut = first_cut(base[place], extended[place], lengths, lengths)
        assert 0 <= cut <= max(lengths[base[place]].sum(), lengths[extended[place]].sum())


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_a_fault_is_shrunk_to_itself(before: str, behind: str) -> None:
    assert shrunk(before + "xyz" + behind, lambda text: "xyz" in text) == "xyz"


def test_shrinking_ends() -> None:
    tried: list[str] = []

    def fails(text: str) -> bool:
        tried.append(text)
        return "q" * 700 in text

    found = shrunk("a" * 99 + "q" * 700 + "b" * 20_000, fails)
    assert "q" * 700 in found
    assert len(tried) <= TRIES + 1


def test_fuzz_strings_are_drawn_by_seed_and_number() -> None:
    pieces = ["東京", "the", "…"]
    many = list(fuzz_strings(900, 1, tiny.SCRIPT, pieces))
    assert many[:100] == list(fuzz_strings(100, 1, tiny.SCRIPT, pieces))
    assert many[:100] != list(fuzz_strings(100, 2, tiny.SCRIPT, pieces))
    plain = [text for text in many if not tiny.SCRIPT.has_strict(text)]
    assert len(plain) >= 300
    assert len(set(many)) > 850
    whole = "".join(many)
    whole.encode("utf-8")
    for part in ("<s>", "</s>", "\u200d", "\u3099", "\n\n", "\x00", "\u2581", "“", "東京", "한"):
        assert part in whole, part
    assert any(ord(character) >= 0x20000 for character in whole)


def test_a_document_keeps_its_name(tmp_path: Path) -> None:
    base = tiny.mistral()
    extended = base.extended(["zq"])
    texts = [Text("clean", "nothing here"), Text("row-7", "so qzq it is, and more of the text behind it")]
    sheet = verify(base, extended, texts, script=tiny.SCRIPT, fuzz=0)
    found = sheet.result("unchanged").counter_example
    assert found is not None
    assert (found.found_in, sheet.result("unchanged").failures) == ("row-7", 1)
    assert found.text == "qzq"
    assert "1 of 2" in sheet.result("unchanged").note


def test_documents_are_asked_with_their_script_taken_out_too() -> None:
    base = tiny.mistral()
    sheet = verify(base, base.extended(["zq"]), [Text("mixed", "q日z本q")], script=tiny.SCRIPT, fuzz=0)
    found = sheet.result("unchanged").counter_example
    assert found is not None
    assert (found.text, found.found_in, sheet.result("unchanged").cases) == ("qzq", "mixed", 1)


def test_user_defined_pieces_excuse_nothing_between_them(tmp_path: Path) -> None:
    base = open_base("mistral-v3")
    base.extended(["日本", "日本語"]).write(tmp_path, base=len(base))
    texts = [Text("0", "[REFERENCE_DOC_11]日本語[REFERENCE_DOC_1] 日本"), Text("1", "ab")]

    def agreement() -> Result:
        sheet = verify(
            base,
            open_encoder(str(tmp_path / "tokenizer.model")),
            texts,
            script=script_of("ja"),
            fuzz=0,
            base_files=locate("mistral-v3"),
            extended_files=tmp_path,
        )
        return sheet.result("agree-tokenizers")

    sound = agreement()
    assert sound.holds
    assert sound.cases == 1
    assert "1 texts differ at a user-defined piece" in sound.note
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["model"]["merges"] = [m for m in content["model"]["merges"] if "".join(m) != "日本語"]
    path.write_text(json.dumps(content), "utf-8")
    assert agreement().holds is False
