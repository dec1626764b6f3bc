"""A screenplay that a spreadsheet saved is read as it is meant, or one sentence tells what is unclear."""

import re
from pathlib import Path

import pytest

from songreel.ground.errors import UserError
from songreel.planning import screenplay
from songreel.planning.screenplay import Line

NAME = "song.csv"


def read(content: bytes | str, folder: Path, told: list[str] | None = None) -> tuple[Line, ...]:
    path = folder / NAME
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return screenplay.read(path, ([] if told is None else told).append)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spreadsheet")


SONG = (
    Line("Down, by it", 0.5, 1),
    Line("You left your song", 63.25, 2, take=7),
    Line("On", 3600, 3),
)

SAVED = {
    "semicolons_and_decimal_commas": "Down, by it;0,5\r\nYou left your song;63,25;7\r\nOn;3600",
    "semicolons_after_quotes": '"Down, by it";0.5\n"You left your song";63.25;7\nOn;3600',
    "semicolons_in_empty_columns": "Down, by it;0,5;;\nYou left your song;1:03,25;7;\nOn;1:00:00;;\n;;;",
    "tabs": "Down, by it\t0.5\nYou left your song\t63.25\t7\nOn\t3600",
    "tabs_that_line_up": "Down, by it\t0,5\nYou left your song\t\t63,25\t7\nOn\t\t\t3600\t",
    "bars": "Down, by it | 0,5\nYou left your song | 63,25 | 7\nOn | 3600",
    "commas_in_quoted_times": '"Down, by it","0,5"\nYou left your song,"1:03,25",7\nOn,1:00:00,',
    "subtitle_times_in_quotes": '"Down, by it","00:00:00,500"\nYou left your song,"00:01:03,250",7\nOn,3600',
    "empty_columns_and_rows": '"Down, by it",0.5,,,\nYou left your song,63.25,7,,\nOn,3600,,,\n,,,,\n,,,,',
}


@pytest.mark.parametrize("content", SAVED.values(), ids=SAVED)
def test_columns_and_decimals_are_read_as_meant(content: str, folder: Path) -> None:
    told: list[str] = []
    assert read(content, folder, told) == SONG
    assert not told


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "cp1252",
        "cp1250",
        "mac_roman",
        "cp850",
    ],
)
def test_a_file_is_read_in_any_encoding_that_it_can_only_be_in(
    encoding: str, newline: str, folder: Path
) -> None:
    texts = ["Über den Fluß", "schöne Lieder, Café", "drüben"]
    rows = newline.join(f"{text};{n},5" for n, text in enumerate(texts))
    assert [line.text for line in read(rows.encode(encoding), folder)] == texts


def test_windows_own_quotes_and_dashes_are_read(folder: Path) -> None:
    text = "Don\u2019t \u2013 he said \u201cno\u201d\u2026 it\u2019s für dich"
    assert read(f'"{text}",0'.encode("cp1252"), folder)[0].text == text


def test_another_script_is_read_in_utf_16_without_a_mark(folder: Path) -> None:
    assert read("川のほとりで,0\n朝,4".encode("utf-16-le"), folder)[1] == Line("朝", 4, 2)


@pytest.mark.parametrize(
    "content",
    ["start,text\n1,a\n2:00,b", "Take;Start;Text\n;1;a\n;120;b\n", "take,text,start_seconds,\n,a,1\n,b,120"],
)
def test_a_header_says_which_column_is_which(content: str, folder: Path) -> None:
    assert read(content, folder) == (Line("a", 1, 2), Line("b", 120, 3))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_files_with_a_mark_each_may_be_put_into_one(newline: str, folder: Path) -> None:
    content = newline.join(["\ufeff\ufeffa,0", '\ufeff"b",120', '\ufeff"c\u200d\ufeff",121'])
    lines = (Line("a", 0, 1), Line("b", 120, 2), Line("c\u200d\ufeff", 121, 3))
    assert read(content, folder) == lines


def test_a_row_for_excel_names_the_separator(folder: Path) -> None:
    lines = read("sep=;\r\nchapter 1,5;0\nchapter 2,5;4", folder)
    assert lines == (Line("chapter 1,5", 0, 2), Line("chapter 2,5", 4, 3))


def test_subtitle_times_are_read_where_every_row_has_one_and_that_is_told(folder: Path) -> None:
    told: list[str] = []
    lines = read("text,start\na,00:00:00,500\nb,00:00:03,900\n", folder, told)
    assert lines == (Line("a", 0.5, 2), Line("b", 3.9, 3))
    assert told == [
        f"{folder / NAME}: the starts are read as times with a decimal comma, as subtitles have them:"
        " row 3 'b' starts at 3.9 s."
    ]


@pytest.mark.parametrize("content", ["a,0:00:03,5", "a,0:03,5\nb,0:04,50", "a,3,500", 'a,0:00:03,"500"'])
def test_a_whole_number_in_the_third_column_stays_a_take(content: str, folder: Path) -> None:
    assert read(content, folder)[-1].take in (5, 50, 500)


DAYS = "a,0\nb,0.0000462962962962963\nc,0.0000954861\nd,0.000138888888888889\n"


def test_fractions_of_a_day_are_read_as_times_and_that_is_told(folder: Path) -> None:
    told: list[str] = []
    assert [line.start_seconds for line in read(DAYS, folder, told)] == [0, 4, 8.25, 12]
    (message,) = told
    assert message.endswith(
        "read as fractions of a day, as a spreadsheet keeps times: row 4 'd' starts at 12.0 s."
    )


@pytest.mark.parametrize(
    "times",
    [
        ("0", "0.5"),
        ("0.123456789012", "0.2"),
        ("0", "0.0000462962962962963", "4"),
        ("0", "0.03333333333333333", "0.7"),
    ],
)
def test_seconds_are_no_fractions_of_a_day(times: tuple[str, ...], folder: Path) -> None:
    lines = read("".join(f"a,{time}\n" for time in times), folder)
    assert [line.start_seconds for line in lines] == [float(time) for time in times]


DOUBTS = {
    "ends": (
        "a,0,4\nb,4,8\nc,8,12",
        "the third column is read as takes, and looks like the ends of lines: row 1",
    ),
    "fractions": (
        "a,0:00:03,50\nb,0:00:07,25",
        "row 1 'a' starts at 0:00:03 and has take 50; write 0:00:03.50 if a fraction",
    ),
    "spaces": ("a 0,5\nb 3,6", "every text ends in a number: row 1 'a 0' starts at 5 s; if"),
    "colons": ("a: 0,5\nb: 3,6", "every text ends in a number: row 1 'a: 0' starts at 5 s; if"),
}


@pytest.mark.parametrize(("content", "words"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_read_as_it_stands_and_looks_like_something_else_is_told(
    content: str, words: str, folder: Path
) -> None:
    told: list[str] = []
    assert len(read(content, folder, told)) > 1
    assert len(told) == 1 and words in told[0] and told[0].endswith(".")


@pytest.mark.parametrize(
    "content", ["a,0,1\nb,4,2", "a,0:00:03,5\nb,0:00:07", "verse 1,0\nand on,4", '"a 0",5\n"b 3",6', "a 1,2"]
)
def test_nothing_is_told_of_a_plain_screenplay(content: str, folder: Path) -> None:
    told: list[str] = []
    read(content, folder, told)
    assert not told


# Each: the file, the row at fault, and what the message says was found, was expected and is to be done.
UNCLEAR = {
    "an_end_before_the_start": ("text,start,end\na,2,1", 2, ["the end '1'", "after the start at 2.0 s"]),
    "a_header_without_text": ("start,end,prompt\n0,4,a", 1, ["without the column 'text'", "the words text"]),
    "a_header_in_another_language": (
        "Zeile;Beginn\na;0\nb;4,5",
        1,
        ["'Zeile,Beginn' and no time", "its columns text and start", "call them text and start, or delete"],
    ),
    "a_header_in_other_words": ("time,lyrics\n0,a\n4.5,b", 1, ["'time,lyrics'", "start and text", "delete"]),
    "a_column_of_ones_own": ("start,text,who\n0,a,me", 1, ["the column 'who'", "text, start", "delete it"]),
    "two_columns_for_starts": ("text,start,start_seconds\na,1,2", 1, ["'start' twice", "delete one"]),
    "more_columns_than_the_header": ("start,text\n1,a,b", 2, ["3 columns ('1,a,b')", "the 2", "in quotes"]),
    "a_semicolon_and_no_time": ("a;0,5\nb;soon\nc;3,5", 2, ["the start 'soon'", "seconds such as"]),
    "separated_in_two_ways": ("a;0,5\nb,7", 1, ["'a;0'", "start at '0,5'", "alike"]),
    "a_space_for_thousands": ("a;1\u00a0234,5\nb;1\u00a0239,5", 1, ["to start at '1\\xa0234,5'", "separate"]),
    "wide_semicolons": ("a\uff1b0,5\nb\uff1b3,6", 1, ["start at '0,5'", "alike"]),
    "a_semicolon_in_a_time": ("a,0:00:03;5", 1, ["start at '0:00:03;5'", "in quotes"]),
    "two_decimal_marks": ("a;0,5\nb;1.5", 2, ["'1.5', but '0,5' in row 1", "one decimal mark", "a point"]),
    "thousands_or_decimals": ('a,"1,250"\nb,"2,500"', 1, ["'1,250'", "for decimals or for thousands"]),
    "thousands_after_tabs": ("a\t0\nb\t1,250", 2, ["'1,250'", "for decimals or for thousands"]),
    "thousands_and_decimals": ("a;0\nb;1.250,5", 2, ["the start '1.250,5'", "seconds such as", "correct"]),
    "subtitle_times_or_takes": (
        "a,00:00:00\nb,00:00:03,900",
        2,
        ["'00:00:03,900'", "the take 900", "write the start as 00:00:03.900, or the take in quotes"],
    ),
    "clock_times_or_takes": ("a,0:01,500\nb,0:03,900", 1, ["'0:01,500'", "the take 500", "0:01.500"]),
    "only_a_space": ("a 0.5", 1, ["no comma after 'a 0.5'", "write a comma"]),
    "rounded_scientifically": ("a,0\nb,4.63E-05", 2, ["the start '4.63E-05'", "seconds such as"]),
    "half_of_utf_16": ('"a",1'.encode("utf-16") + b"x", 1, ["not UTF-16", "save"]),
    "signs_of_a_code_page": (b"a,0\n\xa8\xa8,1", 2, ["0xA8", "UTF-8 text", "save"]),
    "western_or_central_europe": (
        b'"a",1\r\n"b",2\r\n"ma\xf1ana",3',
        3,
        ["0xF1", "may mean '\"mañana\",3' or '\"mańana\",3'", "UTF-8 text", "save"],
    ),
    "latin_or_cyrillic": (b"\xe9,0", 1, ["0xE9", "may mean 'é,0' or 'й,0'", "save"]),
    "utf_8_with_a_broken_byte": ("é,0\n".encode() + b"\xe9,1", 2, ["0xE9", "UTF-8 text", "save"]),
}


@pytest.mark.parametrize(("content", "row", "parts"), UNCLEAR.values(), ids=UNCLEAR)
def test_what_may_mean_two_things_is_told_in_one_sentence(
    content: bytes | str, row: int, parts: list[str], folder: Path
) -> None:
    with pytest.raises(UserError) as raised:
        read(content, folder)
    told = str(raised.value)
    assert told.isprintable() and len(told) < 400
    assert re.fullmatch(r".+: found .+, expected .+; .+[^.]", told)
    assert f"{NAME} row {row}: " in told
    assert [part for part in parts if part not in told] == [], told
