"""Standard OAuth 2 clients, unmodified, against the Procfile's gunicorn."""

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import InvalidGrantError, InvalidScopeError, LegacyApplicationClient
from requests_oauthlib import OAuth2Session

from tests.support import ACCOUNT, serving

LOGIN = {"username": ACCOUNT["email"], "password": ACCOUNT["password"]}
WRONG = LOGIN | {"password": "wrong horse"}


@pytest.fixture
def url(tmp_path, monkeypatch):
    """The address of a server with one account."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with serving(tmp_path) as server:
        assert server.call("POST", "/auth/register", ACCOUNT)[0] == 201
        yield server.url


def use(session, url):
    made = session.post(f"{url}/tasks", json={"title": "Call"})
    assert made.status_code == 201
    assert made.json() in session.get(f"{url}/tasks").json()


def test_authlib(url):
    renewed = []
    session = AuthlibSession(
        token_endpoint=f"{url}/auth/token", update_token=lambda token, **_: renewed.append(token)
    )
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.fetch_token(**WRONG)
    with pytest.raises(OAuthError, match="invalid_scope"):
        session.fetch_token(**LOGIN, scope="nonsense")
    first = dict(session.fetch_token(**LOGIN))
    use(session, url)
    session.token = first | {"expires_at": 1}  # as half an hour later
    use(session, url)
    assert [token["refresh_token"] for token in renewed] != [first["refresh_token"]]
    assert len(renewed) == 1
    revoked = session.revoke_token(
        f"{url}/auth/revoke", renewed[0]["refresh_token"], token_type_hint="refresh_token"
    )
    assert revoked.status_code == 200
    assert session.get(f"{url}/tasks").status_code == 401
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token(f"{url}/auth/token", first["refresh_token"])


def test_authlib_takes_a_throttled_login_for_an_error(url):
    session = AuthlibSession(token_endpoint=f"{url}/auth/token")
    for _ in range(10):
        with pytest.raises(OAuthError):
            session.fetch_token(**WRONG)
    with pytest.raises(OAuthError, match="temporarily_unavailable"):
        session.fetch_token(**LOGIN)


def test_requests_oauthlib(url):
    renewed = []
    session = OAuth2Session(
        client=LegacyApplicationClient(client_id="todo"),
        auto_refresh_url=f"{url}/auth/token",
        token_updater=renewed.append,
    )
    with pytest.raises(InvalidGrantError):
        session.fetch_token(f"{url}/auth/token", **WRONG)
    with pytest.raises(InvalidScopeError):
        session.fetch_token(f"{url}/auth/token", **LOGIN, scope="nonsense")
    first = session.fetch_token(f"{url}/auth/token", **LOGIN)
    use(session, url)
    session.token = dict(first) | {"expires_at": 1}
    use(session, url)
    assert len(renewed) == 1
    assert renewed[0]["refresh_token"] != first["refresh_token"]
    session.post(f"{url}/auth/revoke", data={"token": renewed[0]["refresh_token"]})
    assert session.get(f"{url}/tasks").status_code == 401
    with pytest.raises(InvalidGrantError):
        session.refresh_token(f"{url}/auth/token", refresh_token=first["refresh_token"])
