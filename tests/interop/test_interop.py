"""What passes between our programs and those of others. Run by `tests/run interop`.

One test, one thing that was tried; docs/interoperability.md lists them with what happened.
"""

import unittest

import judges
from world import Failed, World

PRF = {"prf": {"eval": {"first": "c2FsdCBvbmU", "second": "c2FsdCB0d28"}}}
OTHER_PRF = {"prf": {"eval": {"first": "YW5vdGhlciBzYWx0"}}}


class Interop(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def ceremonies(self, judge, laptop):
        """A registration, then one sign-in for a known account and one for whoever comes."""
        judge.register(laptop("register"))
        judge.sign_in(laptop("sign-in"), known=True)
        answer = judge.sign_in(laptop("sign-in"), known=False)
        # Without an allow list the passkey has to say whose it is.
        self.assertEqual(answer["response"]["userHandle"], "dXNlciBvZiB0aGUgc3VpdGU")

    def fails(self, ceremony, laptop, saying, **options):
        """The ceremony ends without an answer, and the laptop says why."""
        with self.assertRaises(Failed) as caught:
            ceremony(laptop, **options)
        self.assertIn(saying, caught.exception.args[0])


class OurLaptop(Interop):
    """`cabled register` and `cabled sign-in`, judged by others."""

    def test_python_fido2_verifies(self):
        self.ceremonies(judges.PythonFido2(), self.world.ours)

    def test_py_webauthn_verifies(self):
        self.ceremonies(judges.PyWebauthn(), self.world.ours)

    def test_python_fido2_verifies_without_attestation(self):
        answer = judges.PythonFido2(attested=False).register(self.world.ours("register"))
        statement = judges.attestation(answer)
        self.assertEqual((statement.fmt, statement.att_stmt), ("none", {}))

    def test_prf_gives_the_same_secret_for_the_same_salt(self):
        judge = judges.PythonFido2()
        answer = judge.register(self.world.ours("register"), extensions={"prf": {}})
        self.assertEqual(answer["clientExtensionResults"]["prf"], {"enabled": True})
        secrets = []
        for salts in [PRF, PRF, OTHER_PRF]:
            answer = judge.sign_in(self.world.ours("sign-in"), extensions=salts)
            secrets.append(judges.prf_results(answer))
        self.assertEqual(secrets[0], secrets[1])
        self.assertEqual([len(secret) for secret in secrets[0] + secrets[2]], [32, 32, 32])
        self.assertEqual(len({*secrets[0], *secrets[2]}), 3)

    def test_a_phone_without_large_blobs_says_so(self):
        wanted = {"largeBlob": {"support": "preferred"}}
        answer = judges.PythonFido2().register(self.world.ours("register"), extensions=wanted)
        self.assertEqual(answer["clientExtensionResults"]["largeBlob"], {"supported": False})

    def test_the_phone_of_webauthn_rs(self):
        phone = self.world.their_phone
        register, sign_in = (self.world.ours(name, phone) for name in ["register", "sign-in"])
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


if __name__ == "__main__":
    unittest.main()
