"""Scores in a judge's replies."""

import pytest

from unipixel.evaluation.metrics.judge import (
    Verdict,
    parse_verdict,
    parse_verdict_leniently,
)

REPLY = """1. Subject Correspondence: 5
Explanation: the same dog, seen 3. times.
2. Appearance Description: 4
Explanation: brown: 2 of 3
3. Temporal Description:
3
4. Hallucination Detection: 0
"""


def test_a_reply_in_the_format_asked_for() -> None:
    verdict = parse_verdict(REPLY)
    assert verdict == Verdict(5, 4, 3, 0) and verdict.is_complete


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("1. **Subject Correspondence**: 5\n2. Appearance Description: 4", Verdict(None, 4, None, None)),
        ("1. Subject Correspondence: **5**", Verdict(None, None, None, None)),
        ("- Subject Correspondence: 5", Verdict(None, None, None, None)),
        ("1. subject correspondence: 5", Verdict(None, None, None, None)),
        ("1. Subject Correspondence: 5/5 3. Temporal Description: 2", Verdict(5, None, 2, None)),
        ("1. Subject Correspondence: 5.\n1. Subject Correspondence: 2.5", Verdict(2.5, None, None, None)),
        ("1. Subject Correspondence: 4.5.\n2. Appearance Description: 4", Verdict(None, None, None, None)),
        ("", Verdict(None, None, None, None)),
    ],
)
def test_other_replies(reply: str, verdict: Verdict) -> None:
    assert parse_verdict(reply) == verdict
    assert not parse_verdict(reply).is_complete


def test_an_explanation_that_ends_in_a_number_hides_what_follows() -> None:
    reply = REPLY.replace("2 of 3\n", "2 of 3.\n")
    assert parse_verdict(reply) == Verdict(5, 4, None, 0)
    assert parse_verdict_leniently(reply) == Verdict(5, 4, 3, 0)


def test_the_lenient_reading_sees_through_marks() -> None:
    reply = (
        "1. **Subject Correspondence**: 5\n- Appearance description: **4**\n**Temporal Description:** 2.5/5"
    )
    assert parse_verdict_leniently(reply) == Verdict(5, 4, 2.5, None)
    assert parse_verdict_leniently(REPLY) == parse_verdict(REPLY)


def test_scores_out_of_range_are_kept_and_seen() -> None:
    verdict = parse_verdict(REPLY.replace("Subject Correspondence: 5", "Subject Correspondence: 7"))
    assert verdict.subject == 7 and not verdict.is_complete
