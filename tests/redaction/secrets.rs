//! What must not be seen, derived from the seeds of one transaction.

use cabled::hybrid::advert::{self, AdvertPlaintext, ConnectionNonce};
use cabled::hybrid::client::QrOffer;
use cabled::hybrid::frame::{Frame, MessageType, Sealer};
use cabled::hybrid::noise::{self, AuthenticatorSide, ClientSide, Established};
use cabled::hybrid::qr::Hint;
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled::hybrid::{PrivateKey, PublicKey};
use cabled::secret::Secret;
use hkdf::Hkdf;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::Sha256;

use crate::search::Needle;

pub(crate) const ROUTING: RoutingId = RoutingId::new([0xab, 0xcd, 0xef]);

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The secrets of the transaction in which the laptop draws from one seed and the phone from
/// another.
pub(crate) fn of_transaction(laptop: u64, phone: u64, hint: Hint, shown_at: u64) -> Vec<Needle> {
    let offer = QrOffer::new(&mut rng(laptop), hint, shown_at, false, false);
    let phone = &mut rng(phone);
    let (ephemeral, nonce) = (PrivateKey::generate(phone), ConnectionNonce::random(phone));
    let plaintext = AdvertPlaintext::new(nonce, ROUTING, TunnelServiceId::GOOGLE);
    let secret = &offer.contents.secret;
    let (eid, psk) = (secret.eid_key(), secret.psk(&plaintext));
    let sealed = advert::seal(&eid, &plaintext);
    let keys = session_keys(psk.expose(), &offer, &ephemeral);
    let text = offer.contents.encode();
    let digits = text.strip_prefix("FIDO:/").unwrap();
    // Ten digits a row: whoever prints a part of them prints one of these.
    let mut needles: Vec<_> = digits
        .as_bytes()
        .chunks_exact(10)
        .map(|part| Needle::digits("QR digits", std::str::from_utf8(part).unwrap()))
        .collect();
    needles.extend([
        Needle::new("QR contents", &offer.contents.encode_cbor()[..40]),
        Needle::new("QR secret", secret.expose()),
        Needle::new("EID key, AES half", &eid.expose()[..32]),
        Needle::new("EID key, HMAC half", &eid.expose()[32..]),
        Needle::new("tunnel id", secret.tunnel_id().expose()),
        Needle::new("advert plaintext", &plaintext.as_bytes()[1..]),
        Needle::new("sealed advert", &sealed),
        Needle::new("PSK", psk.expose()),
        Needle::new("laptop's identity key", offer.identity.scalar().expose()),
        Needle::new("laptop's ephemeral key", offer.ephemeral.scalar().expose()),
        Needle::new("phone's ephemeral key", ephemeral.scalar().expose()),
        Needle::new("session key to the phone", keys[0].expose()),
        Needle::new("session key to the laptop", keys[1].expose()),
    ]);
    needles
}

/// The keys after the handshake, by the book and apart from the code under test: Noise KNpsk0
/// with the handshake hash left out, on which they do not depend.
fn session_keys(psk: &[u8; 32], offer: &QrOffer, phone: &PrivateKey) -> [Secret<32>; 2] {
    let mut chain = [0; 32];
    let name = b"Noise_KNpsk0_P256_AESGCM_SHA256";
    chain[..name.len()].copy_from_slice(name);
    let laptop = &offer.ephemeral;
    let steps = [
        psk.to_vec(),
        laptop.public().as_bytes().to_vec(),
        phone.public().as_bytes().to_vec(),
        shared(laptop, phone.public()),
        shared(&offer.identity, phone.public()),
    ];
    for input in &steps {
        let next = expand(&chain, input);
        chain.copy_from_slice(&next[..32]);
    }
    let out = expand(&chain, &[]);
    let keys = [&out[..32], &out[32..]].map(|half| Secret::try_from(half).unwrap());
    assert_right(&keys, psk, offer, phone);
    keys
}

fn expand(chain: &[u8; 32], input: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    Hkdf::<Sha256>::new(Some(chain), input).expand(&[], &mut out).unwrap();
    out
}

fn shared(key: &PrivateKey, peer: &PublicKey) -> Vec<u8> {
    let secret = p256::SecretKey::from_slice(key.scalar().expose()).unwrap();
    let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes()).unwrap();
    p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine())
        .raw_secret_bytes()
        .to_vec()
}

/// What the handshake of the library seals is what these keys seal.
fn assert_right(keys: &[Secret<32>; 2], psk: &[u8; 32], offer: &QrOffer, phone: &PrivateKey) {
    let psk = cabled::hybrid::keys::Psk::new(*psk);
    let (first, waiting) =
        noise::initiate(ClientSide::Qr(&offer.identity), &psk, &offer.ephemeral).unwrap();
    let side = AuthenticatorSide::Qr(offer.identity.public());
    let (second, at_phone) = noise::respond(side, &psk, phone, &first).unwrap();
    let at_laptop = waiting.finish(&second).unwrap();
    let frame = Frame { kind: MessageType::Ctap, payload: b"same" };
    let seals = |mut ends: Established| ends.sealer.seal(frame).unwrap();
    assert_eq!(seals(at_laptop), Sealer::new(&keys[0]).seal(frame).unwrap());
    assert_eq!(seals(at_phone), Sealer::new(&keys[1]).seal(frame).unwrap());
}
