"""The site under test, and a laptop without a browser: `cabled register` and `cabled sign-in`."""

import json
import os
import queue
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

pytest_plugins = ["cabled_testbed"]

PATIENCE = 60


class Site:
    """The example site, as its page asks it."""

    def __init__(self, origin):
        self.origin = origin
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
        )

    def ask(self, path, body):
        headers = {"Content-Type": "application/json", "Origin": self.origin}
        request = urllib.request.Request(self.origin + path, json.dumps(body).encode(), headers)
        with self._opener.open(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def state(self):
        with self._opener.open(self.origin + "/api/state", timeout=PATIENCE) as answer:
            return json.load(answer)

    def refuses(self, path, body):
        try:
            answer = self.ask(path, body)
        except urllib.error.HTTPError as error:
            return json.load(error)
        raise AssertionError(f"{path} was not refused: {answer}")


class Laptop:
    """One ceremony of a laptop: `code` is what it shows, `answer` waits for what it gives the site."""

    def __init__(self, command, site, begun, radio=None):
        self.ceremony = begun["ceremony"]
        options = begun["publicKey"]
        program = [os.environ.get("CABLED", "cabled"), command, "--options", "-", "--qr", "url"]
        self._program = subprocess.Popen(
            [*program, "--origin", site.origin, "--json", *(["--radio", radio] if radio else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._program.stdin.write(json.dumps(options.get("publicKey", options)))
        self._program.stdin.close()
        self._lines = queue.Queue()
        self._output = []
        self._readers = [
            threading.Thread(target=self._read_errors, daemon=True),
            threading.Thread(target=lambda: self._output.append(self._program.stdout.read()), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_errors(self):
        for line in self._program.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def code(self):
        """The text of the code that it shows."""
        seen = []
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            seen.append(line)
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "qr":
                return event["text"]
        raise AssertionError(f"the laptop shows no code: {seen}")

    def end(self):
        """Waits for its end; gives its exit status."""
        status = self._program.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status

    def answer(self):
        """What the site is to get; fails if the ceremony failed."""
        status = self.end()
        assert status == 0, [self._lines.get() for _ in range(self._lines.qsize())]
        return {"ceremony": self.ceremony, "credential": json.loads(self._output[0])}

    def kill(self):
        self._program.kill()
        self._program.wait()


@pytest.fixture
def site():
    program = os.environ.get("RELYING_PARTY", "target/debug/examples/relying_party")
    # A bug to plant, to see that the tests find it: test_planted_bugs.py.
    bug = os.environ.get("RELYING_PARTY_BUG")
    options = ["--bug", bug] if bug else []
    server = subprocess.Popen([program, "--port", "0", *options], stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        assert line.startswith("listening on "), line
        yield Site(line.split()[-1].rstrip("/"))
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def laptop(site):
    """Begins a ceremony with the site: laptop("register") or laptop("sign-in")."""
    begun = []

    def begin(command, radio=None, **body):
        options = site.ask(f"/api/{command}/begin", body)
        begun.append(Laptop(command, site, options, radio))
        return begun[-1]

    yield begin
    for one in begun:
        one.kill()


def pytest_generate_tests(metafunc):
    """CABLED_TESTBED_LOOPS=N runs each scenario N times."""
    loops = int(os.environ.get("CABLED_TESTBED_LOOPS", "1"))
    if loops > 1 and metafunc.module.__name__ == "test_scenarios":
        metafunc.fixturenames.append("loop")
        metafunc.parametrize("loop", range(1, loops + 1))


def pytest_terminal_summary(terminalreporter):
    """What a scenario takes, the start of the site included."""
    seconds = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "nodeid", "").startswith(("test_scenarios.py", "examples/testbed/python/test_scenarios.py")):
                seconds[report.nodeid] = seconds.get(report.nodeid, 0) + report.duration
    times = sorted(seconds.values())
    if times:
        middle = times[len(times) // 2]
        terminalreporter.write_line(
            f"scenarios: {len(times)} runs, median {middle:.2f} s, longest {times[-1]:.2f} s"
        )
