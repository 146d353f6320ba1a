"""What passes between our programs and those of others. Run by `tests/run interop`.

One test, one thing that was tried; docs/interoperability.md lists them with what happened.
"""

import functools
import json
import unittest

import judges
from world import OTHER_SERVICE, Failed, World

PRF = {"prf": {"eval": {"first": "c2FsdCBvbmU", "second": "c2FsdCB0d28"}}}
OTHER_PRF = {"prf": {"eval": {"first": "YW5vdGhlciBzYWx0"}}}
UPPER_CASE = "^/cable/connect/[0-9A-F]{6}/[0-9A-F]{32}$"
LOWER_CASE = "^/cable/connect/[0-9a-f]{6}/[0-9a-f]{32}$"


class Interop(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def ceremonies(self, judge, laptop):
        """A registration, then one sign-in for a known account and one for whoever comes."""
        judge.register(laptop("register"))
        judge.sign_in(laptop("sign-in"))
        answer = judge.sign_in(laptop("sign-in"), known=False)
        # Without an allow list the passkey has to say whose it is.
        self.assertEqual(answer["response"]["userHandle"], "dXNlciBvZiB0aGUgc3VpdGU")

    def fails(self, ceremony, laptop, saying, **options):
        """The ceremony ends without an answer, and the laptop says why."""
        with self.assertRaises(Failed) as caught:
            ceremony(laptop, **options)
        self.assertIn(saying, caught.exception.args[0])

    def is_redirected(self, laptop):
        front = self.world.front(redirect=True)
        phone = functools.partial(self.world.answer, relay=f"wss://{OTHER_SERVICE}")
        judges.PythonFido2().register(laptop("register", phone=phone))
        self.assertEqual(len(front.laptops), 1)


class Wire:
    """What a laptop sends, where laptops may differ: `PATH`, `ORIGIN_HEADER`, `BEYOND`."""

    def test_what_it_sends(self):
        front = self.world.front()
        phone = functools.partial(self.world.answer, relay=f"wss://{OTHER_SERVICE}")
        judges.PythonFido2(self.ORIGIN).register(self.laptop("register", phone))
        front.close()
        (sent,) = front.laptops
        self.assertRegex(sent["path"], self.PATH)
        self.assertEqual(sent["headers"].get("origin"), self.ORIGIN_HEADER)
        self.assertEqual(sent["headers"]["sec-websocket-protocol"], "fido.cable")
        self.assertEqual(sent["tls"], "TLSv1.3")
        # Handshake, request, Shutdown; each sealed message is 16 bytes longer than what is in it.
        handshake, request, shutdown = sent["sent"]
        self.assertEqual((handshake, shutdown - 16), (81, 32 + self.BEYOND))
        self.assertEqual((request - 16) % 32, self.BEYOND)
        # Ours: handshake, getInfo, answer.
        self.assertEqual([length % 32 for length in sent["received"]], [81 % 32, 16, 16])


class OurLaptop(Wire, Interop):
    """`cabled register` and `cabled sign-in`, judged by others."""

    ORIGIN = judges.ORIGIN
    PATH, ORIGIN_HEADER = UPPER_CASE, f"wss://{OTHER_SERVICE}"
    # What it seals is a multiple of 32 bytes, and so much.
    BEYOND = 0

    def laptop(self, command, phone=None):
        return self.world.ours(command, phone)

    def test_python_fido2_verifies(self):
        self.ceremonies(judges.PythonFido2(), self.laptop)

    def test_py_webauthn_verifies(self):
        self.ceremonies(judges.PyWebauthn(), self.laptop)

    def test_python_fido2_verifies_without_attestation(self):
        answer = judges.PythonFido2(attested=False).register(self.laptop("register"))
        statement = judges.attestation(answer)
        self.assertEqual((statement.fmt, statement.att_stmt), ("none", {}))

    def test_prf_gives_the_same_secret_for_the_same_salt(self):
        judge = judges.PythonFido2()
        answer = judge.register(self.laptop("register"), extensions={"prf": {}})
        self.assertEqual(answer["clientExtensionResults"]["prf"], {"enabled": True})
        secrets = []
        for salts in [PRF, PRF, OTHER_PRF]:
            answer = judge.sign_in(self.laptop("sign-in"), extensions=salts)
            secrets.append(judges.prf_results(answer))
        self.assertEqual(secrets[0], secrets[1])
        self.assertEqual([len(secret) for secret in secrets[0] + secrets[2]], [32, 32, 32])
        self.assertEqual(len({*secrets[0], *secrets[2]}), 3)

    def test_a_redirect_is_followed(self):
        self.is_redirected(self.laptop)

    def test_of_a_phone_without_large_blobs_it_says_so(self):
        judge = judges.PythonFido2(discoverable="discouraged", verification="preferred")
        phone, wanted = self.world.their_phone, {"largeBlob": {"support": "preferred"}}
        answer = judge.register(self.laptop("register", phone), extensions=wanted)
        self.assertEqual(answer["clientExtensionResults"]["largeBlob"], {"supported": False})

    def test_large_blobs_are_written_and_read(self):
        judge, wanted = judges.PythonFido2(), {"largeBlob": {"support": "required"}}
        answer = judge.register(self.laptop("register"), extensions=wanted)
        self.assertEqual(answer["clientExtensionResults"]["largeBlob"], {"supported": True})
        blob = "d2hhdCBhIHNpdGUga2VlcHM"
        for asked, told in [({"write": blob}, {"written": True}), ({"read": True}, {"blob": blob})]:
            answer = judge.sign_in(self.laptop("sign-in"), extensions={"largeBlob": asked})
            self.assertEqual(answer["clientExtensionResults"]["largeBlob"], told)

    def test_the_phone_of_webauthn_rs(self):
        phone = self.world.their_phone
        register, sign_in = (self.laptop(name, phone) for name in ["register", "sign-in"])
        # Its software token keeps no accounts and does not say that it verified its user.
        for more, saying in [
            ({"discoverable": "required"}, "requires a discoverable passkey"),
            ({"verification": "required"}, "does not say that its user was verified"),
        ]:
            wanted = {"discoverable": "discouraged", "verification": "preferred", **more}
            self.fails(judges.PythonFido2(**wanted).register, register, saying)
        judge = judges.PythonFido2(discoverable="discouraged", verification="preferred")
        judge.register(register)
        judge.sign_in(sign_in)
        (self.world.folder / "token").unlink()
        self.fails(judge.sign_in, sign_in, "INVALID_PARAMETER")

    def test_hears_the_phone_of_webauthn_rs_through_bluez(self):
        judge = judges.PythonFido2(discoverable="discouraged", verification="preferred")
        self.world.use_bluez()
        judge.register(self.laptop("register", self.world.their_phone))


class TheirLaptop(Wire):
    """What each laptop of others is tried with: our phone, our relay, relying parties of others."""

    ORIGIN = judges.ORIGIN

    def test_python_fido2_verifies(self):
        self.ceremonies(judges.PythonFido2(self.ORIGIN), self.laptop)

    def test_py_webauthn_verifies(self):
        self.ceremonies(judges.PyWebauthn(self.ORIGIN), self.laptop)

    def test_the_phone_has_no_passkey(self):
        laptop = self.laptop("sign-in", self.world.refuse)
        self.fails(judges.PythonFido2().sign_in, laptop, "NoCredentials", known=False)

    def test_the_phone_has_a_passkey_already(self):
        judge = judges.PythonFido2(self.ORIGIN)
        judge.register(self.laptop("register"))
        laptop = self.laptop("register", self.world.refuse)
        self.fails(judge.register, laptop, "CredentialExcluded", exclude=True)

    def test_the_user_declines(self):
        laptop = self.laptop("register", self.world.decline)
        self.fails(judges.PythonFido2().register, laptop, "OperationDenied")

    def test_the_phone_does_not_know_the_algorithm(self):
        judge = judges.PythonFido2(algorithms=judges.RSA_ALONE)
        laptop = self.laptop("register", self.world.refuse)
        self.fails(judge.register, laptop, "UnsupportedAlgorithm")

    def test_our_phone_advertises_through_bluez(self):
        self.world.use_bluez()
        judge = judges.PythonFido2(self.ORIGIN)
        judge.register(self.laptop("register"))
        judge.sign_in(self.laptop("sign-in"))

    def test_the_service_with_the_number_one(self):
        self.world.relay("127.0.0.2:443")
        phone = functools.partial(self.world.answer, relay=f"wss://{OTHER_SERVICE}")
        judges.PythonFido2(self.ORIGIN).register(self.laptop("register", phone))

    def test_a_relay_that_has_no_such_tunnel(self):
        # Its address has no number, so the advert names the service at the other address.
        self.world.relay("127.0.0.2:443")
        phone = functools.partial(self.world.abandoned, relay="wss://127.0.0.2")
        self.fails(judges.PythonFido2().register, self.laptop("register", phone), "404")


class Libwebauthn(TheirLaptop, Interop):
    PATH, ORIGIN_HEADER = LOWER_CASE, None
    # It pads first and puts the type before the result.
    BEYOND = 1

    def laptop(self, command, phone=None):
        return self.world.libwebauthn(command, phone=phone)

    def test_prf_gives_the_same_secret_for_the_same_salt(self):
        judge = judges.PythonFido2()
        judge.register(self.laptop("register"), extensions={"prf": {}})
        answers = [judge.sign_in(self.laptop("sign-in"), extensions=PRF) for _ in range(2)]
        # Both laptops ask the phone for the same thing.
        answers.append(judge.sign_in(self.world.ours("sign-in"), extensions=PRF))
        first, *others = (judges.prf_results(answer) for answer in answers)
        self.assertEqual([len(secret) for secret in first], [32, 32])
        self.assertEqual(others, [first, first])

    def test_our_phone_is_remembered_and_comes_when_it_is_called(self):
        phones = ["--phones", self.world.folder / "phones.json"]
        scan = self.world.listening_phone()
        judge = judges.PythonFido2()
        judge.register(self.world.libwebauthn("register", "--linking", *phones, phone=scan))
        self.assertIn('{"linked":1}', self.world.said)
        [phone] = json.loads((self.world.folder / "phones.json").read_text())
        self.assertEqual(phone["name"], "our phone")
        for _ in range(2):
            judge.sign_in(lambda options: self.world.call_known_phone(options, phones=phones))
        # Another site, over the same link.
        other = judges.PythonFido2()
        call = functools.partial(self.world.call_known_phone, command="register", phones=phones)
        other.register(call)

    def test_linking_is_offered_and_not_answered(self):
        judge = judges.PythonFido2()
        judge.register(self.world.libwebauthn("register", "--linking"))
        judge.sign_in(self.world.libwebauthn("sign-in", "--linking"))
        self.assertIn('{"linked":0}', self.world.said)

    def test_l2cap_is_offered_and_not_answered(self):
        judge = judges.PythonFido2()
        judge.register(self.world.libwebauthn("register", "--l2cap"))

    def test_a_redirect_is_followed(self):
        self.is_redirected(self.laptop)

    def test_our_relay_calls_no_phones_and_lets_links_be(self):
        judge = judges.PythonFido2()
        self.fails(judge.sign_in, self.world.call_known_phone, "404", known=False)
        self.assertIn('{"linked":1}', self.world.said)

    def test_the_phone_of_webauthn_rs(self):
        # Between those two only the relay is ours.
        judge = judges.PythonFido2(discoverable="discouraged", verification="preferred")
        judge.register(self.laptop("register", self.world.their_phone))
        judge.sign_in(self.laptop("sign-in", self.world.their_phone))


class WebauthnRs(TheirLaptop, Interop):
    # It writes the URL of the origin in place of the origin.
    ORIGIN = f"{judges.ORIGIN}/"
    PATH, ORIGIN_HEADER = UPPER_CASE, f"wss://{OTHER_SERVICE}"
    BEYOND = 0

    def laptop(self, command, phone=None):
        return self.world.webauthn_rs(command, phone)

    def test_a_redirect_is_not_followed(self):
        front = self.world.front(redirect=True)
        phone = functools.partial(self.world.abandoned, relay=f"wss://{OTHER_SERVICE}")
        self.fails(judges.PythonFido2().register, self.laptop("register", phone), "Internal")
        self.assertEqual(len(front.laptops), 1)

    def ceremonies(self, judge, laptop):
        judge.register(laptop("register"))
        judge.sign_in(laptop("sign-in"))
        # It does not tell the phone that the relying party requires a discoverable passkey.
        laptop = self.laptop("sign-in", self.world.refuse)
        self.fails(judge.sign_in, laptop, "NoCredentials", known=False)


if __name__ == "__main__":
    unittest.main()
