//! The pure protocol beside its floor: the bare primitives of the crates it is built on, measured
//! in the same run. `docs/benchmarks.md` explains and reports.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and reads the clock"
)]

use std::hint::black_box;
use std::time::Instant;

use aes_gcm::KeyInit;
use aes_gcm::aead::AeadInPlace;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey};
use cabled::hybrid::advert::{self, AdvertPlaintext, ConnectionNonce, TrialOpener};
use cabled::hybrid::client::{self, QrOffer, Sender};
use cabled::hybrid::frame::{Frame, MessageType, Opener, Sealer};
use cabled::hybrid::keys::QrSecret;
use cabled::hybrid::noise::{self, AuthenticatorSide, ClientSide};
use cabled::hybrid::post_handshake::PostHandshake;
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled::hybrid::{PrivateKey, authenticator};
use cabled::secret::Secret;
use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, Mac};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn advert_plaintext(rng: &mut ChaCha20Rng) -> AdvertPlaintext {
    let nonce = ConnectionNonce::random(rng);
    AdvertPlaintext::new(nonce, RoutingId::new([1, 2, 3]), TunnelServiceId::new(266))
}

/// Two key generations and two agreements a side: what the handshake cannot do without.
fn handshake(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake");
    let rng = &mut rng();
    let identity = PrivateKey::generate(rng);
    let psk = QrSecret::random(rng).psk(&advert_plaintext(rng));
    group.bench_function("ours, both sides", |b| {
        b.iter(|| {
            let ephemerals = (PrivateKey::generate(rng), PrivateKey::generate(rng));
            let (first, wait) =
                noise::initiate(ClientSide::Qr(&identity), &psk, &ephemerals.0).unwrap();
            let side = AuthenticatorSide::Qr(identity.public());
            let (second, phone) = noise::respond(side, &psk, &ephemerals.1, &first).unwrap();
            black_box((wait.finish(&second).unwrap(), phone))
        });
    });
    let peer = agreement::PrivateKey::generate(&ECDH_P256).unwrap().compute_public_key().unwrap();
    group.bench_function("floor, aws-lc-rs: 2 keygen + 4 ECDH", |b| {
        b.iter(|| {
            for _ in 0..2 {
                let key = agreement::PrivateKey::generate(&ECDH_P256).unwrap();
                black_box(key.compute_public_key().unwrap());
                for _ in 0..2 {
                    let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_ref());
                    let x = agreement::agree(&key, peer, (), |x| Ok(x.len()));
                    black_box(x.unwrap());
                }
            }
        });
    });
    let pure = p256::SecretKey::random(rng);
    let pure_peer = pure.public_key();
    group.bench_function("pure Rust, p256: 2 keygen + 4 ECDH", |b| {
        b.iter(|| {
            for _ in 0..2 {
                let key = p256::SecretKey::random(rng);
                black_box(key.public_key());
                for _ in 0..2 {
                    let scalar = key.to_nonzero_scalar();
                    black_box(p256::ecdh::diffie_hellman(scalar, pure_peer.as_affine()));
                }
            }
        });
    });
    group.finish();
}

fn adverts(c: &mut Criterion) {
    let mut group = c.benchmark_group("advert");
    let rng = &mut rng();
    let key = QrSecret::random(rng).eid_key();
    let ours = advert::seal(&key, &advert_plaintext(rng));
    let mut foreign = [0; 20];
    rng.fill_bytes(&mut foreign);
    let opener = TrialOpener::new(&key);
    group.bench_function("ours, foreign", |b| b.iter(|| opener.open(black_box(&foreign))));
    group.bench_function("ours, match", |b| b.iter(|| opener.open(black_box(&ours)).unwrap()));
    group.bench_function("ours, seal", |b| {
        let plaintext = advert_plaintext(rng);
        b.iter(|| advert::seal(black_box(&key), &plaintext));
    });
    let kept = <Hmac<sha2::Sha256> as Mac>::new_from_slice(&[7; 32]).unwrap();
    group.bench_function("floor, HMAC-SHA-256 of 16 bytes, sha2, key kept", |b| {
        b.iter(|| kept.clone().chain_update(black_box(&foreign[..16])).finalize());
    });
    let kept = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
    group.bench_function("floor, HMAC-SHA-256 of 16 bytes, aws-lc-rs", |b| {
        b.iter(|| aws_lc_rs::hmac::sign(&kept, black_box(&foreign[..16])));
    });
    group.finish();
}

fn qr(c: &mut Criterion) {
    let mut group = c.benchmark_group("qr");
    let offer = QrOffer::new(&mut rng(), Hint::MakeCredential, 1_700_000_000, false, false);
    let text = offer.contents.encode();
    group.bench_function("ours, encode", |b| b.iter(|| black_box(&offer.contents).encode()));
    group.bench_function("ours, decode", |b| b.iter(|| QrContents::decode(black_box(&text))));
    let compressed = offer.contents.identity.compressed();
    group.bench_function("floor, p256 point decompression", |b| {
        b.iter(|| p256::PublicKey::from_sec1_bytes(black_box(&compressed)).unwrap());
    });
    group.finish();
}

/// Frames of one channel; its key and counters stay in the cache, as in a transaction.
const FRAMES: u32 = 1_000_000;

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame 1 KiB");
    let key = Secret::new([7; 32]);
    let payload = vec![0xa5; 1024];
    group.bench_function("ours, seal and open", |b| {
        let fresh = || (Sealer::new(&key), Opener::new(&key));
        let ((mut sealer, mut opener), mut left) = (fresh(), FRAMES);
        b.iter(|| {
            // New counters now and then, so that a long run does not use them up.
            if left == 0 {
                ((sealer, opener), left) = (fresh(), FRAMES);
            }
            left -= 1;
            let frame = Frame { kind: MessageType::Ctap, payload: black_box(&payload) };
            opener.open(&sealer.seal(frame).unwrap()).unwrap()
        });
    });
    let kept = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    group.bench_function("floor, AES-256-GCM seal and open, aws-lc-rs, key kept", |b| {
        b.iter(|| {
            let nonce = || Nonce::assume_unique_for_key([0; 12]);
            let mut buffer = payload.clone();
            kept.seal_in_place_append_tag(nonce(), Aad::empty(), &mut buffer).unwrap();
            black_box(kept.open_in_place(nonce(), Aad::empty(), &mut buffer).unwrap().len())
        });
    });
    let pure = aes_gcm::Aes256Gcm::new(&[7; 32].into());
    group.bench_function("pure Rust, AES-256-GCM seal and open, aes-gcm, key kept", |b| {
        b.iter(|| {
            let mut buffer = payload.clone();
            pure.encrypt_in_place(&[0; 12].into(), b"", &mut buffer).unwrap();
            pure.decrypt_in_place(&[0; 12].into(), b"", &mut buffer).unwrap();
            black_box(buffer.len())
        });
    });
    group.finish();
}

/// QR to acknowledged answer, both state machines, no IO.
fn ceremony(c: &mut Criterion) {
    let rng = &mut rng();
    c.bench_function("ceremony in process", |b| b.iter(|| whole_ceremony(rng)));
}

fn whole_ceremony(rng: &mut ChaCha20Rng) {
    use authenticator::{Input as PhoneInput, Output as PhoneOutput};
    use client::{Input, Output};
    let now = Instant::now();
    let offer = QrOffer::new(rng, Hint::MakeCredential, 1_700_000_000, false, false);
    let mut laptop = client::Transaction::qr(offer, client::Deadlines::default(), now);
    let contents = QrContents::decode(&laptop.qr_text().unwrap()).unwrap();
    let offer = authenticator::Offer {
        post_handshake: PostHandshake::ctap(vec![0xa0]),
        ephemeral: PrivateKey::generate(rng),
        nonce: ConnectionNonce::random(rng),
        l2cap: None,
    };
    let scan = authenticator::Scan { contents };
    let deadlines = authenticator::Deadlines::default();
    let mut phone = authenticator::Transaction::qr(scan, offer, deadlines, now);
    let (routing, service) = (RoutingId::new([1, 2, 3]), TunnelServiceId::GOOGLE);
    phone.handle(PhoneInput::TunnelOpen { routing, service }, now).unwrap();
    let via = ChannelKind::Tunnel;
    let sender = Sender { address: [0; 6], random: true };
    loop {
        if let Some(output) = phone.poll_output() {
            match output {
                PhoneOutput::Advertise(data) => {
                    laptop.handle(Input::Sighting { service_data: &data, sender }, now).unwrap();
                }
                PhoneOutput::Send { message, .. } => {
                    laptop.handle(Input::Message(&message), now).unwrap();
                }
                PhoneOutput::Event(authenticator::Event::Ctap(request)) => {
                    phone.handle(PhoneInput::Response(&request), now).unwrap();
                }
                PhoneOutput::Event(authenticator::Event::Closed) => return,
                _ => {}
            }
        } else if let Some(output) = laptop.poll_output() {
            match output {
                Output::OpenChannel(_) => laptop.handle(Input::ChannelOpen, now).unwrap(),
                Output::Send(message) => {
                    phone.handle(PhoneInput::Message { via, message: &message }, now).unwrap();
                }
                Output::Event(client::Event::Ready(_)) => {
                    laptop.handle(Input::Ctap(&[1; 256]), now).unwrap();
                }
                Output::Event(client::Event::Ctap(_)) => laptop.handle(Input::Finish, now).unwrap(),
                _ => {}
            }
        } else {
            unreachable!("the ceremony stands still");
        }
    }
}

criterion_group!(benches, handshake, adverts, qr, frames, ceremony);
criterion_main!(benches);
