"""What a screenplay may hold, and what its author is told where it cannot be read."""

import csv
import io
import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.ground.errors import UserError
from songreel.planning import screenplay
from songreel.planning.screenplay import Line

NAME = "song.csv"


def read(content: bytes | str, folder: Path) -> tuple[Line, ...]:
    path = folder / NAME
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return screenplay.read(path)


def message(content: bytes | str, folder: Path) -> str:
    with pytest.raises(UserError) as raised:
        read(content, folder)
    return str(raised.value)


def assert_one_sentence(told: str) -> None:
    assert told.isprintable()  # so it is one line too
    assert re.fullmatch(r".+: found .+, expected .+; .+[^.]", told)
    assert len(told) < 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenplay")


PUBLISHED = """"Twinkle, twinkle",0
"little star",  4.5
"How I wonder" , 9
"he said ""what"" you are",12.25
"Twinkle, twinkle",16
"""


def test_a_published_screenplay_is_read(folder: Path) -> None:
    assert read(PUBLISHED, folder) == (
        Line("Twinkle, twinkle", 0.0, 1),
        Line("little star", 4.5, 2),
        Line("How I wonder", 9.0, 3),
        Line('he said "what" you are', 12.25, 4),
        Line("Twinkle, twinkle", 16.0, 5),
    )


FAMILY = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f"  # one emoji of five characters, and a heart
)

GOOD_RECORDS = {
    "spaces_before_the_time": ('"a",   7', "a", 7),
    "spaces_after_the_time": ('"a",7  ', "a", 7),
    "spaces_before_the_quote": ('  "a",7', "a", 7),
    "spaces_after_the_quote": ('"a" \t,7', "a", 7),
    "spaces_inside_the_ends": ('"  a ",7', "a", 7),
    "a_quoted_time": ('"a","7"', "a", 7),
    "an_unquoted_text": ("a b c , 7", "a b c", 7),
    "an_apostrophe": ("'Cause I'm leavin',7", "'Cause I'm leavin'", 7),
    "a_typographic_apostrophe": ("\u2019Cause I love you,7", "\u2019Cause I love you", 7),
    "typographic_quotes_inside_quotes": ('"\u201ca\u201d",7', "\u201ca\u201d", 7),
    "commas": ('"a, b,,c",7', "a, b,,c", 7),
    "doubled_quotes": ('"""a"" and """"",7', '"a" and ""', 7),
    "a_hash_inside_quotes": ('"# a",7', "# a", 7),
    "a_hash_after_a_newline": ('"a\n# b",7', "a\n# b", 7),
    "a_hash_after_the_start": ("a # b,7", "a # b", 7),
    "a_newline": ('"a\nb",7', "a\nb", 7),
    "a_windows_newline": ('"a\r\nb",7', "a\r\nb", 7),
    "an_old_newline": ('"a\rb",7', "a\rb", 7),
    "a_blank_row_inside": ('"a\n\n b",7', "a\n\n b", 7),
    "a_tab": ('"a\tb",7', "a\tb", 7),
    "a_number_as_text": ('"3",7', "3", 7),
    "emoji": (f'"{FAMILY}",7', FAMILY, 7),
    "right_to_left": (
        '"\u05e9\u05dc\u05d5\u05dd \u202bab\u202c",7',
        "\u05e9\u05dc\u05d5\u05dd \u202bab\u202c",
        7,
    ),
    "combining": ('"e\u0301",7', "e\u0301", 7),
    "zero_width": ('"a\u200bb\u200d",7', "a\u200bb\u200d", 7),
    "a_line_separator": ('"a\u2028b",7', "a\u2028b", 7),
    "a_very_long_text": (f'"{"la " * 60_000}la",7', "la " * 60_000 + "la", 7),
}


@pytest.mark.parametrize(("record", "text", "start"), GOOD_RECORDS.values(), ids=GOOD_RECORDS)
def test_a_text_is_read_as_written(record: str, text: str, start: float, folder: Path) -> None:
    assert read(record, folder) == (Line(text, start, 1),)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("0", 0),
        ("007", 7),
        ("12.", 12),
        (".5", 0.5),
        ("0.1", 0.1),
        ("86400", 86400),
        ("0:00", 0),
        ("1:02", 62),
        ("01:02", 62),
        ("1:02.3", 62.3),
        ("1:08.04", 68.04),  # the sum of floats is a neighbour
        ("75:59.999", 4559.999),
        ("1:00:00", 3600),
        ("1:02:03", 3723),
        ("10:02:03.45", 36123.45),
    ],
)
def test_a_time_is_seconds_or_a_clock_time(time: str, seconds: float, folder: Path) -> None:
    assert read(f'"a",{time}', folder)[0].start_seconds == seconds


@pytest.mark.parametrize(
    ("record", "take"),
    [
        ('"a",7', None),
        ('"a",7,', None),
        ('"a",7, ', None),
        ('"a",7,""', None),
        ('"a",7,0', 0),
        ('"a",7,12', 12),
        ("a , 7 , 12 ", 12),
        ('"a","7","12"', 12),
        ('"a",7,05', 5),
        ('"a",7,999999', 999999),
        (f'"a",7,{"0" * 5000}1', 1),
        ('"a, b",1:07.5,3', 3),
    ],
)
def test_a_third_column_is_the_take(record: str, take: int | None, folder: Path) -> None:
    (line,) = read(record, folder)
    assert line.take == take


def test_rows_with_and_without_a_take_may_be_mixed(folder: Path) -> None:
    lines = read('text,start,take\n"a",1,2\nb,2\n"c, d",3,\ne,4,0', folder)
    assert lines == (Line("a", 1, 2, 2), Line("b", 2, 3), Line("c, d", 3, 4), Line("e", 4, 5, 0))


def test_a_comma_in_a_start_makes_a_take(folder: Path) -> None:
    assert read('"a",1,5', folder) == (Line("a", 1, 1, take=5),)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_rows_are_those_of_the_file_with_any_newline(newline: str, folder: Path) -> None:
    rows = [
        "# a comment",
        "",
        "Text, START_seconds",
        '  # "one',
        '"one',
        'more",1',
        " \t",
        '"two",2',
        "#",
        "a,3",
    ]
    assert [line.row for line in read(newline.join(rows), folder)] == [5, 8, 10]


@pytest.mark.parametrize(
    "header",
    [
        "text,start",
        "text,start_seconds",
        "text,start,take",
        "text,start_seconds,take",
        '"TEXT" , "Start"',
        "#\n\nText,Start, Take",
    ],
)
def test_a_header_may_come_first(header: str, folder: Path) -> None:
    assert [line.text for line in read(f"{header}\na,1", folder)] == ["a"]


def test_a_byte_order_mark_is_no_part_of_the_first_text(folder: Path) -> None:
    assert read(b"\xef\xbb\xbf" + b'"a",1', folder) == read("\ufeffa,1", folder) == (Line("a", 1, 1),)


def test_the_last_row_needs_no_newline(folder: Path) -> None:
    assert read("a,1\nb,2", folder) == read("a,1\nb,2\n", folder) == read("a,1\nb,2\n\n\n", folder)


# Each: the file, the row at fault, and what the message says was found, was expected and is to be done.
BAD = {
    "latin_1_after_a_mark": (b"\xef\xbb\xbfa,1\n\xe9,2", 2, ["0xE9", "UTF-8 text", "save"]),
    "half_a_character": (b"a,1\rb,2\r\xf0\x9f", 3, ["0xF0", "UTF-8 text", "save"]),
    "an_image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 3, ["binary", "UTF-8 text", "save"]),
    "a_nul": ("a,1\nb\0,2", 2, ["NUL", "UTF-8 text", "save"]),
    "a_control_character": ('a,1\n"b\x0bc",2', 2, ["U+000B", "UTF-8 text", "save"]),
    "a_c1_control_character": ("a,1\n\nb\x85,2", 3, ["U+0085", "UTF-8 text", "save"]),
    "no_comma": ("a,1\nb 2", 2, ["no comma after 'b 2'", '"text",start_seconds', "write a comma"]),
    "a_text_only": ('"a"', 1, ["no comma after 'a'", '"text",start_seconds', "write a comma"]),
    "all_in_quotes": ('"a,1"', 1, ["no comma after 'a,1'", '"text",start_seconds', "write a comma"]),
    "no_time": ('"a",', 1, ["no start after 'a'", '"text",start_seconds', "when the line is sung"]),
    "no_time_but_spaces": ('"a",  \n"b",1', 1, ["no start", '"text",start_seconds', "when the line is sung"]),
    "a_quoted_empty_time": ('"a",""', 1, ["no start", '"text",start_seconds', "when the line is sung"]),
    "unclosed_at_the_end": ('a,1\n"b,2', 2, ["no closing quote", '"text",start_seconds', "close"]),
    "unclosed_before_a_row": (
        '"a,1\n"b",2',
        1,
        ["'b\",2' after the closing quote in row 2", "comma", "missing"],
    ),
    "a_typographic_closing_quote": (
        '"a\u201d,1',
        1,
        ["no closing quote", '"text",start_seconds', "straight"],
    ),
    "text_after_a_quote": ('"a" b,1', 1, ["'b,1' after the closing quote", "comma", "double the quotes"]),
    "undoubled_quotes": ('"say "no"",1', 1, ["after the closing quote", "comma", "double the quotes"]),
    "no_opening_quote": ('a",1', 1, ["a quote inside 'a\"'", '"text",start_seconds', "in quotes"]),
    "typographic_quotes": ("\u201ca, b\u201d,1", 1, ["typographic quote \u201c", "straight", "straight"]),
    "german_quotes": ("\u201ea\u201c,1", 1, ["typographic quote \u201e", "straight", "straight"]),
    "french_quotes": ("\u00ab a \u00bb,1", 1, ["typographic quote \u00ab", "straight", "straight"]),
    "an_extra_column": ('"a",1,2,3', 1, ["4 columns ('a,1,2,3')", "two", "three", "delete the extra"]),
    "two_decimal_commas": ('"a",1,5,2', 1, ["4 columns", "three with a take", "decimals with a point"]),
    "an_unquoted_comma": ("a,1\nb, c,2", 2, ["3 columns ('b,c,2')", "two", "a text with commas in quotes"]),
    "unquoted_commas": ("a, b, c,2", 1, ["4 columns ('a,b,c,2')", "two", "a text with commas in quotes"]),
    "an_unquoted_comma_and_a_number": ("a, 2,12.5", 1, ["the take '12.5'", "a text with commas in quotes"]),
    "a_word_for_a_time_and_a_take": ('"a",soon,2', 1, ["no time in the second", "two", "correct the time"]),
    "no_time_but_a_take": ('"a",,2', 1, ["no start after 'a'", '"text",start_seconds', "is sung"]),
    "a_negative_start_and_a_take": ("a,-1,2", 1, ["the negative start '-1'", "0 or more", "correct"]),
    "a_bad_time_and_a_take": ("a,1:60,2", 1, ["the start '1:60'", "below 60", "correct"]),
    "an_empty_text_and_a_take": ('"",1,2', 1, ["an empty text", '"text",start_seconds', "delete the row"]),
    "time_and_take_first": ('5,1,"a"', 1, ["the take 'a'", "a whole number", "correct"]),
    "time_first": ('5,"a"', 1, ["the time '5' first", '"text",start_seconds', "the text first"]),
    "time_first_and_a_take": ('12,"a",1', 1, ["the time '12' first", '"text",start_seconds', "text first"]),
    "clock_time_first": ("1:05,a, b", 1, ["the time '1:05' first", '"text",start_seconds', "the text first"]),
    "a_late_header": ("a,1\ntext,start", 2, ["'start'", "seconds such as 12.5", "correct"]),
    "a_late_header_with_a_take": ("a,1\ntext,start,take", 2, ["no time in the second", "two", "correct"]),
    "another_header": ("lyric,when", 1, ["'when'", "seconds such as 12.5", "correct"]),
    "falling": ("a,1\n\nb,3\nc,2.5", 4, ["the start 2.5 s", "after the 3.0 s of row 3", "sort"]),
    "equal": ("a,1\nb,1.0", 2, ["the start 1.0 s", "after the 1.0 s of row 1", "sort"]),
    "equal_as_clock_time": ("a,62.3\nb,1:02.3", 2, ["the start 62.3 s", "after the 62.3 s of row 1", "sort"]),
    "negative": ("a,-1", 1, ["the negative start '-1'", "0 or more", "correct"]),
    "negative_zero": ("a,-0.0", 1, ["the negative start '-0.0'", "0 or more", "correct"]),
    "negative_clock_time": ("a,-0:05", 1, ["the negative start '-0:05'", "0 or more", "correct"]),
    "a_minus_sign": ("a,\u22121", 1, ["the negative start '\u22121'", "0 or more", "correct"]),
    "a_number_as_text": ("5,-1", 1, ["the negative start '-1'", "0 or more", "correct"]),
}

NOT_TIMES = [
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "1e400",
    "1e3",
    "9" * 400,
    "9" * 5000,
    "0x10",
    "1_000",
    "+1",
    "12s",
]
NOT_TIMES += ["\u0661\u0662", "\uff11", "\u00b2", "1 2", ".", ":", "1:5", "1:60", "1:99", "1:60:00", "1:2:03"]
NOT_TIMES += ["1:02:60", "1:02:03:04", ":30", "1:", "1:-5", "1.5:00", "1\u00a0000", "1;5", "soon"]

NOT_TAKES = ["1.5", "1.0", "-1", "+1", "x", "take 2", "1e3", "1_0", "0x1", "1 2", "1:00", "1000000"]
NOT_TAKES += ["9" * 5000, "\u0661", "\uff11", "\u00b2", "\u22121", "#2"]

EMPTY_TEXTS = {
    "nothing": '"",1',
    "nothing_unquoted": ",1",
    "spaces": '"  ",1',
    "newlines": '"\n\r\n",1',
    "wide_spaces": '"\u00a0\u3000\u2028",1',
    "zero_width": '"\u200b\u200d\ufeff",1',
    "directions": '"\u202e \u2066",1',
    "variation_selectors": '"\ufe0f\U000e0100",1',
    "fillers": '"\u3164\u115f\uffa0\u034f",1',
    "blank_braille": '"\u2800",1',
}


@pytest.mark.parametrize(("content", "row", "parts"), BAD.values(), ids=BAD)
def test_a_bad_row_is_told_in_one_sentence(
    content: bytes | str, row: int, parts: list[str], folder: Path
) -> None:
    told = message(content, folder)
    assert_one_sentence(told)
    assert f"{NAME} row {row}: " in told
    assert [part for part in parts if part not in told] == [], told


@pytest.mark.parametrize("time", NOT_TIMES, ids=ascii)
def test_what_is_no_time_is_refused(time: str, folder: Path) -> None:
    told = message(f'"a",1\n"b",{time}', folder)
    assert_one_sentence(told)
    assert f"{NAME} row 2: found the start " in told
    assert "expected seconds such as 12.5 or a clock time such as 1:02.5" in told
    assert "below 60 after a colon" in told


@pytest.mark.parametrize("take", NOT_TAKES, ids=ascii)
def test_what_is_no_take_is_refused(take: str, folder: Path) -> None:
    told = message(f'"a",1\n"b",2,{take}', folder)
    assert_one_sentence(told)
    assert f"{NAME} row 2: found the take " in told
    assert "expected a whole number from 0 to 999999 (plain digits); correct or delete it" in told


@pytest.mark.parametrize("record", EMPTY_TEXTS.values(), ids=EMPTY_TEXTS)
def test_a_text_that_shows_nothing_is_empty(record: str, folder: Path) -> None:
    told = message(f"# first\n{record}", folder)
    assert_one_sentence(told)
    assert f'{NAME} row 2: found an empty text, expected a row "text",start_seconds; ' in told


@pytest.mark.parametrize(
    "content", ["", "\n \r\n", "# only\n# comments", "\ufeff", "text,start\n", "#x\ntext,start"]
)
def test_a_file_without_a_line_is_refused(content: str, folder: Path) -> None:
    told = message(content, folder)
    assert_one_sentence(told)
    assert f'{NAME}: found no line in it, expected at least a row "text",start_seconds; ' in told


def test_messages_repeat_a_text_shortened_and_on_one_line(folder: Path) -> None:
    told = message('"\u202e\n' + "la " * 1000 + '",soon\n', folder)
    assert_one_sentence(told)
    told = message('"\u202e\n' + "la " * 1000 + '",', folder)
    assert_one_sentence(told)
    assert r"'\u202e\nla la" in told


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert_path_is_told(tmp_path / "none.csv", "no such file")


def test_a_folder_is_told(tmp_path: Path) -> None:
    assert_path_is_told(tmp_path, "a folder")


def test_a_file_used_as_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_path_is_told(tmp_path / "file" / NAME, "cannot be read (Not a directory)")


@pytest.mark.parametrize("name", ["a\0b", "\ud800\u202e\n.csv", "x" * 5000])
def test_a_name_that_no_file_can_have_is_told(name: str) -> None:
    with pytest.raises(UserError) as raised:
        screenplay.read(Path(name))
    assert str(raised.value).isprintable()


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(
        path: Path, most: int | None = None
    ) -> bytes:  # file modes do not bind root, whom the tests may run as
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("songreel.ground.files.read_bytes", refuse)
    assert_path_is_told(tmp_path / NAME, "may not be read")


def assert_path_is_told(path: Path, found: str) -> None:
    with pytest.raises(UserError) as raised:
        screenplay.read(path)
    told = str(raised.value)
    assert_one_sentence(told)
    assert told.startswith(f"{path}: found ")
    assert found in told
    assert "expected a screenplay, a CSV file; " in told


def texts() -> st.SearchStrategy[str]:
    """Any text as a line holds it: visible, ends stripped, no control characters but tab and newlines."""
    characters = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\t\r\n,"# ')
    ends = st.text(characters, max_size=12)
    return st.builds(lambda before, after: f"{before}a{after}".strip(), ends, ends)


def starts() -> st.SearchStrategy[list[float]]:
    """Rising times that are written without an exponent."""
    time = st.integers(0, 10**6) | st.floats(1e-4, 1e6)
    return st.lists(time, min_size=1, max_size=8, unique=True).map(sorted)


@settings(deadline=None)  # an example writes a file, and a busy disk is no fault of the reader
@given(starts(), st.data(), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_any_texts_and_rising_times_are_read_as_csv_wrote_them(
    folder: Path, times: list[float], data: st.DataObject, newline: str, all_quoted: bool, marked: bool
) -> None:
    takes = st.just(()) | st.just(("",)) | st.tuples(st.integers(0, 999_999))
    rows = [(data.draw(texts()), time, *data.draw(takes)) for time in times]
    file = io.StringIO(newline="")
    quoting: Literal[1, 2] = csv.QUOTE_ALL if all_quoted else csv.QUOTE_NONNUMERIC
    csv.writer(file, lineterminator=newline, quoting=quoting).writerows(rows)
    content = file.getvalue().encode("utf-8-sig" if marked else "utf-8")
    expected = [(text, time, take[0] if take and take[0] != "" else None) for text, time, *take in rows]
    assert [(line.text, line.start_seconds, line.take) for line in read(content, folder)] == expected


@settings(deadline=None)
@given(st.binary() | st.text('"",#\n\r \t;:.-0159ea\u201c\ufeff', max_size=60).map(str.encode))
def test_any_bytes_are_lines_or_a_user_error(folder: Path, content: bytes) -> None:
    try:
        lines = read(content, folder)
    except UserError as error:
        assert_one_sentence(str(error))
        return
    starts = [line.start_seconds for line in lines]
    rows = [line.row for line in lines]
    assert lines and all(line.text.strip() == line.text != "" for line in lines)
    assert starts == sorted(set(starts)) and starts[0] >= 0
    assert all(line.take is None or 0 <= line.take <= 999_999 for line in lines)
    assert rows == sorted(set(rows)) and rows[0] >= 1
