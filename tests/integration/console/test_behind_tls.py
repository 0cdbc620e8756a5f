"""The console behind a proxy that ends TLS and passes `Host` on, as the documentation has it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
import trustme

from common.records.analysts import add_analyst
from services.console.gate import SECURE_COOKIE
from tests.integration.console.conftest import House
from tests.tls_proxy import TlsProxy

NAME = "console.example"
PASSWORD = "correct horse battery"


class Browser:
    """Speaks TLS to `NAME`, checks its certificate, and keeps cookies as a browser does."""

    def __init__(self, port: int, authority: trustme.CA) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        self.client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False, headers={"host": NAME}
        )
        self.cookies: dict[str, str] = {}
        self.set: list[str] = []

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        request = self.client.build_request(
            method, path, headers={"cookie": cookie} if cookie else {}, extensions={"sni_hostname": NAME}, **more
        )
        answer = self.client.send(request)
        for header in answer.headers.get_list("set-cookie"):
            self.set.append(header)
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
        self.client.cookies.clear()
        return answer


@pytest.fixture
def browser(house: House) -> Iterator[Browser]:
    house.desk.change(lambda work: add_analyst(work, "mara", "analyst", PASSWORD, "analyst:root"))
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(NAME).configure_cert(context)
    with TlsProxy(int(house.url.rpartition(":")[2]), context) as proxy:
        browser = Browser(proxy.port, authority)
        yield browser
        browser.client.close()


def test_somebody_signs_in_and_every_cookie_is_secure(house: House, browser: Browser) -> None:
    house.alert(1)
    form = browser.ask("GET", "/sign-in").text
    token = form.split('name="csrf" value="')[1].split('"')[0]
    entered = browser.ask("POST", "/sign-in", data={"csrf": token, "name": "mara", "password": PASSWORD})
    assert entered.status_code == 303
    assert "sudo on db-7" in browser.ask("GET", "/inbox").text
    assert {name for name in browser.cookies if "securitybot" in name} >= {SECURE_COOKIE}
    for header in browser.set:
        assert "Secure" in header, header
        assert "HttpOnly" in header, header


def test_a_browser_that_does_not_know_the_certificate_gets_nothing(browser: Browser) -> None:
    stranger = Browser(int(browser.client.base_url.port or 0), trustme.CA())
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.ask("GET", "/sign-in")
    stranger.client.close()
