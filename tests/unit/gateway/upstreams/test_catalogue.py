from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.upstreams.catalogue import build_upstream, make_engine
from gateway.upstreams.echo import Echo
from gateway.upstreams.engines.http1 import Http1Engine
from gateway.upstreams.engines.httpx2 import Httpx2Engine
from gateway.upstreams.remote import Remote
from gateway.upstreams.settings import EchoUpstream, OpenAIUpstream


def settings(base_url: str = "https://upstream.test/v1", **fields: Any) -> OpenAIUpstream:
    return OpenAIUpstream(base_url=base_url, **fields)


def test_each_kind_of_settings_builds_its_upstream() -> None:
    assert isinstance(build_upstream("a", settings()), Remote)
    assert isinstance(build_upstream("b", EchoUpstream()), Echo)


@pytest.mark.parametrize(
    ("base_url", "fields", "engine"),
    [
        ("http://upstream.test/v1", {}, Http1Engine),
        ("https://upstream.test/v1", {}, Http1Engine),
        ("https://upstream.test/v1", {"http2": True}, Httpx2Engine),
        ("http://upstream.test/v1", {"http2": True}, Http1Engine),
        ("http://upstream.test/v1", {"proxy": "http://proxy.test:3128"}, Httpx2Engine),
        ("https://upstream.test/v1", {"proxy": "http://proxy.test:3128"}, Httpx2Engine),
    ],
)
async def test_the_engine_follows_from_what_is_asked_of_it(base_url: str, fields: Any, engine: type[Any]) -> None:
    made = make_engine(settings(base_url, **fields))

    assert isinstance(made, engine)
    await made.close()


@pytest.mark.parametrize(
    ("base_url", "host_line"),
    [
        ("http://upstream.test/v1", b"host: upstream.test\r\n"),
        ("https://upstream.test/v1", b"host: upstream.test\r\n"),
        ("http://upstream.test:80/v1", b"host: upstream.test\r\n"),
        ("https://upstream.test:80/v1", b"host: upstream.test:80\r\n"),
        ("http://user:secret@upstream.test:8000/v1", b"host: upstream.test:8000\r\n"),
        ("http://[::1]:8000/v1", b"host: [::1]:8000\r\n"),
        ("http://b\u00fccher.test/v1", b"host: xn--bcher-kva.test\r\n"),
    ],
)
def test_the_upstream_is_told_the_name_it_was_called_by(base_url: str, host_line: bytes) -> None:
    engine = make_engine(settings(base_url))

    assert isinstance(engine, Http1Engine)
    assert engine._host_line == host_line


def test_authorities_of_the_settings_are_trusted_besides_the_systems(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    system = ssl.create_default_context().cert_store_stats()["x509_ca"]

    engine = make_engine(settings(ca_file=str(path)))

    assert isinstance(engine, Http1Engine)
    assert engine._tls is not None
    assert engine._tls.cert_store_stats()["x509_ca"] == system + 1
    assert engine._tls.verify_mode is ssl.CERT_REQUIRED
    assert engine._tls.check_hostname


def test_a_file_of_authorities_that_is_missing_or_wrong_is_an_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nonsense")

    with pytest.raises(OSError, match="nowhere"):
        build_upstream("a", settings(ca_file=str(tmp_path / "nowhere.pem")))
    with pytest.raises(ssl.SSLError):
        build_upstream("a", settings(ca_file=str(wrong)))
