"""The schedule that docs/performance.md shows is one that can be kept."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.schedule import GPUS, Line, picture, play, table

LINES = st.lists(st.builds(Line, st.floats(1, 100), st.floats(1, 10)), min_size=1, max_size=50)


@given(LINES, st.sampled_from(GPUS))
def test_a_schedule_is_neither_too_good_nor_worse_than_it_need_be(lines: list[Line], gpus: int) -> None:
    played = play(lines, gpus)
    work = sum(line.keyframes + line.clip for line in lines)
    assert played.seconds >= max(work / gpus, played.bound) - 1e-6
    # Until the last keyframes are begun no GPU is idle, and what comes then is a line and its clip.
    longest = max(line.keyframes for line in lines) + max(line.clip for line in lines)
    assert played.seconds <= work / gpus + longest + 1e-6
    assert 0 <= played.idle < 1


def test_one_gpu_does_all_the_work_and_many_wait_for_the_longest_line() -> None:
    lines = [Line(10, 1), Line(30, 2), Line(20, 3)]
    assert play(lines, 1).seconds == 66
    assert play(lines, 64).seconds == 33  # the third clip begins when the second line is there
    assert play(lines, 64).bound == 32
    assert play(lines, 2).seconds == 34


def test_more_gpus_are_never_slower_for_equal_lines() -> None:
    schedules = [play([Line(30, 2)] * 40, gpus) for gpus in GPUS]
    assert all(more.seconds <= fewer.seconds for fewer, more in pairwise(schedules))
    assert table(schedules).count("\n") == len(GPUS) + 1
    ElementTree.fromstring(picture({"40 lines": schedules}))
