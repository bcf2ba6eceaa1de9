"""A real firefox-esr, driven as a person would by WebDriver BiDi, which it speaks by itself."""

import json
import re
import subprocess
from contextlib import contextmanager

from websockets.sync.client import connect

from tests.support import need, wait_for

# Firefox calls nobody: all but this machine is behind a proxy that is not there.
NOBODY = {"http": "127.0.0.1", "http_port": 9, "ssl": "127.0.0.1", "ssl_port": 9, "type": 1}
NOBODY |= {"allow_bypass": False, "failover_direct": False}
SETTINGS = {f"network.proxy.{name}": value for name, value in NOBODY.items()}
SETTINGS |= {"intl.accept_languages": "en-US", "ui.prefersReducedMotion": 1}
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008", "Control": "\ue009"}
KEYS |= {"Escape": "\ue00c", "Space": " ", "End": "\ue010"}


class Firefox:
    """A running Firefox: what it is told, and what its console said."""

    def __init__(self, socket):
        self.socket, self.number, self.said = socket, 0, []
        self.tell("session.new", capabilities={})
        self.tell("session.subscribe", events=["log.entryAdded"])

    def tell(self, method, **params):
        """Send a command and return its result; take in the events before it."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == self.number:
                assert answer["type"] == "success", (method, params, answer)
                return answer["result"]
            if answer.get("method") == "log.entryAdded":
                self.said.append(answer["params"])


class Tab:
    """A tab of a profile: what a person does in it, and what is to be read there."""

    def __init__(self, firefox, profile, kind="tab"):
        self.firefox = firefox
        made = firefox.tell("browsingContext.create", type=kind, userContext=profile)
        self.context = made["context"]

    def tell(self, method, **params):
        return self.firefox.tell(method, context=self.context, **params)

    def goto(self, url):
        self.tell("browsingContext.navigate", url=url, wait="complete")

    def reload(self):
        self.tell("browsingContext.reload", wait="complete")

    def activate(self):
        self.tell("browsingContext.activate")

    def read(self, expression):
        """Return what an expression of JavaScript, or its promise, comes to."""
        code = f"(async () => JSON.stringify(await ({expression})))()"
        where = {"context": self.context}
        params = {"expression": code, "target": where, "awaitPromise": True}
        answer = self.firefox.tell("script.evaluate", **params)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def find_all(self, role, name):
        """Return all that have this role and name for a screen reader."""
        locator = {"type": "accessibility", "value": {"role": role, "name": name}}
        found = self.tell("browsingContext.locateNodes", locator=locator)["nodes"]
        return [{"sharedId": element["sharedId"]} for element in found]

    def find(self, role, name):
        """Wait until just one has this role and name; return it."""
        what = f"one {role} {name!r}"
        (element,) = wait_for(
            lambda: len(found := self.find_all(role, name)) == 1 and found, what=what
        )
        return element

    def click(self, role, name):
        element = self.find(role, name)
        scroll = "element => element.scrollIntoView({ block: 'nearest' })"
        where = {"target": {"context": self.context}, "awaitPromise": False}
        call = {"functionDeclaration": scroll, "arguments": [element]}
        self.firefox.tell("script.callFunction", **where, **call)
        origin = {"type": "element", "element": element}
        moved = {"type": "pointerMove", "x": 0, "y": 0, "origin": origin}
        clicked = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.act({"type": "pointer", "id": "mouse", "actions": [moved, *clicked]})

    def type(self, text):
        self.press_each([key] for key in text)

    def press(self, *keys):
        """Press a key, or several together: `press("Control", "z")`."""
        self.press_each([[KEYS.get(key, key) for key in keys]])

    def press_each(self, chords):
        actions = []
        for keys in chords:
            actions += [{"type": "keyDown", "value": key} for key in keys]
            actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.act({"type": "key", "id": "keyboard", "actions": actions})

    def act(self, source):
        self.tell("input.performActions", actions=[source])


@contextmanager
def running(directory):
    """Run Firefox with a profile in a directory; yield it."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(to)});" for name, to in SETTINGS.items()]
    (directory / "user.js").write_text("\n".join(lines))
    log = directory / "firefox.log"
    command = [need("firefox-esr", "firefox-esr"), "--headless", "--no-remote"]
    command += ["--profile", directory, "--remote-debugging-port", "0"]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        listening = wait_for(
            lambda: re.search(r"BiDi listening on (ws://\S+)\n", log.read_text()),
            seconds=60,
            what="Firefox",
        )
        with connect(f"{listening[1]}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(60)
