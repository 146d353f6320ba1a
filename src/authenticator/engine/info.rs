//! authenticatorGetInfo: what is said about this authenticator, by transport.
//!
//! Over hybrid it is a phone, which verifies by itself and knows no tokens; as a security key of this
//! machine it has what browsers and tools look for, and nothing that contradicts the rest: a token
//! option without a PIN makes browsers drop CTAP2. Depends on [`crate::ctap`] and siblings only.
//!
//! Specification: CTAP 2.2, section 6.4.

use super::blobs::MAX_ARRAY;
use super::extensions::{CRED_PROTECT, PRF};
use super::hmac_secret::HMAC_SECRET;
use super::site_data::{CRED_BLOB, LARGE_BLOB, LARGE_BLOB_KEY};
use super::{Config, Transport};
use crate::authenticator::passkey::MAX_CRED_BLOB;
use crate::authenticator::store::Pin;
use crate::cbor::Value;
use crate::ctap::{CredentialParameters, ES256, GetInfo, MAX_CREDENTIAL_ID, MAX_LIST, PinProtocol};

/// The longest message of CTAPHID: what 129 packets hold.
pub(super) const MAX_MESSAGE_HID: usize = 7609;

/// What getInfo says. Without a PIN to compare with there are no tokens, only the phone's own
/// verification.
pub(super) fn info(config: &Config, transport: Transport, knows_pin: bool) -> GetInfo {
    let base = GetInfo {
        versions: texts(&["FIDO_2_0", "FIDO_2_1"]),
        aaguid: config.aaguid,
        algorithms: vec![CredentialParameters::new(ES256)],
        ..GetInfo::default()
    };
    match transport {
        // `plat` is false: seen from the client this is another device. No message size: it would
        // have to be named to allow more than 1024 bytes, but clients of phones do not look.
        Transport::Hybrid => GetInfo {
            extensions: texts(&[CRED_PROTECT, LARGE_BLOB, PRF]),
            options: options(&[("rk", true), ("uv", true), ("plat", false)]),
            transports: texts(&["internal", "hybrid"]),
            ..base
        },
        Transport::Hid => hid(base, knows_pin),
    }
}

fn hid(base: GetInfo, knows_pin: bool) -> GetInfo {
    let mut all = vec![("rk", true), ("up", true), ("uv", true), ("plat", false)];
    all.push(("largeBlobs", true));
    if knows_pin {
        let tokens = ["clientPin", "pinUvAuthToken", "credMgmt", "credentialMgmtPreview"];
        all.extend(tokens.map(|option| (option, true)));
        all.push(("makeCredUvNotRqd", false));
    }
    let array = Value::Uint(MAX_ARRAY as u64);
    let min_pin = Value::Uint(Pin::MIN_CHARS as u64);
    GetInfo {
        extensions: texts(&[CRED_BLOB, CRED_PROTECT, HMAC_SECRET, LARGE_BLOB_KEY]),
        options: options(&all),
        max_msg_size: Some(MAX_MESSAGE_HID as u64),
        pin_uv_auth_protocols: PinProtocol::ALL.map(|protocol| protocol as u64).to_vec(),
        max_credential_count_in_list: Some(MAX_LIST as u64),
        max_credential_id_length: Some(MAX_CREDENTIAL_ID as u64),
        // A site that stores this list finds the passkey again over either way.
        transports: texts(&["usb", "hybrid", "internal"]),
        other: vec![(11, array), (13, min_pin), (15, Value::Uint(MAX_CRED_BLOB as u64))],
        ..base
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn options(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}
