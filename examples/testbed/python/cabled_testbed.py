"""Client of `cabled testbed run`, and a pytest plugin. Copy this file beside your tests; it needs Python
3.9 and nothing else.

    pytest_plugins = ["cabled_testbed"]          # in conftest.py

    def test_sign_in(testbed):
        phone = testbed.phone()
        ceremony = phone.submit("FIDO:/...")     # or phone.scan(), with a browser that shows its code
        assert ceremony.wait().outcome == "signed-in"

Run them with `cabled testbed run -- pytest`. The schema is in docs/testbed.md.
"""

import base64
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

try:
    import pytest
except ImportError:  # the client alone
    pytest = None

#: How long the test bed may take for an answer, in seconds.
PATIENCE = 90


class Refused(Exception):
    """The test bed did not do it; `status` and `cause` say why."""

    def __init__(self, status, cause, error):
        super().__init__(f"{error} ({status}, {cause})")
        self.status = status
        self.cause = cause


def approve(account=None, delay=0.0):
    """The person says yes with the right PIN, to the named account or to the first, after some seconds."""
    answer = {"do": "approve", "delayMs": round(delay * 1000)}
    return answer if account is None else {**answer, "account": account}


def decline(delay=0.0):
    """The person says no."""
    return {"do": "decline", "delayMs": round(delay * 1000)}


def wrong_pin(delay=0.0):
    """The person mistypes the PIN, and then says no."""
    return {"do": "wrong-pin", "delayMs": round(delay * 1000)}


def refuse(side, status):
    """The relay refuses the connection of "laptop" or "phone" with this HTTP status."""
    return {"from": side, "do": "refuse", "status": status}


def drop(side, frame):
    """The relay loses the n-th frame from "laptop" or "phone"; the first of each is the handshake."""
    return {"from": side, "do": "drop", "frame": frame}


def late(side, frame, delay):
    """The relay holds the n-th frame, and what follows it, back for some seconds."""
    return {"from": side, "do": "delay", "frame": frame, "delayMs": round(delay * 1000)}


def corrupt(side, frame):
    """One bit of the n-th frame is another."""
    return {"from": side, "do": "corrupt", "frame": frame}


def close(side, frame):
    """The n-th frame is the last: both connections break after it."""
    return {"from": side, "do": "close", "frame": frame}


class Testbed:
    """The test bed around this program."""

    __test__ = False  # no test of pytest's, for all its name

    def __init__(self, url, token):
        self._url = url
        self._token = token
        # Never through a proxy: it is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._phones = 0

    @classmethod
    def from_environment(cls):
        """The one that `cabled testbed run` has put around this program."""
        try:
            return cls(os.environ["CABLED_TESTBED_URL"], os.environ["CABLED_TESTBED_TOKEN"])
        except KeyError:
            raise RuntimeError("no test bed here; run it as: cabled testbed run -- pytest") from None

    def request(self, method, path, body=None, raw=False):
        """One request of the control API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return answer.read() if raw else json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                said = json.loads(text)
            except ValueError:
                said = {"cause": "http", "error": text}
            raise Refused(error.code, said.get("cause"), said.get("error")) from None

    def phone(self, name=None, **setup):
        """A new phone without passkeys. What may be set: `pin`, `aaguid`; `unverified`: its answers do not say
        that the user was verified; `adverts`: "lost", "replayed", or "late" with `delay` in seconds."""
        self._phones += 1
        name = name or f"phone of test {os.getpid()}-{self._phones}"
        if "delay" in setup:
            setup["delayMs"] = round(setup.pop("delay") * 1000)
        self.request("POST", "/v1/phones", {"name": name, **setup})
        return Phone(self, name)

    def screenshot(self):
        """The display as it is now, as PNG."""
        return self.request("GET", "/v1/screenshot", raw=True)

    def ceremonies(self):
        """All ceremonies so far."""
        return [Ceremony(self, told) for told in self.request("GET", "/v1/ceremonies")["ceremonies"]]

    def crowd(self, per_second, senders):
        """Lets strangers' phones be heard by the browser's Bluetooth; `disperse` ends it."""
        self.request("PUT", "/v1/crowd", {"perSecond": per_second, "senders": senders})

    def disperse(self):
        """Sends the strangers away."""
        self.request("DELETE", "/v1/crowd")

    def bluetooth(self, powered):
        """Switches the browser's Bluetooth on or off."""
        self.request("PUT", "/v1/bluetooth", {"powered": powered})


class Phone:
    """A phone whose person follows a script."""

    def __init__(self, testbed, name):
        self._testbed = testbed
        self.name = name

    def submit(self, code, *answers, walk_away=None, relay=()):
        """Shows it the text of a code; without answers the person approves. `relay`: faults, such as
        `drop("phone", 3)`."""
        asked = {"phone": self.name, "qr": code, "script": _script(answers, walk_away, relay)}
        return Ceremony(self._testbed, self._testbed.request("POST", "/v1/ceremonies", asked))

    def scan(self, *answers, walk_away=None, relay=(), patience=60.0):
        """Shows it the code that comes up on the display."""
        asked = {"phone": self.name, "script": _script(answers, walk_away, relay)}
        asked["waitMs"] = round(patience * 1000)
        return Ceremony(self._testbed, self._testbed.request("POST", "/v1/scan", asked))

    @property
    def _path(self):
        return f"/v1/phones/{urllib.parse.quote(self.name, safe='')}"

    def passkeys(self):
        """Its passkeys, each with `rpId`, `userName` and `state`: created, delivered or used."""
        return self._testbed.request("GET", f"{self._path}/passkeys")["passkeys"]

    def plant(self, rp_id, user_id, **more):
        """Gives it a passkey; `user_id` is bytes, `more` may have `userName`, `userDisplayName`,
        `discoverable`, `state`. Gives what the site has to know: `id`, `publicKey`, `cosePublicKey`."""
        user = base64.urlsafe_b64encode(user_id).decode().rstrip("=")
        asked = {"rpId": rp_id, "userId": user, **more}
        return self._testbed.request("POST", f"{self._path}/passkeys", asked)

    def delete(self, passkey_id):
        """Its owner deletes a passkey."""
        self._testbed.request("DELETE", f"{self._path}/passkeys/{passkey_id}")

    def remove(self):
        """Takes the phone away, whatever it does; a test bed has up to 32."""
        self._testbed.request("DELETE", self._path)


def _script(answers, walk_away, relay):
    script = {"answers": list(answers), "relay": list(relay)}
    return script if walk_away is None else {**script, "walkAway": walk_away}


class Ceremony:
    """One code that a phone was shown, and what came of it."""

    def __init__(self, testbed, told):
        self._testbed = testbed
        self.told = told

    def wait(self, patience=60.0):
        """Waits until it is over."""
        deadline = time.monotonic() + patience
        while not self.told["over"]:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"the ceremony is not over: {self.told}")
            path = f"/v1/ceremonies/{self.told['id']}?waitMs={max(1, round(min(left, 60) * 1000))}"
            self.told = self._testbed.request("GET", path)
        return self

    @property
    def outcome(self):
        """How it ended, in one word; None while it runs."""
        return self.told["outcome"]

    @property
    def as_scripted(self):
        """Whether it ended as its script says."""
        return self.told["asScripted"]

    @property
    def requests(self):
        """The CTAP requests that the phone received: command, rpId, options, lengths of lists."""
        return self.refresh().told["requests"]

    @property
    def relay(self):
        """What came through the relay, and how often each fault struck."""
        return self.refresh().told["relay"]

    def until_struck(self, patience=60.0):
        """Waits until each fault of the relay has struck."""
        return self._until(lambda: all(fault["hits"] for fault in self.relay["faults"]), patience)

    def until(self, event, patience=60.0):
        """Waits until something happened, such as "asked"."""
        return self._until(lambda: self.refresh().events(event), patience)

    def _until(self, done, patience):
        deadline = time.monotonic() + patience
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"that did not happen: {self.told}")
            time.sleep(0.02)
        return self

    def refresh(self):
        """Asks once more how it stands."""
        self.told = self._testbed.request("GET", f"/v1/ceremonies/{self.told['id']}")
        return self

    def events(self, name=None):
        """What happened, all or those of a name."""
        return [event for event in self.told["events"] if name in (None, event["event"])]


if pytest is not None:

    @pytest.fixture(scope="session")
    def testbed():
        """The test bed that `cabled testbed run` has put around pytest."""
        return Testbed.from_environment()

    @pytest.fixture
    def phone(testbed):
        """A new phone for this test alone."""
        new = testbed.phone()
        yield new
        new.remove()
