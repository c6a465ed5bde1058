"""A JupyterHub on loopback: `hub`, and a `Person` who works on it by HTTP.

Accounts, homes, the exchange and the environment's configuration are this Hub's alone: it runs behind `unshare`,
where folders of the test lie over /home, /srv and the like. Nothing of the machine is changed, and when the Hub
ends, all that it started ends, too.
"""

import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import requests
import websocket

from maml_edu import places

EXAMPLES = places.course_root() / "examples" / "jupyterhub"
PASSWORD = "on loopback"
WAIT = 120.0  # seconds: a server that starts, on a machine that is busy
CONFIG = """
load_subconfig({example!r})
c.Spawner.cmd = [{bin!r} + "/jupyterhub-singleuser"]
c.Spawner.start_timeout = c.Spawner.http_timeout = {wait}
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = {inner}
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = set({people!r})
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = [{bin!r} + "/configurable-http-proxy"]
"""

# As in containers, where every server has the one account jovyan; here no walls are between them.
CONTAINERS = """
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "/home/{username}"
"""


def why_not():
    """Why there can be no such Hub here; "" where there can."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "needs Linux with unshare"
    if os.geteuid() != 0:
        return "needs root, who alone can give three people accounts of their own"
    tried = subprocess.run([*WALLS, "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"unshare: {tried.stderr.strip()}"


WALLS = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


@contextlib.contextmanager
def hub(folder: Path, people: list[str], accounts: bool = True):
    """A running Hub with the configuration of examples/jupyterhub; its address. The first of the people teaches.

    `folder` is for all that it writes. accounts: each of the people has one on the machine, else all are jovyan.
    """
    public, inner, api = _free_ports(3)
    config = CONFIG.format(
        example=str(EXAMPLES / "jupyterhub_config.py"), bin=f"{sys.prefix}/bin", wait=WAIT,
        public=public, inner=inner, api=api, password=PASSWORD, people=people,
    )  # fmt: skip
    _lay_out(folder, people, accounts)
    (folder / "hub" / "config.py").write_text(config + ("" if accounts else CONTAINERS))
    one = _free_numbers(1)[0]
    become = "" if accounts else f"setpriv --reuid={one} --regid={one} --clear-groups "
    path = f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}"
    with open(folder / "hub.log", "wb") as log:
        process = subprocess.Popen(
            [*WALLS, "sh", "-ec", _script(folder, become)], start_new_session=True, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, env={"PATH": path, "LANG": "C.UTF-8", "HOME": str(folder / "hub")},
        )  # fmt: skip
    address = f"http://127.0.0.1:{public}"
    try:
        _until(lambda: _answers(process, f"{address}/hub/api"), "the Hub", folder / "hub.log")
        yield address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # and --kill-child ends what is behind the walls
        process.wait()


def _lay_out(folder, people, accounts):
    """The folders that will lie over the machine's own: see `_script`."""
    for name in ("hub", "home", "srv/nbgrader/exchange"):
        (folder / name).mkdir(parents=True)
    (folder / "srv" / "nbgrader" / "exchange").chmod(0o777)
    ours = folder / "jupyter"  # the environment's configuration, with the examples in it
    shutil.copytree(Path(sys.prefix) / "etc" / "jupyter", ours)
    shutil.copytree(EXAMPLES / "environment", ours, dirs_exist_ok=True)
    names = people if accounts else ["jovyan"]
    numbers = _free_numbers(len(names))
    passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
    for name, number in zip(names, numbers, strict=True):
        passwd += f"{name}:x:{number}:{number}::/home/{name}:/bin/bash\n"
        group += f"{name}:x:{number}:\n"
    if not accounts:
        config = ours / "nbgrader_config.py"
        config.write_text(config.read_text().replace("# c.ExchangeCollect", "c.ExchangeCollect"))
        os.chown(folder / "hub", numbers[0], numbers[0])
    for name, number in zip(people, numbers if accounts else numbers * len(people), strict=True):
        home = folder / "home" / name
        home.mkdir(mode=0o700)
        if name == people[0]:
            shutil.copytree(EXAMPLES / "teacher", home / ".jupyter")
        for path in (home, *home.rglob("*")):
            os.chown(path, number, number)
    (folder / "passwd").write_text(passwd)
    (folder / "group").write_text(group)


def _free_numbers(count):
    """Numbers that no account of this machine has."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return [number for number in range(52000, 60000) if number not in taken][:count]


def _script(folder, become):
    """A shell script: the test's folders over the machine's, what is needed open to everybody, and the Hub."""
    needed = [Path(sys.base_prefix), Path(sys.prefix), places.course_root(), folder / "hub"]
    closed = [path for path in needed if _closed(path) or path.is_relative_to("/home")]
    over = {
        folder / "home": "/home", folder / "srv": "/srv", **{path: str(path) for path in closed},
        folder / "jupyter": f"{sys.prefix}/etc/jupyter",
        folder / "passwd": "/etc/passwd", folder / "group": "/etc/group",
    }  # fmt: skip
    hidden = {above for path in closed if (above := _closed(path))}
    lines = [
        "mount -t tmpfs none /media"
    ]  # where all of it is held, while folders are laid over others
    for number, path in enumerate(over):
        made = "mkdir" if path.is_dir() else "touch"
        lines.append(
            f"{made} /media/{number}; mount --rbind {shlex.quote(str(path))} /media/{number}"
        )
    lines += [
        f"mount -t tmpfs -o mode=755 none {shlex.quote(str(path))}" for path in sorted(hidden)
    ]
    for number, (path, place) in enumerate(over.items()):
        made = f"mkdir -p {shlex.quote(place)}; " if path.is_dir() else ""
        lines.append(f"{made}mount --rbind /media/{number} {shlex.quote(place)}")
    lines.append(f"cd {shlex.quote(str(folder / 'hub'))}")
    lines.append(f"exec {become}{shlex.quote(sys.prefix)}/bin/jupyterhub -f config.py")
    return "\n".join(lines)


def _closed(path):
    """The first folder above a path that is not everybody's to walk through, or None."""
    above = reversed(path.parents)
    return next((folder for folder in above if not folder.stat().st_mode & 0o001), None)


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


def _answers(process, url):
    assert process.poll() is None, "ended"
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url, timeout=10).ok
    return False


def _until(there, what, log):
    """Wait until `there()` is true; with the end of a log when it is not in time."""
    end = time.monotonic() + WAIT
    try:
        while not there():
            assert time.monotonic() < end, f"not there after {WAIT:g} s"
            time.sleep(0.1)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}:\n{log.read_text()[-4000:]}") from None


class Person:
    """Somebody who has logged in as in a browser and whose server runs. typed: all commands of all of them."""

    typed: set[str] = set()

    def __init__(self, address: str, name: str):
        self.name, self.address, self.home = name, address, f"{address}/user/{name}"
        self.browser = requests.Session()
        self.browser.get(f"{address}/hub/login", timeout=WAIT)
        form = {"username": name, "password": PASSWORD, "_xsrf": self.browser.cookies["_xsrf"]}
        self.browser.post(f"{address}/hub/login", data=form, timeout=WAIT).raise_for_status()
        own = f"{address}/hub/api/users/{name}"
        xsrf = self.browser.cookies.get("_xsrf", path="/hub/")
        header = {"X-XSRFToken": xsrf, "Referer": f"{address}/hub/"}
        made = self.browser.post(f"{own}/tokens", json={}, headers=header, timeout=WAIT)
        made.raise_for_status()
        self.key = {"Authorization": f"token {made.json()['token']}"}
        requests.post(f"{own}/server", headers=self.key, timeout=WAIT).raise_for_status()
        end = time.monotonic() + WAIT
        while not requests.get(own, headers=self.key, timeout=WAIT).json()["servers"][""]["ready"]:
            assert time.monotonic() < end, f"{name}'s server has not started"
            time.sleep(0.1)

    def ask(self, how: str, path: str, **what):
        """A request to their own server; what it answers, as JSON."""
        url = f"{self.home}/{path}"
        answer = requests.request(how, url, headers=self.key, timeout=WAIT, **what)
        assert answer.ok, f"{self.name}, {path}: {answer.status_code} {answer.text[:2000]}"
        return answer.json() if answer.content else None

    def page(self, path: str):
        """A page of their own server; its text."""
        answer = requests.get(f"{self.home}/{path}", headers=self.key, timeout=WAIT)
        assert answer.ok, f"{self.name}, {path}: {answer.status_code}"
        return answer.text

    def read(self, path: str):
        """A file of theirs, as JupyterLab opens it."""
        return self.ask("GET", f"api/contents/{path}")["content"]

    def save(self, path: str, notebook):
        """Save a notebook as JupyterLab does."""
        made = {"type": "notebook", "format": "json", "content": notebook}
        self.ask("PUT", f"api/contents/{path}", json=made)

    def types(self, command: str, folder: str = "", code: int | None = 0, seconds: float = 300):
        """A command in a terminal, in a folder of their home: what it said. Asserts its exit code."""
        self.typed.add(command)
        name = self.ask("POST", "api/terminals")["name"]
        line = f"cd ~/{folder}; {command} > ~/said.txt 2>&1; echo ended with $?,\r"
        ended, said = None, ""
        with self._socket(f"terminals/websocket/{name}", seconds) as terminal:
            terminal.send(json.dumps(["stdin", line]))
            while not ended:
                kind, *parts = json.loads(terminal.recv())
                said += parts[0] if kind == "stdout" else ""
                ended = re.search(r"ended with (\d+),", said)  # the echo of `line` has no number
        self.ask("DELETE", f"api/terminals/{name}")
        text = self.read("said.txt")
        assert code in (None, int(ended[1])), f"{self.name}: {command}: {ended[1]}: {text}"
        return text

    def runs(self, path: str):
        """All cells of a notebook of theirs, on their own kernel: what they printed, and the exceptions raised."""
        about = {"path": path, "type": "notebook", "name": path, "kernel": {"name": "python3"}}
        session = self.ask("POST", "api/sessions", json=about)
        said = []
        with self._socket(f"api/kernels/{session['kernel']['id']}/channels", WAIT) as channels:
            for cell in self.read(path)["cells"]:
                if cell["cell_type"] == "code":
                    said += _executed(channels, "".join(cell["source"]))
        return "".join(said), lambda: self.ask("DELETE", f"api/sessions/{session['id']}")

    def _socket(self, path, seconds):
        url = f"{self.home}/{path}".replace("http://", "ws://")
        header = [f"{name}: {value}" for name, value in self.key.items()]
        return contextlib.closing(websocket.create_connection(url, timeout=seconds, header=header))


def _executed(channels, code):
    """Run code on a kernel; the texts that it printed, and the names of exceptions."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "session": number, "version": "5.3"}
    content = {"code": code, "silent": False, "stop_on_error": False, "allow_stdin": False}
    parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    channels.send(json.dumps({**parts, "channel": "shell", "buffers": []}))
    while True:
        got = channels.recv()
        message = json.loads(got) if isinstance(got, str) else {}
        if message.get("parent_header", {}).get("msg_id") != number:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return
        if kind == "stream":
            yield content["text"]
        if kind in ("display_data", "execute_result"):
            yield content["data"].get("text/plain", "")
        if kind == "error":
            yield f"{content['ename']}: {content['evalue']}\n"
