//! What a passkey signs and how: authenticator data, signatures, attestation.
//!
//! Depends on p256, the pure modules and siblings only.

mod certificate;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};

use super::{Attestation, Config, Failure};
use crate::authenticator::passkey::Backup;
use crate::authenticator::{Passkey, Verification, store};
use crate::cbor::Value;
use crate::ctap::{
    AttestedCredential, AuthenticatorData, CosePublicKey, ES256, Es256PublicKey, Flags,
};

/// The private half, ready to sign.
pub(super) fn signing_key(passkey: &Passkey) -> Result<SigningKey, Failure> {
    let key = SigningKey::from_slice(passkey.private_key.expose());
    key.map_err(|_| Failure::Store(store::Error::Corrupt))
}

/// ES256 over authenticator data and client data hash, in DER.
pub(super) fn sign(key: &SigningKey, auth_data: &[u8], client_data_hash: &[u8; 32]) -> Vec<u8> {
    let signature: Signature = key.sign(&[auth_data, client_data_hash].concat());
    signature.to_der().as_bytes().to_vec()
}

/// Authenticator data for a user who was verified.
///
/// The counter is 0 for ever, which says that there is none: a real one would have to be kept
/// durable before every answer, links a user's sign-ins at different sites if it is shared, and
/// cries "cloned" when a store is restored from a backup. The backup flags are the passkey's own: one
/// that was announced as bound to this phone says so for ever, and is never exported.
pub(super) fn authenticator_data(passkey: &Passkey, _proof: Verification) -> AuthenticatorData {
    let data = unattended_data(passkey);
    AuthenticatorData { flags: data.flags | Flags::USER_PRESENT | Flags::USER_VERIFIED, ..data }
}

/// Authenticator data that says that no user was there.
pub(super) fn unattended_data(passkey: &Passkey) -> AuthenticatorData {
    AuthenticatorData {
        rp_id_hash: Sha256::digest(&passkey.rp.id).into(),
        flags: backup_flags(passkey.backup),
        sign_count: 0,
        attested: None,
        extensions: None,
    }
}

/// BE and BS; BS without BE is what sites have to refuse.
fn backup_flags(backup: Backup) -> Flags {
    match (backup.eligible, backup.backed_up) {
        (false, _) => Flags(0),
        (true, false) => Flags::BACKUP_ELIGIBLE,
        (true, true) => Flags::BACKUP_ELIGIBLE | Flags::BACKED_UP,
    }
}

pub(super) fn attested(
    config: &Config,
    passkey: &Passkey,
    key: &SigningKey,
) -> Result<AttestedCredential, Failure> {
    Ok(AttestedCredential {
        aaguid: config.aaguid,
        id: passkey.id.as_bytes().to_vec(),
        public_key: public_key(key)?,
    })
}

/// The public half, as it is told.
pub(super) fn public_key(key: &SigningKey) -> Result<CosePublicKey, Failure> {
    let point = key.verifying_key().to_encoded_point(false);
    let public_key = Es256PublicKey::from_sec1(point.as_bytes());
    public_key.map(CosePublicKey::Es256).ok_or(Failure::Store(store::Error::Corrupt))
}

/// Format and statement.
pub(super) fn attestation(
    config: &Config,
    key: &SigningKey,
    auth_data: &[u8],
    client_data_hash: &[u8; 32],
) -> Result<(&'static str, Value), Failure> {
    let signed = || {
        let signature = sign(key, auth_data, client_data_hash);
        [("alg", Value::int(ES256)), ("sig", Value::from(signature))]
    };
    Ok(match config.attestation {
        Attestation::None => ("none", Value::Map(Vec::new())),
        Attestation::PackedSelf => ("packed", Value::text_map(signed())),
        Attestation::PackedCertificate => {
            let CosePublicKey::Es256(public) = public_key(key)? else {
                return Err(Failure::Store(store::Error::Corrupt));
            };
            let certificate = certificate::certificate(key, &public.to_spki(), &config.aaguid);
            let chain = ("x5c", Value::Array(vec![Value::from(certificate)]));
            ("packed", Value::text_map(signed().into_iter().chain([chain])))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backed_up_is_never_said_without_eligible() {
        let flags = |eligible, backed_up| backup_flags(Backup { eligible, backed_up }).0;
        assert_eq!([flags(true, false), flags(true, true)], [0x08, 0x18]);
        assert_eq!([flags(false, false), flags(false, true)], [0, 0]);
    }
}
