"""What the film's clock promises: every line on its absolute frame, every frame in one line."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songreel.planning.screenplay import Line
from songreel.planning.timeline import end_seconds, moved, shots, silent, too_short

RATES = st.sampled_from([1, 12, 24, 25, 30, 48, 60, 120])
STARTS = st.lists(
    st.floats(0, 7200, allow_nan=False) | st.integers(0, 7200).map(float),
    min_size=1,
    max_size=30,
    unique=True,
).map(sorted)


def lines(*starts: float) -> list[Line]:
    return [Line(f"line {row}", start, row) for row, start in enumerate(starts, 1)]


def spans(starts: list[float], rate: int, end: float) -> list[tuple[int, int]]:
    """First frame and frame count of every shot."""
    return [(shot.first_frame, shot.frames) for shot in shots(lines(*starts), rate, end)]


@given(STARTS, RATES, st.floats(0, 60, allow_nan=False))
def test_the_shots_fill_the_film_from_its_first_frame_to_its_end(
    starts: list[float], rate: int, tail: float
) -> None:
    end = starts[-1] + tail
    at = 0
    for first, frames in spans(starts, rate, end):
        assert first == at
        assert frames > 0
        at += frames
    assert at == round(end * rate)


@given(STARTS, RATES, st.floats(1, 60, allow_nan=False))
def test_every_line_but_the_first_starts_on_its_own_absolute_frame(
    starts: list[float], rate: int, tail: float
) -> None:
    found = {shot.line.row: shot for shot in shots(lines(*starts), rate, starts[-1] + tail)}
    for row, shot in found.items():
        assert shot.first_frame == (round(starts[row - 1] * rate) if row > 1 else 0)
        assert abs(shot.first_frame - Fraction(starts[row - 1]) * rate) <= Fraction(1001, 2000) or row == 1


@given(STARTS, RATES, st.floats(1, 60, allow_nan=False))
def test_only_lines_that_are_too_short_for_a_frame_are_left_out(
    starts: list[float], rate: int, tail: float
) -> None:
    end = starts[-1] + tail
    shown = {shot.line.row for shot in shots(lines(*starts), rate, end)}
    bounds = [0, *(round(start * rate) for start in starts[1:]), round(end * rate)]
    assert shown == {row for row in range(1, len(bounds)) if bounds[row] > bounds[row - 1]}


@given(STARTS, RATES, st.integers(0, 6000))
def test_inserting_a_line_moves_no_other(starts: list[float], rate: int, place: int) -> None:
    def firsts(starts: list[float]) -> dict[float, int]:
        return {shot.line.start_seconds: shot.first_frame for shot in shots(lines(*starts), rate, 8000)}

    before, after = firsts(starts), firsts(sorted({*starts, starts[0] + place + 0.5}))
    assert {start: after[start] for start in before if start in after} == {
        start: frame for start, frame in before.items() if start in after
    }


def test_the_last_frame_of_an_hour_is_as_exact_as_the_first() -> None:
    starts = [n / 3 for n in range(3 * 3600)]  # a third of a second has no exact float
    for first, shot in enumerate(shots(lines(*starts), 60, 3600)):
        assert (shot.first_frame, shot.frames) == (20 * first, 20)


def test_frames_of_odd_lengths_do_not_accumulate() -> None:
    starts = [n * 0.7123 for n in range(5000)]
    found = shots(lines(*starts), 30, 5000 * 0.7123)
    assert [shot.first_frame for shot in found] == [round(n * 0.7123 * 30) for n in range(5000)]
    assert found[-1].first_frame + found[-1].frames == round(5000 * 0.7123 * 30)


def test_the_first_line_is_there_from_time_0() -> None:
    assert spans([12.5, 20], 30, 25) == [(0, 600), (600, 150)]


def test_a_line_keeps_its_own_times() -> None:
    (shot, last) = shots(lines(12.5, 20), 30, 25)
    assert (shot.line.start_seconds, shot.end_seconds) == (12.5, 20)
    assert (last.line.start_seconds, last.end_seconds) == (20, 25)


def test_a_line_without_a_frame_is_left_out_and_the_rest_stay() -> None:
    assert spans([0, 1, 1.001, 2], 30, 3) == [(0, 30), (30, 30), (60, 30)]
    assert [shot.line.row for shot in shots(lines(0, 1, 1.001, 2), 30, 3)] == [1, 3, 4]


def test_an_offset_moves_every_line_by_decimals() -> None:
    assert [line.start_seconds for line in moved(lines(0.1, 12.3, 20), 0.2)[1]] == [0.3, 12.5, 20.2]
    assert [line.start_seconds for line in moved(lines(0.1, 12.3), -0.1)[1]] == [0, 12.2]
    assert moved(lines(0.1, 2), 0) == ([], lines(0.1, 2))


def test_lines_cut_off_with_the_songs_beginning_are_left_out_and_one_cut_in_two_is_sung_from_0() -> None:
    over, left = moved(lines(0, 4, 8, 12), -6)
    assert [line.row for line in over] == [1]
    found = shots(left, 30, 10)
    assert [(shot.line.row, shot.line.start_seconds, shot.end_seconds) for shot in found] == [
        (2, 0, 2),
        (3, 2, 6),
        (4, 6, 10),
    ]
    assert [(shot.first_frame, shot.frames) for shot in found] == [(0, 60), (60, 120), (180, 120)]


def test_a_film_that_an_offset_ends_before_it_begins_has_no_shots() -> None:
    over, left = moved(lines(0, 4), -10)
    assert (len(over), shots(left, 30, -2)) == (1, ())


def test_an_end_marker_is_not_shown() -> None:
    assert [shot.line.row for shot in shots(lines(0, 4, 8), 30, 8)] == [1, 2]


def test_a_film_without_a_second_has_no_shots() -> None:
    assert shots(lines(0), 30, 0) == ()


@pytest.mark.parametrize(
    ("tail", "audio", "expected"),
    [
        (4, None, 14),  # no audio: the tail after the last line
        (4, 60, 60),  # the audio's end
        (4, 10.5, 10.5),  # even soon after the last line
        (4, 10, 14),  # the audio ends before the last line can be shown
        (4, 3, 14),
        (0, None, 10),  # an end marker
        (0, 60, 10),
        (0.5, None, 10.5),
    ],
)
def test_the_film_ends_with_the_audio_or_the_tail(tail: float, audio: float | None, expected: float) -> None:
    assert end_seconds(lines(0, 10), tail, audio) == expected


def test_lines_too_short_for_a_frame_are_named_with_their_words() -> None:
    song = [Line("a", 0, 1), Line("so short", 4, 3), Line("b", 4.001, 4), Line("c", 8, 5)]
    told = too_short(song, shots(song, 30, 12), tail=4) or ""
    assert told.startswith("1 line is shorter than a frame") and "row 3 'so short';" in told
    assert too_short(song, shots(song, 1000, 12), tail=4) is None


def test_many_lines_too_short_for_a_frame_are_counted() -> None:
    song = [Line(f"line {n}", n * 1e-5, n + 1) for n in range(151)]
    told = too_short(song, shots(song, 30, 4), tail=4) or ""
    assert told.startswith("150 lines are") and "row 100 'line 99' and 50 more;" in told
    assert "fractions of a day" in told


def test_an_end_marker_is_not_told_as_too_short() -> None:
    song = [Line("a", 0, 1), Line("end", 4, 2)]
    assert too_short(song, shots(song, 30, 4), tail=0) is None


def test_lines_that_begin_after_the_sounds_end_are_named_with_their_words() -> None:
    song = lines(0, 4, 8)
    assert silent(shots(song, 30, 12), 8.001) is None
    assert silent(shots(song, 30, 12), 8) == (
        "1 line begins after the sound's end at 8.000 s, and so in silence: row 3 'line 3'; correct the"
        " starts, or see whether the sound is whole."
    )
    assert "2 lines begin after" in (silent(shots(song, 30, 12), 3) or "")
    assert silent(shots(song, 30, 8), 8) is None, "a row that only marks the end"
