from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.secret import Secret
from gateway.sealing import KEY_ID_BYTES, NONCE_BYTES, TAG_BYTES, Sealer

KEY = Secret("correct horse battery staple, twice over")
NEW_KEY = Secret("another one, as long as the key before it")
ABOUT = b"resp_1:acme/search"

SHORT = b"a prompt"
LONG = b"a prompt that repeats itself. " * 200
INCOMPRESSIBLE = os.urandom(5000)


@pytest.mark.parametrize("plain", [b"", b"\x00", b"\x01", SHORT, b"x" * 1024, b"x" * 1025, LONG, INCOMPRESSIBLE])
@pytest.mark.parametrize("key", [KEY, Secret("\udcff\udcfe not utf-8"), Secret("ümlaut"), None])
def test_what_is_sealed_opens(key: Secret | None, plain: bytes) -> None:
    sealer = Sealer(key)

    assert sealer.open(sealer.seal(plain, about=ABOUT), about=ABOUT) == plain


@given(st.binary(max_size=3000), st.binary(max_size=50))
def test_anything_can_be_sealed_about_anything(plain: bytes, about: bytes) -> None:
    assert Sealer(KEY).open(Sealer(KEY).seal(plain, about=about), about=about) == plain


def test_a_restarted_process_opens_with_the_same_key() -> None:
    sealed = Sealer(KEY).seal(LONG, about=ABOUT)

    assert Sealer(Secret(KEY.reveal())).open(sealed, about=ABOUT) == LONG


def test_what_an_earlier_version_sealed_opens() -> None:
    # Made with hmac and AES-GCM alone, after RFC 5869: label and layout are on disks and cannot change.
    sealed = bytes.fromhex("000102030405060708090a0b99edc5369216f487b57e3213466c9d27e21448718584af394c")

    assert Sealer(KEY).open(sealed, about=ABOUT) == b"a prompt"


def test_what_an_earlier_version_sealed_opens_with_an_earlier_key() -> None:
    sealed = bytes.fromhex("000102030405060708090a0b99edc5369216f487b57e3213466c9d27e21448718584af394c")

    assert Sealer(NEW_KEY, earlier=(Secret("none of it"), KEY)).open(sealed, about=ABOUT) == b"a prompt"


@pytest.mark.parametrize("plain", [SHORT, LONG])
def test_what_an_earlier_key_sealed_opens(plain: bytes) -> None:
    sealer = Sealer(NEW_KEY, earlier=(Secret("none of it"), KEY))

    assert sealer.open(Sealer(KEY).seal(plain, about=ABOUT), about=ABOUT) == plain


def test_nothing_is_sealed_with_an_earlier_key() -> None:
    sealed = Sealer(NEW_KEY, earlier=(KEY,)).seal(SHORT, about=ABOUT)

    assert Sealer(KEY).open(sealed, about=ABOUT) is None
    assert Sealer(NEW_KEY).open(sealed, about=ABOUT) == SHORT


def test_keys_of_different_uses_have_nothing_in_common() -> None:
    sealed = Sealer(KEY, b"one").seal(SHORT, about=ABOUT)

    assert Sealer(KEY, b"other").open(sealed, about=ABOUT) is None
    assert Sealer(KEY, b"other").seal(SHORT, about=ABOUT)[:KEY_ID_BYTES] != sealed[:KEY_ID_BYTES]


def test_the_key_is_found_by_its_id_at_once() -> None:
    sealer = Sealer(NEW_KEY, earlier=(KEY,))
    sealed = Sealer(KEY).seal(SHORT, about=ABOUT)

    assert next(sealer._fitting(sealed)) is sealer._keys[1]


@pytest.mark.parametrize("other", [Secret(KEY.reveal() + " "), Secret(""), None])
def test_another_key_does_not_open(other: Secret | None) -> None:
    assert Sealer(other).open(Sealer(KEY).seal(SHORT, about=ABOUT), about=ABOUT) is None


def test_every_process_without_a_key_has_its_own() -> None:
    assert Sealer(None).open(Sealer(None).seal(SHORT, about=ABOUT), about=ABOUT) is None


@pytest.mark.parametrize("about", [b"", b"resp_2:acme/search", b"resp_1:acme/other", ABOUT + b"\x00"])
def test_what_is_sealed_about_one_thing_does_not_open_about_another(about: bytes) -> None:
    sealer = Sealer(KEY)

    assert sealer.open(sealer.seal(SHORT, about=ABOUT), about=about) is None


@pytest.mark.parametrize("plain", [SHORT, LONG])
def test_no_bit_can_be_changed(plain: bytes) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(plain, about=ABOUT)

    for at in range(len(sealed)):
        for bit in (0x01, 0x80):
            changed = bytearray(sealed)
            changed[at] ^= bit
            assert sealer.open(bytes(changed), about=ABOUT) is None


def test_nothing_can_be_cut_off_or_added() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(SHORT, about=ABOUT)

    assert [n for n in range(len(sealed)) if sealer.open(sealed[:n], about=ABOUT) is not None] == []
    assert [n for n in range(1, len(sealed)) if sealer.open(sealed[n:], about=ABOUT) is not None] == []
    assert sealer.open(sealed + b"\x00", about=ABOUT) is None


def test_the_same_content_is_never_sealed_alike() -> None:
    sealer = Sealer(KEY)

    sealed = [sealer.seal(SHORT, about=ABOUT) for _ in range(1000)]

    assert len({one[KEY_ID_BYTES:][:NONCE_BYTES] for one in sealed}) == 1000
    assert len({one[KEY_ID_BYTES + NONCE_BYTES :] for one in sealed}) == 1000


@pytest.mark.parametrize("plain", [SHORT, LONG])
def test_nothing_of_the_content_shows(plain: bytes) -> None:
    assert b"prompt" not in Sealer(KEY).seal(plain, about=ABOUT)


def test_short_content_grows_by_id_nonce_mark_and_tag_and_long_content_shrinks() -> None:
    assert len(Sealer(KEY).seal(SHORT, about=ABOUT)) == KEY_ID_BYTES + NONCE_BYTES + 1 + len(SHORT) + TAG_BYTES
    assert len(Sealer(KEY).seal(LONG, about=ABOUT)) < len(LONG) // 10


def test_a_sealer_may_load_its_cipher_ahead() -> None:
    sealer = Sealer(KEY)

    assert sealer.prepare() is sealer
    assert "_keys" in vars(sealer)


def test_the_cipher_is_loaded_when_something_is_sealed_and_not_before() -> None:
    program = (
        "import sys; import gateway.stored.responses, gateway.sealing as sealing\n"
        "sealer = sealing.Sealer(None)\n"
        "assert 'cryptography' not in sys.modules\n"
        "sealer.seal(b'', about=b'')\n"
        "assert 'cryptography' in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
