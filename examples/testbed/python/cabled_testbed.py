"""Client of `cabled testbed run`, and a pytest plugin. Copy this file beside your tests; it needs Python
3.9 and nothing else.

    pytest_plugins = ["cabled_testbed"]          # in conftest.py

    def test_sign_in(testbed):
        phone = testbed.phone()
        ceremony = phone.submit("FIDO:/...")     # or phone.scan(), with a browser that shows its code
        assert ceremony.wait().outcome == "signed-in"

Run them with `cabled testbed run -- pytest`. The schema is in docs/testbed.md.
"""

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

    def request(self, method, path, body=None):
        """One request of the control API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                said = json.loads(text)
            except ValueError:
                said = {"cause": "http", "error": text}
            raise Refused(error.code, said.get("cause"), said.get("error")) from None

    def phone(self, name=None, pin=None, aaguid=None):
        """A new phone without passkeys."""
        self._phones += 1
        name = name or f"phone of test {os.getpid()}-{self._phones}"
        asked = {"name": name, "pin": pin, "aaguid": aaguid}
        self.request("POST", "/v1/phones", {k: v for k, v in asked.items() if v is not None})
        return Phone(self, name)

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

    def submit(self, code, *answers, walk_away=None):
        """Shows it the text of a code; without answers the person approves."""
        asked = {"phone": self.name, "qr": code, "script": _script(answers, walk_away)}
        return Ceremony(self._testbed, self._testbed.request("POST", "/v1/ceremonies", asked))

    def scan(self, *answers, walk_away=None, patience=30.0):
        """Shows it the code that comes up on the display."""
        asked = {"phone": self.name, "script": _script(answers, walk_away)}
        asked["waitMs"] = round(patience * 1000)
        return Ceremony(self._testbed, self._testbed.request("POST", "/v1/scan", asked))

    def passkeys(self):
        """Its passkeys, each with `rpId`, `userName` and `state`: created, delivered or used."""
        path = f"/v1/phones/{urllib.parse.quote(self.name, safe='')}/passkeys"
        return self._testbed.request("GET", path)["passkeys"]


def _script(answers, walk_away):
    script = {"answers": list(answers)}
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
        return testbed.phone()
