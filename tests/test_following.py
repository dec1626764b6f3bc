"""How well pictures follow words, on embeddings made up so that every answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from songreel.jobs.scores import Judged, Score
from songreel.storyboard import following, weakest
from songreel.storyboard.following import Follows
from songreel.storyboard.outline import Outline, OutlineLine

X, Y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def judged(pictures: Sequence[Sequence[float]], words: Sequence[float], weight: float = 1.0) -> Judged:
    return Judged("judge", weight, np.array(pictures, np.float16), np.array(words, np.float16))


def score(*of: Judged) -> Score:
    return Score(np.zeros(5, np.float32), of)


def outline(*takes: int, screenplay: str = "song.csv") -> Outline:
    lines = tuple(OutlineLine(row=10 + at, take=take, keyframes=5) for at, take in enumerate(takes))
    return Outline("0" * 16, screenplay, (32, 32), lines)


def test_a_line_is_ranked_among_the_words_of_all_lines() -> None:
    leaning = (0.6, 0.8, 0.0)
    found = following.measured(
        [score(judged([X], X)), score(judged([Y], Y)), score(judged([leaning], X))], ["x", "y", "x too"]
    )
    assert found == [Follows(1.0, 1, 3), Follows(1.0, 1, 3), Follows(0.6001, 2, 3)]


def test_the_cosine_is_the_mean_over_pictures_and_by_weight_over_perceptors() -> None:
    one = score(judged([X, Y], X, weight=3), judged([Y, Y], X))
    assert following.measured([one], ["x"]) == [Follows(0.375, 1, 1)]


def test_words_that_are_sung_twice_count_once() -> None:
    found = following.measured([score(judged([X], X))] * 3, ["x", "x", "x"])
    assert found == [Follows(1.0, 1, 1)] * 3


def test_lines_that_were_not_measured_are_told_so_and_count_for_nobody() -> None:
    found = following.measured([None, score(judged([X], X)), score()], ["a", "b", "c"])
    assert found == [None, Follows(1.0, 1, 1), None]


def test_lines_that_others_have_looked_at_are_not_compared() -> None:
    other = Judged("another", 1.0, np.ones((1, 2), np.float16), np.ones(2, np.float16))
    assert [
        it and it.out_of for it in following.measured([score(other), score(judged([X], X))], ["a", "b"])
    ] == [1, 1]


@pytest.mark.parametrize(
    ("cosines", "least"),
    [
        ([0.3, 0.3, 0.3], -1.0),  # too few to say what is usual
        ([0.3, 0.3, 0.3, 0.1], 0.28),  # alike, so that the least distance counts
        ([0.2, 0.3, 0.4, 0.5, 0.6], 0.4 - 2.5 * 1.4826 * 0.1),
    ],
)
def test_far_below_is_by_the_median_and_the_deviation_from_it(cosines: list[float], least: float) -> None:
    assert following.far_below([Follows(cosine, 1, 9) for cosine in cosines]) == pytest.approx(least)


def test_a_weak_line_is_told_with_the_row_to_edit_and_the_take_that_is_free() -> None:
    words = ["a", "b", "a", "c"]
    follows = [Follows(0.3, 1, 3), Follows(0.2, 3, 3), Follows(0.3, 1, 3), Follows(0.3, 1, 3)]
    told = weakest.told(outline(0, 4, 1, 0), words, follows)
    assert told == [
        None,
        "its pictures are nearer to the words of 2 other lines than to its own; try take 5 in row 11 of"
        " song.csv, or plainer words.",
        None,
        None,
    ]


def test_a_take_that_another_line_of_the_same_words_has_is_not_free() -> None:
    follows = [Follows(0.1, 1, 2), Follows(0.4, 1, 2), Follows(0.4, 1, 2), Follows(0.4, 1, 2)]
    (first, *others) = weakest.told(outline(0, 1, 2, 0), ["a", "a", "a", "b"], follows)
    assert first and "far less" in first and "take 3 in row 10" in first
    assert others == [None] * 3


def test_lines_whose_file_has_no_takes_are_not_told_of_takes() -> None:
    follows = [Follows(0.1, 2, 2), Follows(0.4, 1, 2)]
    told = weakest.told(outline(0, 0, screenplay="song.lrc"), ["a", "b"], follows)
    assert told[0] == (
        "its pictures are nearer to the words of 1 other line than to its own; try plainer words in row 10 of"
        " song.lrc."
    )


def test_no_more_than_a_quarter_of_the_lines_is_marked_and_those_are_the_weakest() -> None:
    follows = [Follows(0.3, rank, 9) for rank in (5, 9, 2, 7, 1, 3, 2, 4)]
    told = weakest.told(outline(*[0] * 8), list("abcdefgh"), follows)
    assert [at for at, sentence in enumerate(told) if sentence] == [1, 3]
