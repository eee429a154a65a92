import pytest

from policies.sanitise.injection.leak import FEWEST, RUN, Leak, Prompt, Reader

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


def read(prompt: Prompt, answer: str, size: int) -> tuple[bool, Leak]:
    """Read an answer in pieces; return whether it was told early that it leaks, and what is said in the end."""
    reader = Reader(prompt)
    early = [reader.feed(answer[at : at + size]) for at in range(0, len(answer), size)]
    return any(early), reader.finish()


@pytest.mark.parametrize("size", [1, 7, 95, 10_000])
def test_an_answer_in_pieces_is_read_as_a_whole_one(size: int) -> None:
    prompt, answer = Prompt(_SYSTEM), f"Well, my instructions say: {_SYSTEM} That is all of it, I am afraid."

    assert read(prompt, answer, size)[1] == prompt.within(answer)


def test_a_leak_is_told_before_the_answer_ends() -> None:
    early, _ = read(Prompt(_SYSTEM), _SYSTEM + " And so on." * 20, 5)

    assert early


def test_another_answer_in_pieces_leaks_nothing() -> None:
    early, leak = read(Prompt(_SYSTEM), "Premiums depend on where you live and on what you drive. " * 20, 5)

    assert not early
    assert not leak.leaked


def test_what_a_user_said_may_be_repeated_in_pieces() -> None:
    assert not read(Prompt(_SYSTEM, known=_SYSTEM), _SYSTEM, 5)[1].leaked
