from collections.abc import Callable
from itertools import count

from policies.sanitise.injection import canary


def _bytes_from(first: int) -> Callable[[int], bytes]:
    numbers = count(first)
    return lambda size: bytes(next(numbers) % 256 for _ in range(size))


def test_a_token_is_made_of_the_bytes_it_is_given() -> None:
    one, other = canary.make(_bytes_from(0)), canary.make(_bytes_from(1))

    assert one != other
    assert one == canary.make(_bytes_from(0))
    assert len(one) == len(canary.PREFIX) + canary.LENGTH


def test_a_planted_system_message_still_begins_as_it_was() -> None:
    token = canary.make(_bytes_from(0))

    message = canary.planted("Be kind.", token)

    assert message.startswith("Be kind.")
    assert token in message


def test_an_answer_that_has_a_token_gives_that_token_only() -> None:
    one, other = canary.make(_bytes_from(0)), canary.make(_bytes_from(9))

    assert canary.leaked(f"My reference is {one}.", [one, other]) == (one,)


def test_a_token_is_found_in_capitals_spaced_out_and_backwards() -> None:
    token = canary.make(_bytes_from(3))

    assert canary.leaked(token.upper(), [token]) == (token,)
    assert canary.leaked(" ".join(token), [token]) == (token,)
    assert canary.leaked("-".join(reversed(token)), [token]) == (token,)


def test_an_answer_without_a_token_gives_none() -> None:
    token = canary.make(_bytes_from(3))

    assert canary.leaked(f"{canary.PREFIX} {token[:-1]}!", [token]) == ()
