"""How a screenplay's file says its columns and times: what separates them, their order, the decimal mark.

What may mean two things is refused; what is read in an unusual way, or may be a mistake, is told.
"""

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from songreel.ground.errors import UserError
from songreel.planning import times
from songreel.planning.rows import EXPECTED, SEPARATORS, Record, on_one_line, records, shown

Report = Callable[[str], None]

_STARTS = ("start", "start_seconds")
_SEPARATOR_ROW = re.compile(r"sep=([,;\t|])[^\S\r\n]*(?=[\r\n]|\Z)", re.IGNORECASE)  # for Excel
_MILLISECONDS = re.compile(r"[0-9]{3}")
# A text that ends in what may be a time of another column, or a part of one.
_ENDS_IN_TIME = re.compile(r"[;\t|\uff1b\uff0c]\s*([0-9][0-9:.\s\u2019']*)$")
_ENDS_IN_CLOCK = re.compile(r"[,;\t|]\s*([0-9]+(?::[0-9.,]+)+)$")
_NO_DIGIT = re.compile(r"[^\d.:]+")
_ENDS_IN_NUMBER = re.compile(r"[\s:]([0-9]+)$")


def separator(text: str, path: Path) -> tuple[str, str]:
    """What stands between a file's columns, by which most of its rows have a time, and the text to be read.

    Where a comma would do as well as another, as in `words;0,5`, it is a decimal mark.
    """
    if named := _SEPARATOR_ROW.match(text):
        return named[1], text[: named.start()] + "#" + text[named.end() :]
    candidates = [separator for separator in SEPARATORS if separator in text and separator != ","]
    timed = {separator: _count_timed(text, path, separator) for separator in [*candidates, ","]}
    return max(timed, key=lambda separator: timed[separator]) if any(timed.values()) else ",", text


def _count_timed(text: str, path: Path, separator: str) -> int:
    """How many rows have a time in one of their first two columns, if most have; up to the first bad one."""
    timed: list[bool] = []
    with contextlib.suppress(UserError):
        for record in records(text, path, separator):
            seconds = map(times.seconds, record.fields[:2])
            timed.append(len(record.fields) > 1 and any(time is not None for time in seconds))
    return sum(timed) if 2 * sum(timed) >= len(timed) else 0


def without_empty_end(record: Record) -> Record:
    """A record without the empty columns on its right that a spreadsheet has saved."""
    count = len(record.fields)
    while count > 3 and not record.fields[count - 1]:
        count -= 1
    return replace(record, fields=record.fields[:count], quoted=record.quoted[:count])


def in_order(records: Sequence[Record]) -> list[Record]:
    """The records as text, start and perhaps take, without a header, which may say another order."""
    if not records:
        return []
    if not (order := _header(records[0])):
        _check_is_no_header(records)
        return list(records)
    if order == list(range(len(order))):
        return list(records[1:])
    return [_ordered(record, order) for record in records[1:]]


def _header(record: Record) -> list[int] | None:
    """Where a header says that text, start and take stand; None where the record is no header.

    Raises UserError where it names other columns, too.
    """
    names = [field.lower() for field in record.fields]
    while names and not names[-1]:
        names.pop()
    kinds = ["start" if name in _STARTS else name for name in names]
    if not {"text", "start"} <= set(kinds):
        return None
    for at, kind in enumerate(kinds):
        if kind not in ("text", "start", "take") or kinds.index(kind) != at:
            remedy = (
                "delete it, since a line lasts until the next one starts" if kind == "end" else "delete it"
            )
            raise record.place.error(
                f"the column {shown(names[at])}", "the columns text, start and perhaps take", remedy
            )
    return [kinds.index(kind) for kind in ("text", "start", "take") if kind in kinds]


def _check_is_no_header(records: Sequence[Record]) -> None:
    """Refuse a first row of words alone, where all others have a time: a header in other words."""
    first, others = records[0], records[1:]
    timed = {at for at in (0, 1) if others and all(_is_timed(row, at) for row in others)}
    if timed and len(first.fields) > 1 and all(map(_NO_DIGIT.fullmatch, first.fields)):
        columns = "start and text" if timed == {0} else "text and start"
        raise first.place.error(
            f"{shown(','.join(first.fields))} and no time, but times in all other rows",
            f"a line, or a header that names its columns {columns}",
            f"call them {columns}, or delete the row",
        )


def _is_timed(row: Record, at: int) -> bool:
    return len(row.fields) > 1 and times.seconds(row.fields[at]) is not None


def _ordered(record: Record, order: list[int]) -> Record:
    if len(record.fields) > len(order):
        raise record.place.error(
            f"{len(record.fields)} columns ({shown(','.join(record.fields))})",
            f"the {len(order)} of the header",
            "put a text with commas in quotes",
        )
    fields = (*record.fields, "", "")
    quoted = (*record.quoted, False, False)
    return replace(record, fields=tuple(fields[at] for at in order), quoted=tuple(quoted[at] for at in order))


def as_subtitles(rows: list[Record], report: Report) -> list[Record]:
    """The rows with times such as `0:00:03,500` in one column, where each has one, as subtitles do.

    Raises UserError where that may be meant, but so may takes.
    """
    forms = [_subtitle_form(row) for row in rows]
    if not rows or not any(forms) or (not all(forms) and "h:mm:ss" not in forms):
        return rows
    if set(forms) != {"h:mm:ss"}:
        row = rows[next(at for at, form in enumerate(forms) if form)]
        time, take = row.fields[1:]
        raise row.place.error(
            f"{shown(f'{time},{take}')}, a start with a decimal comma or with the take {take}",
            "one or the other",
            f"write the start as {time}.{take}, or the take in quotes",
        )
    joined = [
        replace(row, fields=(row.fields[0], f"{row.fields[1]}.{row.fields[2]}"), quoted=row.quoted[:2])
        for row in rows
    ]
    last = times.seconds(joined[-1].fields[1])
    if last is not None:  # else it is refused in the end
        report_reading(joined[-1], last, "times with a decimal comma, as subtitles have them", report)
    return joined


def _subtitle_form(row: Record) -> str:
    if len(row.fields) != 3 or any(row.quoted[1:]) or not _MILLISECONDS.fullmatch(row.fields[2]):
        return ""
    return times.whole_clock(row.fields[1])


def report_reading(last: Record, start_seconds: float, what: str, report: Report) -> None:
    """Tell as what the starts are read, with the last one for an example."""
    example = f"row {last.place.row} {shown(last.fields[0])} starts at {start_seconds} s"
    report(f"{on_one_line(str(last.place.path))}: the starts are read as {what}: {example}.")


def check_text(row: Record, separator: str) -> None:
    """Refuse a text that ends in what may be its start, as in a row that is separated otherwise."""
    text, second = row.fields[:2]
    pattern = _ENDS_IN_TIME if separator == "," else _ENDS_IN_CLOCK
    if not row.quoted[0] and (time := pattern.search(text)):
        raise row.place.error(
            f"{shown(text)}, to end so or to start at {shown(f'{time[1]}{separator}{second}')}",
            EXPECTED,
            "put the text in quotes, or separate all rows alike",
        )


def report_doubts(rows: Sequence[Record], separator: str, report: Report) -> None:
    """Tell where all rows are good as they are read, and yet look as if something else was meant."""
    path, first = on_one_line(str(rows[0].place.path)), rows[0]
    text, start, take = (*first.fields, "")[:3]
    row = f"row {first.place.row} {shown(text)}"
    if len(rows) < 2:
        return
    if _have_ends(rows):
        report(
            f"{path}: the third column is read as takes, and looks like the ends of lines: {row} has take"
            f" {take}; delete the column if it is, since a line lasts until the next one starts."
        )
    elif all(len(row.fields) == 3 and row.fields[2] and times.whole_clock(row.fields[1]) for row in rows):
        report(
            f"{path}: the third column is read as takes: {row} starts at {start} and has take {take}; write"
            f" {start}.{take} if a fraction of a second is meant."
        )
    elif separator == "," and all(map(_may_be_split, rows)):
        report(
            f"{path}: every text ends in a number: {row} starts at {start} s; if the number is a part of the"
            f" start, write a comma before it and its decimals with a point."
        )


def _have_ends(rows: Sequence[Record]) -> bool:
    """Whether each row has a third column that is the next one's start."""
    thirds = [times.seconds(row.fields[2]) if len(row.fields) == 3 else None for row in rows]
    return None not in thirds and thirds[:-1] == [times.seconds(row.fields[1]) for row in rows[1:]]


def _may_be_split(row: Record) -> bool:
    """Whether a row is as `words 0,5`, of which the text is `words 0`."""
    return not row.quoted[0] and row.fields[1].isdigit() and bool(_ENDS_IN_NUMBER.search(row.fields[0]))


def check_marks(rows: Sequence[Record], separator: str) -> None:
    """Refuse times of which it cannot be told whether a comma or a point is their decimal mark."""
    marked = [row for row in rows if times.mark(row.fields[1]) and times.seconds(row.fields[1]) is not None]
    for row in marked:
        first, time = marked[0].fields[1], row.fields[1]
        if times.mark(time) != times.mark(first):
            raise row.place.error(
                f"the start {shown(time)}, but {shown(first)} in row {marked[0].place.row}",
                "one decimal mark in the whole file",
                "write all decimals with a point",
            )
    if separator != ";" and marked and all(times.is_grouped(row.fields[1]) for row in marked):
        raise marked[0].place.error(
            f"the start {shown(marked[0].fields[1])}, with a comma for decimals or for thousands",
            "seconds such as 12.5",
            "write decimals with a point, and thousands without a comma",
        )
