"""Whether Ray's head is where the user says, and lets us in: told within seconds. Ray itself would try for minutes.

The head is asked two things over gRPC, with a time limit: whether it lives, and by that which version it has. Both
the path of the question and the header with the token are those of Ray 2.60.
"""

import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

from worldmodels.parallel.executor import ExecutorError

PATIENCE = 5.0
"""Seconds that a machine may take to answer."""
ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
HEALTH = "/grpc.health.v1.Health/Check"
"""gRPC's own question after a server's health, which every process of Ray answers."""


def find_head(address: str) -> str:
    """Return the HOST:PORT that `auto` stands for: RAY_ADDRESS, or what `ray start` has noted on this machine.

    Raises:
        ExecutorError: nothing is noted, or another user noted it, who could point us anywhere.
    """
    if address != "auto":
        return address
    found = os.environ.get("RAY_ADDRESS", "")
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    if not found and note.exists():
        if hasattr(os, "getuid") and note.stat().st_uid not in (0, os.getuid()):
            raise ExecutorError(f"address=auto: {note} was written by another user; name the cluster as HOST:PORT")
        found = note.read_text().strip()
    if not re.fullmatch(r"[^\s/]+:\d+", found):
        raise ExecutorError(
            f"address=auto: this machine belongs to no cluster ({found or 'no address is noted'}); start Ray on it"
            " (`ray start --address HEAD:6379`), or name the cluster as HOST:PORT"
        )
    return found


def greet_head(address: str, version: str) -> None:
    """Ask the head at HOST:PORT whether it lets us in.

    Raises:
        ExecutorError: nobody is there, it is not Ray's head, has another version, or does not take our token.
    """
    try:
        _connect(address)
    except OSError as error:
        raise ExecutorError(f"no Ray at address={address}: {error}; start Ray there or correct it") from error
    token, kept = find_token()
    if uses_tls():
        return  # Ray's own connection will tell
    code, reply = ask(address, ALIVE, token)
    if code == "UNAUTHENTICATED":
        raise ExecutorError(
            f"Ray at address={address} does not take {kept}: copy ~/.ray/auth_token from its head to this machine"
            " and export RAY_AUTH_MODE=token"
        )
    if code == "UNIMPLEMENTED":
        raise ExecutorError(f"address={address} is not the port of Ray's head; it is 6379, or its `--port`")
    if code != "OK":
        what = f"gives no answer in {PATIENCE:g} s" if code == "DEADLINE_EXCEEDED" else f"is not Ray ({code})"
        raise ExecutorError(f"what listens at address={address} {what}; check host and port of Ray's head")
    theirs = re.search(rb"\d+\.\d+\.\d+\w*", reply)
    if theirs and theirs[0].decode() != version:
        raise ExecutorError(f"Ray at address={address} is {theirs[0].decode()}, here it is {version}; use the same")


def is_healthy(address: str) -> bool:
    """Return whether a process of Ray at HOST:PORT answers."""
    if not uses_tls():
        return ask(address, HEALTH)[0] == "OK"
    try:
        _connect(address)
    except OSError:
        return False
    return True


def uses_tls() -> bool:
    """Return whether Ray encrypts, which we cannot."""
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def find_token() -> tuple[str, str]:
    """Return the token that Ray would send, and in words where it comes from.

    Raises:
        ExecutorError: a token is asked for and there is none.
    """
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return "", "a driver without a token (RAY_AUTH_MODE is not set here)"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"], "the token in RAY_AUTH_TOKEN"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return path.read_text().strip(), f"the token in {path}"
    except OSError as error:
        raise ExecutorError(
            f"RAY_AUTH_MODE=token, and there is no token: {error}; copy the file from the cluster's head"
        ) from error


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


def ask(address: str, question: str, token: str = "") -> tuple[str, bytes]:
    """Call a method of a gRPC server without arguments; return the name of gRPC's status code, and the reply."""
    import grpc  # a tenth of a second to import

    header = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            reply: Any = channel.unary_unary(question)(b"", timeout=PATIENCE, metadata=header)
        except grpc.RpcError as error:
            status: Any = error
            return str(status.code().name), b""
    return "OK", bytes(reply)
