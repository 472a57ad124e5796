from __future__ import annotations

import time

import pytest

from llmops_sidecars.contract import Action, ContractError, Policy, Topic, TopicsRule
from llmops_sidecars.guard.policy import compile_policy
from llmops_sidecars.guard.rules.finding import Size
from llmops_sidecars.guard.verdict import measure

POLITICS = Topic(
    "politics",
    (
        "who should I vote for in the election",
        "what do you think about the president",
        "is this party better than the other party",
        "the government's new tax law",
    ),
    ("election", "prime minister", "выборы", "选举"),
)
MEDICINE = Topic(
    "medicine",
    (
        "which medicine should I take for a headache",
        "is this dose safe for my child",
        "what illness do I have with these symptoms",
    ),
)
ORDERS = Topic(
    "orders",
    (
        "where is my order",
        "I want to return a product and get a refund",
        "change the delivery address of my order",
        "how much does shipping cost",
        "cancel my subscription",
        "Wo ist meine Bestellung?",
        "Ich möchte ein Produkt zurückgeben",
    ),
    ("invoice", "refund"),
)


def found(rule: TopicsRule, *said: str) -> list[str]:
    """What is found in a request with these messages of the user."""
    return [
        one.kind for one in measure(Size(len(said), said, said), compile_policy(Policy(input=(rule,))).input).places
    ]


DENIED = TopicsRule(denied=(POLITICS, MEDICINE))
ALLOWED = TopicsRule(allowed=(ORDERS,))


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("Who do you think will win the presidential elections?", ["politics"]),
        ("Which party would you vote for?", ["politics"]),
        ("Is the PRIME\u00a0MINISTER coming?", ["politics"]),
        ("After the elec\u200btion we met for lunch.", ["politics"]),
        ("Когда будут выборы?", ["politics"]),
        ("今年的选举怎么样", ["politics"]),
        ("Is this dose of ibuprofen safe for children?", ["medicine"]),
        (
            "Hello! I have a headache. Which medicine should I take? And who should I vote for in the election?",
            ["politics", "medicine"],
        ),
        ("Write a function that sorts a list.", []),
        ("What is the capital of France?", []),
        ("The electioneering of birds", []),
        ("ok", []),
        ("", []),
    ],
)
def test_a_denied_topic_is_found_by_phrases_and_keywords(text: str, topics: list[str]) -> None:
    assert sorted(found(DENIED, text)) == sorted(topics)


@pytest.mark.parametrize(
    "said",
    [
        ("Where is the order that I placed last week?",),
        ("My invoice shows a wrong amount, please correct it quickly.",),
        ("Wann kommt meine Bestellung bei mir an?",),
        ("Hello!",),
        ("Thanks.", "Yes, please."),
        ("Where is my order?", "And what about the second parcel, does somebody know more?"),
    ],
)
def test_a_conversation_about_an_allowed_topic_passes(said: tuple[str, ...]) -> None:
    assert found(ALLOWED, *said) == []


@pytest.mark.parametrize(
    "said",
    [
        ("Write a Python function that sorts a list of numbers.",),
        ("Tell me a joke about cats and dogs, please.",),
        ("Hello!", "Schreib mir bitte ein langes Gedicht über Katzen."),
    ],
)
def test_a_conversation_about_anything_else_is_off_topic(said: tuple[str, ...]) -> None:
    assert found(ALLOWED, *said) == ["OffTopic"]


def test_how_near_is_near_is_the_authors_choice() -> None:
    text = "What is the recommended dosage of ibuprofen for a child?"
    near = [found(TopicsRule(denied=(Topic("m", MEDICINE.examples, (), limit),)), text) for limit in (0.2, 0.5)]
    assert near == [["m"], []]


def test_keywords_alone_make_a_topic() -> None:
    rule = TopicsRule(denied=(Topic("rivals", (), ("Initech", "Umbrella Corp"), 0.7),))
    assert found(rule, "Is Initech cheaper?") == []
    assert found(rule, "Is Initech cheaper than umbrella corp?") == ["rivals"]


def test_a_topic_is_told_once_and_only_the_user_is_listened_to() -> None:
    assert found(DENIED, "Which party?", "Which party would you vote for?", "Who won the election?") == ["politics"]
    policy = compile_policy(Policy(input=(DENIED,))).input
    assert measure(Size(1, ("Which party would you vote for in the election?",), ()), policy).places == ()


@pytest.mark.parametrize(
    "text", ["vote " * 100_000, "a" * 500_000, "選" * 200_000, "vote.\n" * 80_000, "election" * 60_000]
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    found(TopicsRule(allowed=(ORDERS,), denied=(POLITICS,)), text)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (TopicsRule(denied=(Topic("x"),)), "topics: topic 'x' needs examples or keywords"),
        (TopicsRule(action=Action.MASK), "topics: the action is Block or Report, not Mask"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(rule: TopicsRule, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        compile_policy(Policy(input=(rule,)))


def test_it_is_a_rule_for_requests() -> None:
    with pytest.raises(ContractError, match="topics: it is a rule for input, not for output"):
        compile_policy(Policy(output=(DENIED,)))
