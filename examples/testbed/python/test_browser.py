"""The same with a browser that nobody clicks in: it shows its code, and the phone finds it on the display.

Runs beside `cabled testbed run --browser chromium`.
"""

import http.server
import json
import os
import queue
import subprocess
import threading

import pytest

from cabled_testbed import decline

PATIENCE = 60
CHROMIUM = [
    # Its sandbox does not run for root, and CI often is root.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-position=0,0",
    "--window-size=1200,900",
]
PAGE = b"""<!doctype html><title>test</title><script>
const bytes = () => crypto.getRandomValues(new Uint8Array(16));
const create = () => navigator.credentials.create({ publicKey: {
    rp: { id: "localhost", name: "Test" }, user: { id: bytes(), name: "anna", displayName: "Anna" },
    challenge: bytes(), pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    authenticatorSelection: { residentKey: "required", authenticatorAttachment: "cross-platform" } } });
create().then(made => made.id, error => error.name)
    .then(text => fetch("/result", { method: "POST", body: text }));
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.path == "/":
            self.wfile.write(PAGE)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.results.put(self.rfile.read(length).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def browser(tmp_path):
    """A Chromium on a page that asks for a passkey; gives the page's results."""
    program = os.environ.get("CABLED_BROWSER")
    if program is None:
        pytest.skip("no browser: cabled testbed run --browser chromium")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.results = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    given = json.loads(os.environ["CABLED_BROWSER_ARGUMENTS"])
    given = [word for word in given if not word.startswith("--user-data-dir=")]
    address = f"http://localhost:{server.server_address[1]}/"
    chromium = subprocess.Popen(
        [program, *given, *CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", address],
        env={**os.environ, "HOME": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield server.results
    finally:
        chromium.kill()
        chromium.wait()
        server.shutdown()


def test_a_browser_registers(browser, phone):
    ceremony = phone.scan(patience=PATIENCE)
    made = browser.get(timeout=PATIENCE)
    assert ceremony.wait().outcome == "registered"
    assert [passkey["id"] for passkey in phone.passkeys()] == [made]


def test_a_browser_is_declined(browser, phone):
    ceremony = phone.scan(decline(), patience=PATIENCE)
    assert ceremony.wait().outcome == "refused"
    assert phone.passkeys() == []
