"""A small Hugging Face Hub on this machine, which the real client talks to over HTTP."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories: by name, then by file. Every upload is a commit of its own."""

    def __init__(self):
        self.repositories, self.commits, self.private, self.asked, self.tokens = {}, {}, set(), [], {"hf_write"}
        self.claims = {}  # sizes that the server tells, where they are not true

    def commit(self, repository):
        files = self.repositories[repository]
        told = json.dumps({name: hashlib.sha1(content).hexdigest() for name, content in files.items()}, sort_keys=True)
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.commits[repository, commit] = dict(files)
        return commit


def handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, content=b"", **headers):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def missing(self, code, status=404):
            self.reply(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

        def read(self):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def may_write(self):
            return (self.headers.get("Authorization") or "").removeprefix("Bearer ") in hub.tokens

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path))
            api = path.startswith("/api/models/")
            parts = path.removeprefix("/api/models/").strip("/").split("/", 4)
            repository = "/".join(parts[:2])
            if repository not in hub.repositories or repository in hub.private:
                self.missing("RepoNotFound", 401)
                return
            head = hub.commit(repository)
            revision = parts[3] if len(parts) > 3 else "main"
            if revision not in ("main", head):
                self.missing("RevisionNotFound")
                return
            files = hub.repositories[repository]
            oid = {name: hashlib.sha1(content).hexdigest() for name, content in files.items()}
            sizes = {name: hub.claims.get(name, len(content)) for name, content in files.items()}
            if api and parts[2] == "tree":
                self.reply(200, [{"type": "file", "path": n, "size": sizes[n], "oid": oid[n]} for n in files])
            elif api:
                siblings = [{"rfilename": n, "size": sizes[n], "blobId": oid[n]} for n in files]
                self.reply(200, {"id": repository, "modelId": repository, "sha": head, "siblings": siblings,
                                 "private": False, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip
            elif parts[4] in files:
                self.reply(200, files[parts[4]], ETag=f'"{oid[parts[4]]}"', X_Repo_Commit=head)
            else:
                self.missing("EntryNotFound")

        def do_POST(self):
            path, body = urlsplit(self.path).path, self.read()
            hub.asked.append((self.command, path))
            if path == "/api/validate-yaml":
                self.reply(200, {"errors": [], "warnings": []})
                return
            if not self.may_write():
                self.missing("Forbidden", 403)
                return
            if path == "/api/repos/create":
                told = json.loads(body)
                repository = f"{told['organization']}/{told['name']}" if told.get("organization") else told["name"]
                new = repository not in hub.repositories
                hub.repositories.setdefault(repository, {".gitattributes": b""})
                self.reply(200 if new else 409, {"url": f"{hub.url}/{repository}", "id": repository})
                return
            repository = "/".join(path.removeprefix("/api/models/").split("/")[:2])
            if "/preupload/" in path:
                files = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                         for each in json.loads(body)["files"]]  # fmt: skip
                self.reply(200, {"files": files})
                return
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    hub.repositories[repository][value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "deletedFile":
                    del hub.repositories[repository][value["path"]]
            commit = hub.commit(repository)
            self.reply(
                200, {"success": True, "commitOid": commit, "commitUrl": f"{hub.url}/{repository}/commit/{commit}"}
            )

    return Handler


@contextmanager
def served():
    """Serve an empty Hub while the context lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
