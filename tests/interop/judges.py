"""Relying parties that others wrote: they make the options and verify the answers.

Each has `register(laptop)` and `sign_in(laptop, known)`, where `laptop(options)` performs a ceremony
and gives the answer's JSON as a dict. An answer that does not verify raises what the library raises.
"""

import json

import webauthn
from fido2.attestation import PackedAttestation
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import (
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
)
from webauthn.helpers import structs

RP_ID = "contoso.com"
ORIGIN = "https://login.contoso.com"
USER = b"user of the suite"
RSA_ALONE = [PublicKeyCredentialParameters(type="public-key", alg=-257)]


def prove_packed(attestation, client_data_hash):
    """The statement is of the form that the phone says, and its signature holds."""
    if attestation.fmt != "packed":
        raise ValueError(f"attestation {attestation.fmt}")
    PackedAttestation().verify(attestation.att_stmt, attestation.auth_data, client_data_hash)


def attestation(answer):
    return RegistrationResponse.from_dict(answer).response.attestation_object


def prf_results(answer):
    """The secrets in an answer, in order."""
    results = answer["clientExtensionResults"]["prf"]["results"]
    return [websafe_decode(results[name]) for name in sorted(results)]


class PythonFido2:
    """Yubico's python-fido2, Fido2Server."""

    def __init__(
        self,
        origin=ORIGIN,
        attested=True,
        verification="required",
        discoverable="required",
        algorithms=None,
    ):
        self.verification, self.discoverable = verification, discoverable
        rp = PublicKeyCredentialRpEntity(id=RP_ID, name="Contoso")
        self.server = Fido2Server(
            rp,
            attestation="direct" if attested else "none",
            verify_attestation=prove_packed,
            verify_origin=lambda told: told == origin,
        )
        if algorithms:
            self.server.allowed_algorithms = algorithms
        self.passkeys = []

    def register(self, laptop, exclude=False, extensions=None):
        user = PublicKeyCredentialUserEntity(id=USER, name="anna", display_name="Anna")
        options, state = self.server.register_begin(
            user,
            credentials=self.passkeys if exclude else None,
            resident_key_requirement=self.discoverable,
            user_verification=self.verification,
            extensions=extensions,
        )
        answer = laptop(dict(options)["publicKey"])
        data = self.server.register_complete(state, answer)
        self.passkeys.append(data.credential_data)
        return answer

    def sign_in(self, laptop, known=True, extensions=None):
        passkeys = self.passkeys if known else None
        options, state = self.server.authenticate_begin(
            passkeys, user_verification=self.verification, extensions=extensions
        )
        answer = laptop(dict(options)["publicKey"])
        self.server.authenticate_complete(state, self.passkeys, answer)
        return answer


class PyWebauthn:
    """Duo's py_webauthn."""

    def __init__(self, origin=ORIGIN):
        self.origin, self.passkeys = origin, {}

    def register(self, laptop, exclude=False):
        options = webauthn.generate_registration_options(
            rp_id=RP_ID,
            rp_name="Contoso",
            user_name="anna",
            user_id=USER,
            attestation=structs.AttestationConveyancePreference.DIRECT,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=self.descriptors() if exclude else None,
        )
        answer = laptop(json.loads(webauthn.options_to_json(options)))
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=options.challenge,
            expected_rp_id=RP_ID,
            expected_origin=self.origin,
            require_user_verification=True,
        )
        if verified.fmt != structs.AttestationFormat.PACKED:
            raise ValueError(f"attestation {verified.fmt}")
        self.passkeys[verified.credential_id] = verified
        return answer

    def sign_in(self, laptop, known=True):
        options = webauthn.generate_authentication_options(
            rp_id=RP_ID,
            allow_credentials=self.descriptors() if known else None,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        answer = laptop(json.loads(webauthn.options_to_json(options)))
        passkey = self.passkeys[webauthn.base64url_to_bytes(answer["rawId"])]
        webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=options.challenge,
            expected_rp_id=RP_ID,
            expected_origin=self.origin,
            credential_public_key=passkey.credential_public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        return answer

    def descriptors(self):
        return [structs.PublicKeyCredentialDescriptor(id=one) for one in self.passkeys]
