"""Our engine as a security key, with Yubico's python-fido2 as the client. Run by `tests/run interop`.

No device is needed: `examples/key_on_a_pipe.rs` answers CTAP2 messages on a pipe, as the PIN 1234's
owner who approves everything.
"""

import os
import struct
import subprocess
import tempfile
import unittest

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2
from fido2.ctap2.blob import LargeBlobs
from fido2.ctap2.extensions import CredBlobExtension, CredProtectExtension, HmacSecretExtension
from fido2.ctap2.extensions import LargeBlobExtension
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from fido2.hid import CAPABILITY
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import PublicKeyCredentialRpEntity

ORIGIN, RP_ID, PIN = "https://contoso.com", "contoso.com", "1234"
PERMISSION = ClientPin.PERMISSION


class Key(CtapDevice):
    """The engine in a process of its own."""

    capabilities = CAPABILITY.CBOR

    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([program, self.directory.name], **pipes)

    def send(self, message):
        self.process.stdin.write(struct.pack(">I", len(message)) + message)
        self.process.stdin.flush()
        (length,) = struct.unpack(">I", self.process.stdout.read(4))
        return self.process.stdout.read(length)

    def call(self, cmd, data=b"", event=None, on_keepalive=None):
        return self.send(data)

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.directory.cleanup()
        if status != 0:
            raise RuntimeError(f"the key ended with {status}")

    @classmethod
    def list_devices(cls):
        return iter(())


class User(UserInteraction):
    """Knows the PIN, if the client asks for it at all."""

    def prompt_up(self):
        pass

    def request_pin(self, permissions, rp_id):
        return PIN

    def request_uv(self, permissions, rp_id):
        return True


class SecurityKey(unittest.TestCase):
    def setUp(self):
        self.key = Key(os.environ["KEY_ON_A_PIPE"])
        self.addCleanup(self.key.close)
        self.ctap = Ctap2(self.key)
        extensions = [
            HmacSecretExtension(allow_hmac_secret=True),
            CredProtectExtension(),
            CredBlobExtension(),
            LargeBlobExtension(),
        ]
        collector = DefaultClientDataCollector(ORIGIN)
        self.client = Fido2Client(
            self.key, collector, user_interaction=User(), extensions=extensions
        )
        rp = PublicKeyCredentialRpEntity(id=RP_ID, name="Contoso")
        self.server = Fido2Server(rp, attestation="direct")

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(CtapError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.code, code)

    def register(self, user=b"ann", **extensions):
        options, state = self.server.register_begin(
            {"id": user, "name": user.decode(), "displayName": user.decode()},
            resident_key_requirement="required",
            user_verification="required",
            extensions=extensions,
        )
        answer = self.client.make_credential(options["publicKey"])
        data = self.server.register_complete(state, answer)
        self.assertTrue(data.is_user_verified())
        return data.credential_data, answer

    def sign_in(self, credential, **extensions):
        options, state = self.server.authenticate_begin(
            [credential], user_verification="required", extensions=extensions
        )
        answer = self.client.get_assertion(options["publicKey"]).get_response(0)
        self.server.authenticate_complete(state, [credential], answer)
        return answer

    def secrets(self, credential, salts):
        results = self.sign_in(credential, hmacGetSecret=salts).client_extension_results
        outputs = dict(results["hmacGetSecret"])
        secrets = [websafe_decode(outputs[name]) for name in sorted(outputs)]
        # An output that was not asked for is empty here.
        return [secret for secret in secrets if secret]

    def token(self, permissions, rp_id=None, protocol=None):
        return ClientPin(self.ctap, protocol).get_pin_token(PIN, permissions, rp_id)

    def test_registers_and_signs_in(self):
        credential, _ = self.register()
        self.sign_in(credential)

    def test_pin_protocols(self):
        for protocol in (PinProtocolV1(), PinProtocolV2()):
            pin = ClientPin(self.ctap, protocol)
            self.assertEqual(len(pin.get_pin_token(PIN, PERMISSION.CREDENTIAL_MGMT)), 32)
            self.assertEqual(len(pin.get_uv_token(PERMISSION.CREDENTIAL_MGMT)), 32)
            wrong = CtapError.ERR.PIN_INVALID
            self.refused(wrong, pin.get_pin_token, "0000", PERMISSION.CREDENTIAL_MGMT)
            self.assertEqual(pin.get_pin_retries()[0], 7)
            pin.change_pin(PIN, "567890")
            self.refused(wrong, pin.get_pin_token, PIN, PERMISSION.CREDENTIAL_MGMT)
            pin.change_pin("567890", PIN)
            self.assertEqual(pin.get_pin_retries()[0], 8)
            self.refused(CtapError.ERR.PIN_AUTH_INVALID, pin.set_pin, "111111")

    def test_three_wrong_pins_block(self):
        pin = ClientPin(self.ctap)
        for code in ("PIN_INVALID", "PIN_INVALID", "PIN_AUTH_BLOCKED"):
            code = CtapError.ERR[code]
            self.refused(code, pin.get_pin_token, "0000", PERMISSION.CREDENTIAL_MGMT)
        blocked = CtapError.ERR.PIN_AUTH_BLOCKED
        self.refused(blocked, pin.get_pin_token, PIN, PERMISSION.CREDENTIAL_MGMT)

    def test_hmac_secret(self):
        credential, answer = self.register(hmacCreateSecret=True)
        self.assertTrue(answer.client_extension_results["hmacCreateSecret"])
        salts = {"salt1": b"a" * 32, "salt2": b"b" * 32}
        both = self.secrets(credential, salts)
        self.assertEqual([len(secret) for secret in both], [32, 32])
        self.assertNotEqual(*both)
        self.assertEqual(self.secrets(credential, {"salt1": b"b" * 32}), both[1:])

    def test_cred_blob_and_protect(self):
        policy = {"credentialProtectionPolicy": "userVerificationRequired"}
        credential, answer = self.register(credBlob=b"kept", **policy)
        kept = answer.response.attestation_object.auth_data.extensions
        self.assertEqual(kept, {"credBlob": True, "credProtect": 3})
        told = self.sign_in(credential, getCredBlob=True).response.authenticator_data.extensions
        self.assertEqual(told, {"credBlob": b"kept"})

    def test_large_blobs(self):
        blob = os.urandom(9000)
        credential, answer = self.register(largeBlob={"support": "required"})
        self.assertTrue(answer.client_extension_results["largeBlob"]["supported"])
        written = self.sign_in(credential, largeBlob={"write": blob})
        self.assertTrue(written.client_extension_results["largeBlob"]["written"])
        read = self.sign_in(credential, largeBlob={"read": True}).client_extension_results
        self.assertEqual(websafe_decode(read["largeBlob"]["blob"]), blob)
        forged = LargeBlobs(self.ctap, PinProtocolV2(), os.urandom(32))
        self.refused(CtapError.ERR.PIN_AUTH_INVALID, forged.write_blob_array, [])

    def test_credential_management(self):
        ann, _ = self.register(b"ann")
        self.register(b"bob")
        protocol = PinProtocolV2()
        token = self.token(PERMISSION.CREDENTIAL_MGMT, protocol=protocol)
        manage = CredentialManagement(self.ctap, protocol, token)
        self.assertEqual(manage.get_metadata()[1], 2)
        (rp,) = manage.enumerate_rps()
        self.assertEqual(rp[3]["id"], RP_ID)
        users = lambda: [found[6] for found in manage.enumerate_creds(rp[4])]
        self.assertEqual(sorted(user["id"] for user in users()), [b"ann", b"bob"])
        credential = {"id": ann.credential_id, "type": "public-key"}
        manage.update_user_info(credential, {"id": b"ann", "name": "Ann B."})
        self.assertIn({"id": b"ann", "name": "Ann B."}, [dict(user) for user in users()])
        manage.delete_cred(credential)
        self.assertEqual([user["id"] for user in users()], [b"bob"])
        self.refused(CtapError.ERR.NO_CREDENTIALS, manage.delete_cred, credential)
        forged = CredentialManagement(self.ctap, protocol, os.urandom(32))
        self.refused(CtapError.ERR.PIN_AUTH_INVALID, forged.get_metadata)

    def test_reset(self):
        self.register()
        self.ctap.reset()
        protocol = PinProtocolV2()
        token = self.token(PERMISSION.CREDENTIAL_MGMT, protocol=protocol)
        manage = CredentialManagement(self.ctap, protocol, token)
        self.assertEqual(manage.get_metadata()[1], 0)

    def test_bad_messages_get_a_status(self):
        messages = [b"", b"\x01", b"\x06\xa0", b"\x0a\xff", b"\x0c\xa0", b"\x41\x00", b"\x06" * 5000]
        for message in messages:
            answer = self.key.send(message)
            self.assertEqual(len(answer), 1)
            self.assertNotEqual(answer, b"\x00")


if __name__ == "__main__":
    unittest.main()
