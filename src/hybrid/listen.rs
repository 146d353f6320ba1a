//! How a phone lets itself be rung: it listens at its tunnel service under its contact id.
//!
//! The specification leaves the way between a phone and its service to them, so this one is ours. A
//! contact id commits to a key and to the service that it was made for: only who has the key can listen
//! under it, and a service that is listened at learns nothing with which it could listen elsewhere.
//!
//! ```text
//!  phone                                               tunnel service
//!    │ ── /cable/listen/CONTACT ──────────────────────────> │
//!    │ <── challenge: a fresh public key ────────────────── │
//!    │ ── proof: own public key, HMAC, name of service ───> │ admits, or closes
//!    │ <── ring: number, tunnel, routing id, payload ────── │ <── /cable/contact/CONTACT of a laptop
//!    │ ── answer: number, verdict ────────────────────────> │ ──> 101, 410, 429
//!    │ ── /cable/connect/ROUTING/TUNNEL ──────────────────> │     joined
//! ```
//!
//! Depends on `crypto`, `linking`, `tunnel` and `cbor`.

use hmac::{Hmac, Mac};
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use super::crypto::{PrivateKey, PublicKey};
use super::linking::ClientPayload;
use super::tunnel::{ContactId, RoutingId, TunnelId};
use crate::cbor::{self, Value};

/// Bytes that a message of either side has at most.
pub const MAX_MESSAGE: usize = 1024;

/// Bytes of a service's name at most; see [`ListenKey::new`].
pub const MAX_SERVICE_NAME: usize = 255;

const CONTACT_LABEL: &[u8] = b"cabled contact 1\0";
const PROOF_LABEL: &[u8] = b"cabled listen 1\0";
const MAC_LEN: usize = 32;

/// What a phone listens with: its key, and the name of the service.
#[derive(Clone, Debug)]
pub struct ListenKey {
    key: PrivateKey,
    service: String,
}

impl ListenKey {
    /// The key for one service, by the name under which the phone reaches it. `None` for a name that is
    /// longer than [`MAX_SERVICE_NAME`].
    #[must_use]
    pub fn new(key: PrivateKey, service: &str) -> Option<Self> {
        (service.len() <= MAX_SERVICE_NAME).then(|| Self { key, service: service.to_owned() })
    }

    /// What laptops ring.
    #[must_use]
    pub fn contact_id(&self) -> ContactId {
        contact_id(self.key.public().as_bytes(), self.service.as_bytes())
    }

    /// The answer to a challenge; `None` for what is none.
    #[must_use]
    pub fn prove(&self, challenge: &[u8]) -> Option<Vec<u8>> {
        let mac = proof(&self.key, challenge, challenge, &self.contact_id())?;
        let own = self.key.public().as_bytes();
        Some([&own[..], &mac.finalize().into_bytes()[..], self.service.as_bytes()].concat())
    }
}

/// What a service wants proven: for one connection.
#[derive(Debug)]
pub struct Challenge(PrivateKey);

impl Challenge {
    /// Draws one.
    pub fn new(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(PrivateKey::generate(rng))
    }

    /// The message for the phone.
    #[must_use]
    pub fn message(&self) -> [u8; 65] {
        *self.0.public().as_bytes()
    }

    /// Whether this is the answer of who may listen under `contact`; compared in constant time.
    #[must_use]
    pub fn admits(&self, contact: &ContactId, answer: &[u8]) -> bool {
        self.check(contact, answer).is_some()
    }

    fn check(&self, contact: &ContactId, answer: &[u8]) -> Option<()> {
        let (public, rest) = answer.split_at_checked(65)?;
        let (mac, service) = rest.split_at_checked(MAC_LEN)?;
        if service.len() > MAX_SERVICE_NAME || contact_id(public, service) != *contact {
            return None;
        }
        let public = PublicKey::from_sec1(public)?;
        let expected = proof(&self.0, public.as_bytes(), &self.message(), contact)?;
        expected.verify_slice(mac).ok()
    }
}

fn contact_id(public: &[u8], service: &[u8]) -> ContactId {
    let hash = Sha256::new().chain_update(CONTACT_LABEL).chain_update(public).chain_update(service);
    ContactId::of_key(hash.finalize().into())
}

/// Keyed with what both sides alone can agree on.
fn proof(
    own: &PrivateKey,
    peer: &[u8],
    challenge: &[u8],
    contact: &ContactId,
) -> Option<Hmac<Sha256>> {
    let shared = own.agree(peer)?;
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(shared.expose()).ok()?;
    Some(mac.chain_update(PROOF_LABEL).chain_update(challenge).chain_update(contact.expose()))
}

/// A laptop rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Names the ring in its answer.
    pub number: u64,
    /// The tunnel in which the laptop waits.
    pub tunnel: TunnelId,
    /// The node of the service that has it.
    pub routing: RoutingId,
    /// What the laptop says.
    pub payload: ClientPayload,
}

/// What the phone says to a ring, before it asks anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It comes.
    Coming,
    /// It does not know that link, or no longer: the laptop may forget it.
    NoSuchLink,
    /// It was rung too often, or has too much to do.
    Busy,
}

/// The answer to a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which ring.
    pub number: u64,
    /// What the phone does about it.
    pub verdict: Verdict,
}

impl Ring {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::int_map([
            (1, Value::from(self.number)),
            (2, Value::from(*self.tunnel.expose())),
            (3, Value::from(self.routing.to_bytes())),
            (4, Value::from(self.payload.encode())),
        ]))
    }

    /// Reads it; `None` for what is none.
    #[must_use]
    pub fn decode(message: &[u8]) -> Option<Self> {
        let map = read(message)?;
        let bytes = |key| map.get(key).and_then(Value::as_bytes);
        Some(Self {
            number: map.get(1)?.as_uint()?,
            tunnel: TunnelId::new(bytes(2)?.try_into().ok()?),
            routing: RoutingId::new(bytes(3)?.try_into().ok()?),
            payload: ClientPayload::decode(bytes(4)?)?,
        })
    }
}

impl Answer {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let verdict: u64 = match self.verdict {
            Verdict::Coming => 0,
            Verdict::NoSuchLink => 1,
            Verdict::Busy => 2,
        };
        cbor::encode(&Value::int_map([(1, Value::from(self.number)), (2, Value::from(verdict))]))
    }

    /// Reads it; `None` for what is none.
    #[must_use]
    pub fn decode(message: &[u8]) -> Option<Self> {
        let map = read(message)?;
        let verdict = match map.get(2)?.as_uint()? {
            0 => Verdict::Coming,
            1 => Verdict::NoSuchLink,
            2 => Verdict::Busy,
            _ => return None,
        };
        Some(Self { number: map.get(1)?.as_uint()?, verdict })
    }
}

fn read(message: &[u8]) -> Option<Value> {
    (message.len() <= MAX_MESSAGE).then(|| cbor::decode_lenient(message).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::hybrid::linking::LinkId;
    use crate::hybrid::qr::Hint;

    fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    fn phone(seed: u64, service: &str) -> ListenKey {
        ListenKey::new(PrivateKey::generate(&mut rng(seed)), service).unwrap()
    }

    #[test]
    fn the_owner_of_the_key_may_listen_and_nobody_else() {
        let (phone, other) = (phone(1, "relay.example"), phone(2, "relay.example"));
        let challenge = Challenge::new(&mut rng(3));
        let proof = phone.prove(&challenge.message()).unwrap();
        assert!(challenge.admits(&phone.contact_id(), &proof));
        assert!(!challenge.admits(&other.contact_id(), &proof));
        // An answer to another challenge, and one with somebody else's key.
        let later = Challenge::new(&mut rng(4));
        assert!(!later.admits(&phone.contact_id(), &proof));
        let foreign = other.prove(&challenge.message()).unwrap();
        assert!(!challenge.admits(&phone.contact_id(), &foreign));
    }

    #[test]
    fn a_service_cannot_pass_a_proof_on_to_another() {
        let key = PrivateKey::generate(&mut rng(1));
        let at = |service| ListenKey::new(key.clone(), service).unwrap();
        let (here, there) = (at("evil.example"), at("relay.example"));
        // The evil service hands the phone the challenge that it got from the other one.
        let challenge = Challenge::new(&mut rng(3));
        let proof = here.prove(&challenge.message()).unwrap();
        assert!(!challenge.admits(&there.contact_id(), &proof));
        let renamed = [&proof[..65 + MAC_LEN], b"relay.example"].concat();
        assert!(!challenge.admits(&there.contact_id(), &renamed));
    }

    #[test]
    fn spoiled_proofs_and_challenges_are_refused() {
        let phone = phone(1, "relay.example");
        let challenge = Challenge::new(&mut rng(3));
        let proof = phone.prove(&challenge.message()).unwrap();
        for at in 0..proof.len() {
            let mut spoiled = proof.clone();
            spoiled[at] ^= 1;
            assert!(!challenge.admits(&phone.contact_id(), &spoiled), "{at}");
            assert!(!challenge.admits(&phone.contact_id(), &proof[..at]), "{at}");
        }
        for nonsense in [&[][..], &[4; 65], &[0; 64]] {
            assert!(phone.prove(nonsense).is_none());
        }
        assert!(ListenKey::new(PrivateKey::generate(&mut rng(1)), &"a".repeat(256)).is_none());
    }

    #[test]
    fn rings_and_answers_come_back_as_they_went() {
        let payload = ClientPayload {
            link_id: LinkId([7; 8]),
            nonce: [9; 16].into(),
            hint: Hint::MakeCredential,
        };
        let (tunnel, routing) = (TunnelId::new([1; 16]), RoutingId::new([1, 2, 3]));
        let ring = Ring { number: u64::MAX, tunnel, routing, payload };
        assert_eq!(Ring::decode(&ring.encode()), Some(ring));
        for verdict in [Verdict::Coming, Verdict::NoSuchLink, Verdict::Busy] {
            let answer = Answer { number: 3, verdict };
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode(&[0xa2, 1, 0, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_proof_or_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let phone = phone(1, "relay.example");
            prop_assert!(!Challenge::new(&mut rng(3)).admits(&phone.contact_id(), &bytes));
            let _ = (phone.prove(&bytes), Ring::decode(&bytes), Answer::decode(&bytes));
        }
    }
}
