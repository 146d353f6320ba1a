"""The programs of a ceremony: our relay, phone and laptop, and those that others wrote.

All of it runs inside of the namespace that inside.sh makes, where the names of the public tunnel
services are this machine: laptops that know no other service reach our relay by its public name.
"""

import contextlib
import datetime
import fcntl
import functools
import ipaddress
import json
import os
import pathlib
import pty
import queue
import select
import socket
import subprocess
import tempfile
import termios
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import judges
from front import Front

CABLED = os.environ["CABLED"]
LIBWEBAUTHN = os.environ["LIBWEBAUTHN"]
WEBAUTHN_RS = os.environ["WEBAUTHN_RS"]
SERVICE = "cable.ua5v.com"
OTHER_SERVICE = "cable.auth.com"
# Number 257, of nobody that we know: our phone listens where it is not at its makers' expense.
PRIVATE_SERVICE = "cable.4a6bwmj6hiyyd.net"
# Only a hang lasts that long.
PATIENCE = 60


class Failed(Exception):
    """A laptop ended without an answer; the text is what it said."""


class Program:
    """A running program; its lines are read as they come."""

    def __init__(self, arguments, env=None, stdin=None, terminal=False):
        self.terminal, self.name = None, arguments[0]
        # Whoever runs the tests may have settings of their own.
        own = {name: text for name, text in os.environ.items() if not name.startswith("CABLED_")}
        settings = {"env": {**own, **(env or {})}, "text": True}
        if terminal:
            self.terminal, stdin = pty.openpty()
            settings |= {"start_new_session": True, "preexec_fn": lambda: take_terminal(stdin)}
        self.process = subprocess.Popen(
            [str(word) for word in arguments],
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **settings,
        )
        if terminal:
            os.close(stdin)
        self.seen, self.lines, self.open_streams = [], queue.Queue(), 2
        self.readers = [self.read(self.process.stdout), self.read(self.process.stderr)]

    def read(self, stream):
        def forward():
            for line in stream:
                self.lines.put(line.rstrip("\n"))
            self.lines.put(None)

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        return thread

    def until(self, wanted):
        """Waits for a line for which `wanted` is true; None when the program said no such thing."""
        while self.open_streams:
            line = self.lines.get(timeout=PATIENCE)
            if line is None:
                self.open_streams -= 1
                continue
            self.seen.append(line)
            if wanted(line):
                return line
        return None

    def begins(self, start):
        line = self.until(lambda line: line.startswith(start))
        assert line is not None, f"{self.name} did not say {start!r}: {self.seen}"
        return line

    def type(self, text):
        os.write(self.terminal, text.encode())

    def shows(self, text):
        """Waits for a text on the terminal."""
        screen = b""
        while text.encode() not in screen:
            ready, _, _ = select.select([self.terminal], [], [], PATIENCE)
            assert ready, f"{self.name} did not show {text!r}: {screen!r}"
            screen += os.read(self.terminal, 1024)

    def end(self):
        """Waits for the end; gives the status."""
        self.until(lambda _: False)
        return self.process.wait(timeout=PATIENCE)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        if self.terminal is not None:
            os.close(self.terminal)


def take_terminal(descriptor):
    """Makes a terminal the one of this process, which has just begun a session."""
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def certificate(folder, names, address):
    """A certificate that is its own authority, and its key, as PEM files."""
    names = [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address(address))]
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "interop")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    (folder / "key.pem").chmod(0o600)


class World(contextlib.ExitStack):
    """A relay that listens at the public name, a simulated radio, a phone's store."""

    def __init__(self):
        super().__init__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        certificate(self.folder, [SERVICE, OTHER_SERVICE, PRIVATE_SERVICE], "127.0.0.2")
        os.environ["SSL_CERT_FILE"] = str(self.folder / "cert.pem")
        pin = self.folder / "pin"
        pin.write_text("314159\n")
        pin.chmod(0o600)
        self.radio, self.env = f"air:{self.folder / 'air'}", {}
        self.relay("127.0.0.1:443")

    @functools.cached_property
    def bus(self):
        """The address of a D-Bus with a fake BlueZ, which is on the simulated radio."""
        bluez = self.start([CABLED, "testbed", "bluez", "--radio", self.radio])
        return bluez.begins("listening on ").removeprefix("listening on ")

    def start(self, *arguments, **more):
        program = Program(*arguments, **more)
        self.callback(program.stop)
        return program

    def use_bluez(self):
        """Lets our programs, too, hear and send adverts through BlueZ from now on."""
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": self.bus}
        self.radio = "bluez"

    def relay(self, address):
        files = ["--tls-cert", self.folder / "cert.pem", "--tls-key", self.folder / "key.pem"]
        relay = self.start([CABLED, "relay", "--listen", address, *files])
        relay.begins("listening on ")

    def front(self, redirect=False):
        """The other service, as a front of our relay that writes down what laptops send."""
        front = Front(self.folder, "127.0.0.2", SERVICE, redirect)
        self.callback(front.close)
        return front

    def our_phone(self, code, relay=f"wss://{SERVICE}", terminal=False):
        """Our phone; without a terminal it says yes to everything."""
        words = [CABLED, "phone", "scan", code, "--radio", self.radio]
        words += ["--relay", relay, "--simulated-with-public"]
        words += ["--store", self.folder / "store", "--pin-file", self.folder / "pin"]
        words += [] if terminal else ["--auto-approve"]
        return self.start(words, env=self.env, terminal=terminal)

    def answer(self, code, **more):
        """Our phone up to its end, which is good only if the laptop took leave of it."""
        phone = self.our_phone(code, **more)
        phone.begins("The laptop has got the answer")
        assert phone.end() == 0, phone.seen

    def refuse(self, code):
        """Our phone, which has to end without an answer."""
        phone = self.our_phone(code)
        assert phone.end() == 6, phone.seen

    def abandoned(self, code, **more):
        """Our phone, which no laptop ever reaches."""
        self.our_phone(code, **more).begins("Showing this phone to the laptop")

    def decline(self, code):
        """Our phone, whose user says no."""
        phone = self.our_phone(code, terminal=True)
        phone.shows("[y/N]")
        phone.type("n\n")
        assert phone.end() == 6, phone.seen

    def their_phone(self, code):
        """The phone of webauthn-authenticator-rs, with the simulated radio."""
        phone = self.start([WEBAUTHN_RS, "phone", code, self.folder / "token"])
        told = json.loads(phone.begins('{"advert"'))
        with on_air(self.folder / "air", told["service"], bytes.fromhex(told["advert"])):
            phone.begins('{"silent"')
        end = phone.until(lambda line: line.startswith(('{"response"', '{"error"')))
        assert end == '{"response":"answered"}', phone.seen
        assert phone.end() == 0, phone.seen

    # Laptops, as judges take them: each gives a function from options to the answer.

    def ours(self, command, phone=None):
        words = [CABLED, command, "--options", self.folder / "options.json"]
        words += ["--origin", judges.ORIGIN, "--radio", self.radio]
        words += ["--qr", "url", "--simulated-with-public"]

        def laptop(options):
            (self.folder / "options.json").write_text(json.dumps(options))
            program = self.start(words, env=self.env)
            (phone or self.answer)(program.begins("FIDO:/"))
            answer = program.until(lambda line: line.startswith("{"))
            if program.end() != 0 or answer is None:
                raise Failed("\n".join(program.seen))
            return json.loads(answer)

        return laptop

    def libwebauthn(self, command, *flags, phone=None):
        return self.theirs([LIBWEBAUTHN, command, judges.ORIGIN, *flags], phone)

    def webauthn_rs(self, command, phone=None):
        laptop = self.theirs([WEBAUTHN_RS, command, judges.ORIGIN], phone)

        def in_standard_form(options):
            # It does not read options without a list, and its answers name the attestation's format
            # where WebAuthn has the type of the credential.
            if command == "sign-in":
                options.setdefault("allowCredentials", [])
            return laptop(options) | {"type": "public-key"}

        return in_standard_form

    def theirs(self, words, phone):
        def laptop(options):
            program = self.their_program(words, options)
            (phone or self.answer)(json.loads(program.begins('{"qr"'))["qr"])
            return self.conclusion(program)

        return laptop

    def their_program(self, words, options):
        file = self.folder / "options.json"
        file.write_text(json.dumps(options))
        # They hear adverts through BlueZ, or what looks like it.
        env = {"DBUS_SYSTEM_BUS_ADDRESS": self.bus}
        with file.open() as given:
            return self.start(words, env=env, stdin=given)

    def conclusion(self, program):
        end = program.until(lambda line: line.startswith(('{"response"', '{"error"')))
        assert end is not None and program.end() == 0, program.seen
        self.said = program.seen
        end = json.loads(end)
        if "error" in end:
            raise Failed("\n".join(program.seen))
        return end["response"]

    def call_known_phone(self, options, command="sign-in", phones=()):
        """libwebauthn calls a phone that it knows, in place of showing a code."""
        words = [LIBWEBAUTHN, command, judges.ORIGIN, "--known", *phones]
        return self.conclusion(self.their_program(words, options))

    def listening_phone(self):
        """Our phone's service at a relay of its own, remembering whoever asks; gives how it is shown a code."""
        self.relay("127.0.0.3:443")
        socket_path = self.folder / "phone.sock"
        words = [CABLED, "phone", "--store", self.folder / "store", "--pin-file", self.folder / "pin"]
        words += ["--socket", socket_path, "run", "--auto-approve", "--radio", self.radio]
        words += ["--relay", f"wss://{PRIVATE_SERVICE}", "--name", "our phone"]
        service = self.start(words, env=self.env)
        service.begins("The phone's service listens at")

        def scan(code):
            phone = self.start([CABLED, "phone", "--socket", socket_path, "scan", code])
            phone.begins("The laptop has got the answer")
            assert phone.end() == 0, phone.seen
            service.begins("Computers that this phone remembers can ring it now")

        return scan


@contextlib.contextmanager
def on_air(folder, service, data):
    """Sends an advert to all who listen, as src/ble/frame.rs has it, until the block ends."""
    frame = b"cab1\x01" + os.urandom(6) + service.to_bytes(2, "big") + data
    quiet = threading.Event()

    def send():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            while not quiet.wait(0.02):
                for ear in folder.glob("*.scan"):
                    with contextlib.suppress(OSError):
                        mouth.sendto(frame, str(ear))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        quiet.set()
        thread.join()
