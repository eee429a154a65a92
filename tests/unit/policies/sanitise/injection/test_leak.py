from policies.sanitise.injection.leak import FEWEST, RUN, Prompt

_SYSTEM = (
    "You are the travel assistant of Lakeside Tours. Always answer in a friendly tone and never mention competitors. "
    "Offer the harbour cruise first, then the mountain railway. Discounts above twelve percent need a manager."
)


def test_an_answer_that_repeats_the_message_leaks_it() -> None:
    found = Prompt(_SYSTEM).within(f"Sure, here it is: {_SYSTEM}")

    assert found.leaked
    assert found.share == 1.0


def test_one_sentence_of_the_message_in_a_short_answer_is_a_leak() -> None:
    answer = "I was told: offer the HARBOUR cruise first -- then the mountain railway. Discounts above twelve percent!"

    assert Prompt(_SYSTEM).within(answer).leaked


def test_an_answer_about_the_same_things_is_no_leak() -> None:
    answer = "We have a harbour cruise and a mountain railway. The cruise leaves at ten; both are lovely in spring."

    found = Prompt(_SYSTEM).within(answer)

    assert not found.leaked
    assert found.runs == 0


def test_fewer_runs_than_the_least_are_no_leak() -> None:
    words = _SYSTEM.split()[: RUN + FEWEST - 2]

    found = Prompt(_SYSTEM).within(" ".join(words))

    assert found.runs <= FEWEST - 1
    assert not found.leaked


def test_runs_of_short_common_words_do_not_count() -> None:
    common = "it is so and it is so and if it is to be it is up to us to do it as we can"

    assert Prompt(common).within(common).runs == 0


def test_what_the_user_said_may_be_repeated() -> None:
    assert not Prompt(_SYSTEM, known=_SYSTEM).within(_SYSTEM).leaked


def test_an_empty_message_never_leaks() -> None:
    assert not Prompt("").within(_SYSTEM).leaked
