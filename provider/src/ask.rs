//! What is asked of the phone, and what its answer has to be: CTAP2 messages, without any IO.

use cabled::cbor::{self, Value};
use cabled::ctap::{
    AuthenticatorData, CosePublicKey, GetAssertionRequest, GetAssertionResponse, GetInfo,
    MakeCredentialResponse, NewKey, Status, split_response,
};
use p256::ecdsa::Signature;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// A new key.
pub(crate) struct Enroll<'a> {
    pub(crate) key: NewKey<'a>,
    /// What an attestation vouches for, where there is one.
    pub(crate) challenge: &'a [u8],
}

/// What the phone made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enrolled {
    /// The point, uncompressed.
    pub(crate) public_key: Vec<u8>,
    pub(crate) key_handle: Vec<u8>,
    /// Of the attestation; empty if the phone vouches for nothing.
    pub(crate) signature: Vec<u8>,
    /// Of the attestation; empty if the passkey vouches for itself.
    pub(crate) certificate: Vec<u8>,
    /// In the CBOR that `ssh-keygen -O write-attestation` documents.
    pub(crate) auth_data: Vec<u8>,
}

impl Enroll<'_> {
    /// The message for a phone that can do this much.
    pub(crate) fn message(&self, info: &GetInfo) -> Vec<u8> {
        self.key.request(info, Sha256::digest(self.challenge).into()).encode()
    }

    /// What the reply says, if it is an answer to this.
    pub(crate) fn read(&self, reply: &[u8]) -> Result<Enrolled, Error> {
        let body = body(reply)?;
        let response = MakeCredentialResponse::decode(body)
            .map_err(|_| Error::Answer("it is no registration"))?;
        let data = checked(&response.auth_data, self.key.rp_id, self.key.verification)?;
        let (key_handle, public_key) = match data.attested.map(|made| (made.id, made.public_key)) {
            Some((id, CosePublicKey::Es256(public))) if !id.is_empty() => (id, public.to_sec1()),
            _ => return Err(Error::Answer("it has no key of ECDSA with P-256")),
        };
        let member = |name: &str| {
            let mut members = response.att_stmt.as_map()?.iter();
            members.find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
        };
        let bytes = |value: &Value| value.as_bytes().map(<[u8]>::to_vec);
        let chain = member("x5c").and_then(Value::as_array);
        Ok(Enrolled {
            public_key,
            key_handle,
            signature: member("sig").and_then(bytes).unwrap_or_default(),
            certificate: chain.and_then(<[_]>::first).and_then(bytes).unwrap_or_default(),
            auth_data: cbor::encode(&Value::from(&response.auth_data[..])),
        })
    }
}

/// A signature with a key.
pub(crate) struct Sign<'a> {
    pub(crate) application: &'a str,
    /// What is to be signed, whole.
    pub(crate) message: &'a [u8],
    pub(crate) key_handle: &'a [u8],
    pub(crate) verification: bool,
}

/// What the phone signed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    /// Big-endian, without zeros in front.
    pub(crate) r: Vec<u8>,
    pub(crate) s: Vec<u8>,
}

impl Sign<'_> {
    /// The message for a phone that can do this much.
    pub(crate) fn message(&self, info: &GetInfo) -> Vec<u8> {
        let (hash, keys) = (Sha256::digest(self.message).into(), [self.key_handle.to_vec()]);
        GetAssertionRequest::by_key(self.application, hash, keys, info, self.verification).encode()
    }

    /// What the reply says, if it is an answer to this.
    pub(crate) fn read(&self, reply: &[u8]) -> Result<Signed, Error> {
        let response = GetAssertionResponse::decode(body(reply)?)
            .map_err(|_| Error::Answer("it is no signature"))?;
        // With one passkey in the list the answer may leave out which one it was.
        if response.credential.is_some_and(|signed| signed.id != self.key_handle) {
            return Err(Error::Answer("another passkey signed"));
        }
        let data = checked(&response.auth_data, self.application, self.verification)?;
        // OpenSSH has no place for what would be signed beside them.
        if response.auth_data.len() != SIGNED {
            return Err(Error::Answer("it has extensions that nobody asked for"));
        }
        let signature = Signature::from_der(&response.signature)
            .map_err(|_| Error::Answer("its signature is none of ECDSA with P-256"))?;
        let (r, s) = signature.split_bytes();
        Ok(Signed { flags: data.flags.0, counter: data.sign_count, r: number(&r), s: number(&s) })
    }
}

/// Bytes of what OpenSSH builds again to verify a signature: hash, flags and counter.
const SIGNED: usize = 37;

fn body(reply: &[u8]) -> Result<&[u8], Error> {
    let (status, body) = split_response(reply).map_err(|_| Error::Answer("it is empty"))?;
    match status {
        Status::OK => Ok(body),
        Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL => Err(Error::NotThere),
        Status::CREDENTIAL_EXCLUDED => Err(Error::Exists),
        status => Err(Error::Refused(status)),
    }
}

fn checked(
    auth_data: &[u8],
    application: &str,
    verification: bool,
) -> Result<AuthenticatorData, Error> {
    let data = AuthenticatorData::decode(auth_data)
        .map_err(|_| Error::Answer("it has no authenticator data"))?;
    if !data.is_for(application) {
        return Err(Error::Answer("it is for something else"));
    }
    if !data.is_verified_for(verification) {
        return Err(Error::Unverified);
    }
    Ok(data)
}

fn number(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}

#[cfg(test)]
mod tests {
    use cabled::ctap::{
        AttestedCredential, CredentialDescriptor, ES256, Es256PublicKey, Flags,
        MakeCredentialRequest, respond,
    };

    use super::*;

    const PUBLIC: Es256PublicKey = Es256PublicKey { x: [1; 32], y: [2; 32] };

    fn enroll(resident: bool, verification: bool) -> Enroll<'static> {
        let (user_id, user_name) = (vec![7; 32], "openssh");
        let key = NewKey { rp_id: "ssh:", user_id, user_name, resident, verification };
        Enroll { key, challenge: b"challenge" }
    }

    const SIGN: Sign<'static> =
        Sign { application: "ssh:", message: b"m", key_handle: b"handle", verification: false };

    fn data(rp_id: &str, flags: Flags, key: Option<CosePublicKey>) -> AuthenticatorData {
        AuthenticatorData {
            rp_id_hash: Sha256::digest(rp_id).into(),
            flags,
            sign_count: 0x0102_0304,
            attested: key.map(|public_key| AttestedCredential {
                aaguid: [0; 16],
                id: vec![3; 16],
                public_key,
            }),
            extensions: None,
        }
    }

    fn made(data: &AuthenticatorData, statement: Vec<(&str, Value)>) -> Vec<u8> {
        let response = MakeCredentialResponse {
            fmt: if statement.is_empty() { "none" } else { "packed" }.to_owned(),
            auth_data: data.encode(),
            att_stmt: Value::text_map(statement),
            ep_att: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        respond(Ok(response.encode()))
    }

    fn signed(data: &AuthenticatorData, id: Option<&[u8]>, signature: &[u8]) -> Vec<u8> {
        let response = GetAssertionResponse {
            credential: id.map(|id| CredentialDescriptor::new(id.to_vec())),
            auth_data: data.encode(),
            signature: signature.to_vec(),
            user: None,
            number_of_credentials: None,
            user_selected: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        respond(Ok(response.encode()))
    }

    const PRESENT: Flags = Flags::USER_PRESENT;

    #[test]
    fn only_what_the_phone_can_do_is_asked() {
        let asked = |enroll: &Enroll<'_>, info: &GetInfo| {
            let request = MakeCredentialRequest::decode(&enroll.message(info)[1..]).unwrap();
            assert_eq!(request.client_data_hash[..], Sha256::digest(b"challenge")[..]);
            (request.extensions, request.options.rk, request.options.uv)
        };
        let mut info = GetInfo::default();
        assert_eq!(asked(&enroll(true, true), &info), (vec![], Some(true), None));
        info.extensions.push("credProtect".to_owned());
        info.options.push(("uv".to_owned(), true));
        let level = |level| vec![("credProtect".to_owned(), Value::int(level))];
        assert_eq!(asked(&enroll(true, true), &info), (level(3), Some(true), Some(true)));
        assert_eq!(asked(&enroll(true, false), &info), (level(2), Some(true), None));
        assert_eq!(asked(&enroll(false, false), &info), (vec![], None, None));
        let sign = GetAssertionRequest::decode(&SIGN.message(&info)[1..]).unwrap();
        assert_eq!(sign.client_data_hash[..], Sha256::digest(b"m")[..]);
        assert_eq!((sign.options.up, sign.options.uv), (None, None));
        let sign = Sign { verification: true, ..SIGN };
        let sign = GetAssertionRequest::decode(&sign.message(&info)[1..]).unwrap();
        assert_eq!(sign.options.uv, Some(true));
    }

    #[test]
    fn a_phone_may_vouch_for_nothing_for_itself_or_with_a_certificate() {
        let data = data("ssh:", PRESENT, Some(CosePublicKey::Es256(PUBLIC)));
        let none = enroll(false, false).read(&made(&data, vec![])).unwrap();
        assert_eq!((none.public_key, none.key_handle), (PUBLIC.to_sec1(), vec![3; 16]));
        assert_eq!((none.signature, none.certificate), (vec![], vec![]));
        assert_eq!(cbor::decode(&none.auth_data).unwrap().as_bytes(), Some(&data.encode()[..]));
        let (sig, x5c) = (Value::from(&b"s"[..]), vec![Value::from(&b"c"[..])]);
        let alone = made(&data, vec![("alg", Value::int(ES256)), ("sig", sig.clone())]);
        let alone = enroll(false, false).read(&alone).unwrap();
        assert_eq!((&alone.signature[..], &alone.certificate[..]), (&b"s"[..], &b""[..]));
        let chain = made(&data, vec![("sig", sig), ("x5c", Value::Array(x5c))]);
        let chain = enroll(false, false).read(&chain).unwrap();
        assert_eq!((&chain.signature[..], &chain.certificate[..]), (&b"s"[..], &b"c"[..]));
        let odd = made(&data, vec![("sig", Value::int(1)), ("x5c", Value::Array(vec![]))]);
        let odd = enroll(false, false).read(&odd).unwrap();
        assert_eq!((odd.signature, odd.certificate), (vec![], vec![]));
    }

    #[test]
    fn only_an_answer_to_the_question_is_taken() {
        let key = || Some(CosePublicKey::Es256(PUBLIC));
        let verified = PRESENT | Flags::USER_VERIFIED;
        enroll(false, true).read(&made(&data("ssh:", verified, key()), vec![])).unwrap();
        let failed = |verification, reply: &[u8]| {
            enroll(false, verification).read(reply).unwrap_err().to_string()
        };
        let unverified = made(&data("ssh:", PRESENT, key()), vec![]);
        assert!(failed(true, &unverified).contains("did not verify"));
        let other = Some(CosePublicKey::Other(Value::Map(vec![])));
        for (wrong, why) in [
            (made(&data("ssh:x", PRESENT, key()), vec![]), "for something else"),
            (made(&data("ssh:", PRESENT, other), vec![]), "no key of ECDSA"),
            (made(&data("ssh:", PRESENT, None), vec![]), "no key of ECDSA"),
            (vec![], "it is empty"),
            (vec![0], "no registration"),
            (vec![Status::OPERATION_DENIED.0], "refused"),
        ] {
            assert!(failed(false, &wrong).contains(why), "{why}: {}", failed(false, &wrong));
        }
        let excluded = enroll(false, false).read(&[Status::CREDENTIAL_EXCLUDED.0]).unwrap_err();
        assert_eq!(excluded.number(), -5);
    }

    #[test]
    fn a_signature_is_taken_apart_and_checked() {
        // r has zeros in front, and s one byte that DER lengthens.
        let der = [&[0x30, 0x08, 0x02, 0x02, 0x01, 0x02, 0x02, 0x02, 0x00, 0xff][..]].concat();
        let good = data("ssh:", PRESENT, None);
        for id in [None, Some(&b"handle"[..])] {
            let read = SIGN.read(&signed(&good, id, &der)).unwrap();
            let wanted =
                Signed { flags: 1, counter: 0x0102_0304, r: vec![0x01, 0x02], s: vec![0xff] };
            assert_eq!(read, wanted);
        }
        let mut extended = good.clone();
        extended.extensions = Some(Value::Map(vec![]));
        for (wrong, why) in [
            (signed(&good, Some(b"other"), &der), "another passkey"),
            (signed(&data("ssh:x", PRESENT, None), None, &der), "for something else"),
            (signed(&extended, None, &der), "extensions"),
            (signed(&good, None, &der[..9]), "its signature"),
            (signed(&good, None, b""), "its signature"),
            (vec![Status::NO_CREDENTIALS.0], "has no passkey"),
        ] {
            let error = SIGN.read(&wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
        let verifying = Sign { verification: true, ..SIGN };
        assert!(matches!(verifying.read(&signed(&good, None, &der)), Err(Error::Unverified)));
    }
}
