"""A port that is not Ray's head is told in one line, and within seconds."""

import http.server
import os
import socket
import threading

import pytest

from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import ExecutorError
from worldmodels.parallel.open import open_executor
from worldmodels.parallel.ray_address import PATIENCE, find_head, find_token, greet_head


class Echo:
    def __init__(self, setup):
        pass

    def __call__(self, item):
        return item


@pytest.fixture
def tokenless(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_USE_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def silent():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def told(port):
    """The message of an executor that is to work there; it would take minutes if Ray itself were asked."""
    pytest.importorskip("ray")
    with pytest.raises(ExecutorError) as caught:
        open_executor(ExecutorConfig(address=f"127.0.0.1:{port}"), Echo, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_port_where_nobody_listens(tokenless):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert f"no Ray at address=127.0.0.1:{port}: " in told(port)


def test_a_port_that_is_silent(tokenless, silent, monkeypatch):
    assert PATIENCE <= 5
    monkeypatch.setattr("worldmodels.parallel.ray_address.PATIENCE", 0.5)
    assert f"127.0.0.1:{silent} gives no answer in 0.5 s" in told(silent)


def test_a_port_of_a_web_server(tokenless, web):
    assert f"127.0.0.1:{web} is not Ray (UNAVAILABLE); check host and port" in told(web)


def test_a_name_that_nobody_has(tokenless):
    with pytest.raises(ExecutorError, match=r"no Ray at address=head\.invalid:6379"):
        greet_head("head.invalid:6379", "2.60.0")


def test_another_version_of_ray(tokenless, monkeypatch, silent):
    monkeypatch.setattr("worldmodels.parallel.ray_address.ask", lambda *_: ("OK", b"\n\x00\x12\x062.60.0 \x01"))
    greet_head(f"127.0.0.1:{silent}", "2.60.0")
    with pytest.raises(ExecutorError, match=r"is 2\.60\.0, here it is 2\.59\.1"):
        greet_head(f"127.0.0.1:{silent}", "2.59.1")


def test_the_token_is_found_where_ray_looks_for_it(tokenless, monkeypatch):
    assert find_token()[0] == ""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(ExecutorError, match=r"there is no token: .*auth_token"):
        find_token()
    (tokenless / ".ray").mkdir()
    (tokenless / ".ray" / "auth_token").write_text("home\n")
    assert find_token()[0] == "home"
    (tokenless / "other").write_text("other")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tokenless / "other"))
    assert find_token()[0] == "other"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "variable")
    assert find_token()[0] == "variable"


def test_auto_is_the_cluster_of_this_machine(tokenless, monkeypatch):
    with pytest.raises(ExecutorError, match="this machine belongs to no cluster"):
        find_head("auto")
    note = tokenless / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text("10.0.0.1:6379\n")
    assert find_head("auto") == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    assert find_head("auto") == "10.0.0.2:6379"
    assert find_head("10.0.0.3:1") == "10.0.0.3:1"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be another user")
def test_another_users_note_of_a_cluster_is_not_followed(tokenless):
    """Ray keeps it in a folder where everybody may write; whom it names would get our token."""
    note = tokenless / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text("10.0.0.66:6379")
    os.chown(note, 12345, 12345)
    with pytest.raises(ExecutorError, match="was written by another user"):
        find_head("auto")
