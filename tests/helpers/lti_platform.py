"""A learning system on this machine that speaks LTI's services: token, members, line items, scores, results."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse


@contextlib.contextmanager
def platform(public_key):
    """The server, at `.url`. `posted`: each score as it came; `scores`: user → the one that counts; `items`:
    line items; `members`. Set `refuse` (users that are not taken), `down_after` (posts, then 503) or
    `dies_after` (posts that are kept, and then the connection ends without an answer)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.public_key, server.tokens = public_key, {}
    server.posted, server.scores, server.items, server.members = [], {}, [], []
    server.refuse, server.down_after, server.dies_after, server.asked = set(), None, None, []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlparse(self.path).path
        self.server.asked.append(path)
        if path == "/members" and self.allowed("contextmembership.readonly"):
            self.answer({"members": self.server.members})
        elif path == "/items" and self.allowed("lineitem"):
            self.answer(self.server.items)
        elif path.endswith("/results") and self.allowed("result.readonly"):
            self.answer([self.result(score) for score in self.server.scores.values()])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlparse(self.path).path
        if path == "/token":
            self.token(parse_qs(body.decode()))
        elif path == "/items" and self.allowed("lineitem"):
            item = json.loads(body) | {
                "id": f"{self.server.url}/items/{len(self.server.items)}?type=x"
            }
            self.server.items.append(item)
            self.answer(item, 201)
        elif path.endswith("/scores") and self.allowed("score"):
            self.score(json.loads(body))

    def token(self, form):
        import jwt

        said = jwt.decode(
            form["client_assertion"][0], self.server.public_key, ["RS256"],
            audience=f"{self.server.url}/token", options={"require": ["iss", "sub", "jti", "exp"]},
        )  # fmt: skip
        assert said["iss"] == said["sub"] == "client" and form["grant_type"] == [
            "client_credentials"
        ]
        token = f"t{len(self.server.tokens)}"
        self.server.tokens[token] = form["scope"][0]
        self.answer({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def allowed(self, scope):
        granted = self.server.tokens.get(self.headers.get("Authorization", "")[7:], "")
        if any(one.endswith(f"/{scope}") for one in granted.split()):
            return True
        self.answer({"error": "no such right"}, 401)
        return False

    def score(self, score):
        server = self.server
        if server.down_after is not None and len(server.posted) >= server.down_after:
            return self.answer({"error": "busy"}, 503)
        if score["userId"] in server.refuse:
            return self.answer({"error": "not enrolled"}, 422)
        assert self.headers["Content-Type"] == "application/vnd.ims.lis.v1.score+json"
        server.posted.append(score)
        old = server.scores.get(score["userId"])
        if old is None or old["timestamp"] < score["timestamp"]:  # as the specification asks
            server.scores[score["userId"]] = score
        if server.dies_after is not None and len(server.posted) > server.dies_after:
            self.close_connection = True
            return self.connection.close()
        self.answer({"resultUrl": "x"})

    def result(self, score):
        found = {"userId": score["userId"], "id": "x"}
        if "scoreGiven" in score and score["gradingProgress"] == "FullyGraded":
            found |= {"resultScore": score["scoreGiven"], "resultMaximum": score["scoreMaximum"]}
        return found

    def answer(self, content, status=200):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data)

    def log_message(self, *_):
        pass
