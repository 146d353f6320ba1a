"""The examples that speak to the laptop's daemon, one in Rust and one in Python. Run by `tests/run interop`.

The messages of the second are made of the schema by Google's compiler, as its users do.
"""

import json
import os
import pathlib
import subprocess
import sys
import unittest

import judges
from world import CABLED, SERVICE, World

ROOT = pathlib.Path(__file__).parent.parent.parent
SCHEMA = "cabled/control/v1/control.proto"


class Examples(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        folder = self.world.folder
        words = ["-m", "grpc_tools.protoc", "-I", ROOT / "proto"]
        words += [f"--python_out={folder}", f"--grpc_python_out={folder}", SCHEMA]
        subprocess.run([sys.executable, *words], check=True)
        self.env = {
            "CABLED_DAEMON_SOCKET": str(folder / "run" / "laptop.sock"),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": str(folder),
        }
        link = ["--radio", self.world.radio, "--relay", f"wss://{SERVICE}", "--simulated-with-public"]
        daemon = self.world.start([CABLED, "daemon", *link], env=self.env)
        daemon.begins("The laptop's service listens")

    def laptop(self, *program, phone=None):
        """A laptop as judges take them: the example, and a phone that scans what it shows."""

        def laptop(options):
            file = self.world.folder / "options.json"
            file.write_text(json.dumps(options))
            example = self.world.start([*program, file, judges.ORIGIN], env=self.env)
            code = example.begins("scan FIDO:/").removeprefix("scan ")
            (phone or self.world.answer)(code)
            answer = example.until(lambda line: line.startswith("{"))
            self.ended = example.end(), example.seen
            return json.loads(answer) if answer else None

        return laptop

    def receipts(self):
        words = [CABLED, "receipts", "list", "--json"]
        listed = self.world.start(words, env=self.env)
        return json.loads(listed.begins("{"))["receipts"]

    def test_they_register_and_sign_in(self):
        judge = judges.PythonFido2()
        answer = judge.register(self.laptop(os.environ["DAEMON_CLIENT"]))
        self.assertEqual(self.ended[0], 0, self.ended)
        (receipt,) = self.receipts()
        self.assertEqual(receipt["credentialId"], answer["id"])
        self.assertIsNotNone(receipt["takenAt"])
        example = ROOT / "examples" / "daemon_client.py"
        judge.sign_in(self.laptop(sys.executable, example))
        self.assertEqual(self.ended[0], 0, self.ended)

    def test_they_say_why_nothing_came_of_it(self):
        rust = [os.environ["DAEMON_CLIENT"]]
        python = [sys.executable, ROOT / "examples" / "daemon_client.py"]
        judges.PythonFido2().register(self.laptop(*rust))
        options = {
            "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
            "rpId": judges.RP_ID,
            "rp": {"id": judges.RP_ID, "name": "Contoso"},
            "user": {"id": "AQ", "name": "anna", "displayName": "Anna"},
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        }
        for program in [rust, python]:
            self.assertIsNone(self.laptop(*program, phone=self.world.decline)(options))
            status, seen = self.ended
            self.assertEqual(status, 1)
            self.assertIn("approve the request on the phone", seen[-1])


if __name__ == "__main__":
    unittest.main()
