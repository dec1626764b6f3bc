"""Numbers that change while a line is sung: keys, expressions, waves; and what is refused in a sentence."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.ground.errors import UserError
from songreel.planning import curves
from songreel.planning.curves import Beats, Moment

WHAT = "song.csv row 3, column zoom"


def at(text: str, t: float, beats: Beats | None = None, begins: float = 10.0, **sound: float) -> float:
    """A curve's value `t` seconds into a line that begins 10 seconds into the song."""
    moment = Moment(t, begins + t, 2, sound, beats, Fraction(60))
    return curves.parse(text, WHAT).at(moment)


def refusal(text: str, t: float = 0.0) -> str:
    with pytest.raises(UserError) as caught:
        at(text, t)
    message = str(caught.value)
    assert message.startswith(WHAT) and "; " in message and message.endswith(".") and "\n" not in message
    return message


# Values


def test_a_number_and_an_expression_hold_for_the_whole_line() -> None:
    assert at("1.05", 3) == 1.05 and at(" -2 ", 0) == -2
    assert at("t + 10*n + 100*T", 2) == 2 + 20 + 1200
    assert at("1 + 0.3*low if low > onset else 7", 0, low=0.5, onset=0.1) == pytest.approx(1.15)
    assert at("clip(t, 1, 2) + min(t, 3) + max(t, 9) + abs(-t) + 2**3 + 7 % 4", 5) == 2 + 3 + 9 + 5 + 8 + 3


def test_keys_are_joined_by_straight_lines_or_softly_and_hold_before_and_after() -> None:
    text = "1s:(1), 3s:(2), 5s:(ease(4))"
    assert [at(text, t) for t in (0, 1, 2, 3, 4, 5, 9)] == [1, 1, 1.5, 2, 3, 4, 4]
    assert at(text, 3.5) == pytest.approx(2 + 2 * (0.25**2 * (3 - 0.5)))
    assert at("0s: 1, 2s: ((1 + 2) * 3),", 1) == 5  # brackets nest, and may be missing


def test_keys_are_told_in_seconds_frames_and_beats_of_the_line() -> None:
    beats = Beats.steady(120, 0.1)  # a beat each half second
    text = "0:(0), 30f:(1), 4b:(2)"
    assert [at(text, t, beats) for t in (0.25, 0.5, 1.25, 2)] == pytest.approx([0.5, 1, 1.5, 2])
    assert at("8b:(1), 1s:(0)", 2.5, beats) == pytest.approx(0.5)  # by when they are, not by their order
    assert at("1 if t < 2b else 2", 0.99, beats) == 1 and at("1 if t < 2b else 2", 1.01, beats) == 2


def test_waves_have_the_period_height_and_centre_that_they_are_told() -> None:
    quarters = [0.0, 0.5, 1.0, 1.5]  # of a period of two seconds
    told = {
        "sin(p=2, a=3, c=1)": [1, 4, 1, -2],
        "cos(p=2s, a=3, c=1)": [4, 1, -2, 1],
        "sin(p=120f, o=0.5)": [1, 0, -1, 0],
        "tri(p=2, a=3, c=1)": [1, 4, 1, -2],
        "saw(p=2, a=4)": [0, 1, 2, 3],
        "sq(p=2, a=2, c=1)": [3, 3, -1, -1],
        "pulse(p=2, a=2, c=1)": [3, 1, 1, 1],
        "pulse(p=2, a=2, pw=1.2)": [2, 2, 2, 0],
        "sin(3*t)": [math.sin(3 * t) for t in quarters],
    }
    for text, values in told.items():
        assert [at(text, t) for t in quarters] == pytest.approx(values, abs=1e-9), text


def test_a_wave_in_beats_follows_the_beats_of_the_song() -> None:
    beats = Beats.of([10.0, 10.5, 11.5, 12.0])  # not at a steady tempo
    assert beats is not None
    heard = [at("saw(p=2b)", t, beats) for t in (0, 0.25, 0.5, 1.0, 1.5, 1.75)]
    assert heard == pytest.approx([0, 0.25, 0.5, 0.75, 0, 0.25])
    assert at("saw(p=2b, o=1b)", 0, beats) == pytest.approx(0.5)
    assert at("saw(p=2b)", 0.1, beats, begins=10.4) == pytest.approx(
        0.5
    )  # on the song's beats, not the line's


def test_a_ramp_goes_from_one_value_to_another_in_its_time_and_stays() -> None:
    text = "bez(from=1, to=3, in=2s)"
    assert [at(text, t) for t in (0, 1, 2, 5)] == pytest.approx([1, 2, 3, 3])
    assert at("bez(0.25, 0.25, 0.75, 0.75, in=2)", 0.6) == pytest.approx(0.3)  # a straight line


@given(st.lists(st.floats(0.1, 3), min_size=1, max_size=9), st.floats(-20, 60))
@settings(max_examples=50, deadline=None)
def test_beats_and_seconds_are_each_others_inverse(gaps: list[float], seconds: float) -> None:
    times = [1.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    beats = Beats.of(times)
    assert beats is not None
    assert beats.time(beats.at(seconds)) == pytest.approx(seconds, abs=1e-6)
    assert [beats.at(time) for time in times] == pytest.approx(list(range(len(times))))


def test_one_beat_alone_tells_no_tempo() -> None:
    assert Beats.of([]) is None and Beats.of([1.0]) is None


# What it depends on


def test_a_curve_knows_what_it_listens_to() -> None:
    curve = curves.parse("0s:(1 + low), 2s:(onset*min(amp, 1))", WHAT)
    assert curve.listens == {"low", "onset", "amp"} and not curve.counts_beats
    assert not curves.parse("1 + sin(p=2, a=t)", WHAT).listens
    for text in ("sin(p=2b)", "0b:(1), 4b:(2)", "t + 1b"):
        assert curves.parse(text, WHAT).counts_beats, text


def test_beats_and_sounds_that_nothing_tells_are_refused() -> None:
    assert "tempo" in refusal("sin(p=2b)") and "tempo" in refusal("0b:(1), 4b:(2)")
    assert "low" in refusal("1 + low")


# What is refused


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("__import__('os').system('x')", "__import__"),
        ("().__class__", "__class__"),
        ("t.real", "an attribute ('t.real')"),
        ("sin.__globals__", "an attribute"),
        ("t[0]", "an index"),
        ("'a' * 9", "a text"),
        ("f'{t}'", "a text"),
        ("[x for x in t]", "a comprehension"),
        ("(lambda: 1)()", "a lambda"),
        ("(x := 1)", "an assignment"),
        ("t if t else __builtins__", "__builtins__"),
        ("open", "'open'"),
        ("eval(1)", "'eval'"),
        ("1 << 9", "LShift"),
        ("True", "'True'"),
        ("1j", "'1j'"),
        ("lo * 2", "write low instead"),
        ("sine(p=1)", "write sin instead"),
        ("sin(q=1)", "sin(x, p, a, o, c)"),
        ("sin(*t)", "sin(x, p, a, o, c)"),
        ("tri(1)", "tri(p, a, o, c)"),
        ("min(1)", "at least two numbers"),
        ("ease(1)", "ease around a key's value"),
        ("1 + ease(2)", "ease around a key's value"),
        ("2 **", "'2 **'"),
        ("", "nothing"),
        ("0s:(1), 2s:(1", "a bracket"),
        ("3:(1)", "the key '3'"),
        ("3q:(1)", "the key '3q'"),
        ("0s:(1), 3s:()", "key 3s"),
        ("0s:(1), 2s:(nonsense)", "key 2s: found 'nonsense'"),
        ("1s:(1), 1s:(2)", "the key 1s twice"),
        ("t=3", "'t=3'"),
        ("-" * 99 + "1", "more than 40 operations"),
        ("9" * 5000, "characters"),
        ("1e999", "a number too large"),
        ("9" * 400, "a number too large"),
    ],
)
def test_what_is_no_curve_is_refused_by_name(text: str, named: str) -> None:
    assert named in refusal(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1/(t - 2)", "a division by zero at 2.000 s"),
        ("1e6*t", "2e+06 at 2.000 s"),
        ("9**9**9", "a number too large at 2.000 s"),
        ("(-t)**0.5", "no real number at 2.000 s"),
        ("1e6**50*1e6**50 - 1e6**50*1e6**50", "nan at 2.000 s"),
        ("sin(p=2 - t)", "a period of 0 at 2.000 s"),
    ],
)
def test_a_value_that_is_none_is_refused_with_its_time(text: str, found: str) -> None:
    curves.parse(text, WHAT)
    assert found in refusal(text, 2.0)


@given(st.text("0123456789.,:()+-*/ sfbtTnlowsinea=_'[]{}<>", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_number_or_one_sentence(text: str) -> None:
    try:
        value = curves.parse(text, WHAT).at(Moment(1.5, 2.5, 1, {}, Beats.steady(100)))
    except UserError as error:
        assert str(error).startswith(WHAT) and "\n" not in str(error)
    else:
        assert math.isfinite(value)
