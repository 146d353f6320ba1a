//! The Noise handshake of both initiations, as typestates. The only place that
//! imports snow.
//!
//! The client platform is always the initiator: it sends the first of two messages, 81 bytes each
//! (an uncompressed P-256 point and the tag of an empty payload). QR-initiated transactions run
//! `KNpsk0` (the phone knows the client's identity key from the QR), state-assisted ones `NKpsk0`
//! (the client knows the phone's identity key from linking). A wrong order does not compile: each
//! step consumes the state before it. Snow's own random source is never used; the ephemeral key
//! is an argument. `paired` is a third handshake, of our own, for two machines of one person.
//!
//! Specification: CTAP 2.2 section 11.5.1 (hybrid transports), Noise revision 34 with psk.

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};

use super::crypto::{PrivateKey, PublicKey, TAG_LEN};
use super::frame::{Opener, Sealer};
use super::keys::Psk;
use crate::secret::Secret;

pub mod paired;
mod resolver;
use resolver::Resolver;

/// Length of either handshake message: an uncompressed point and a tag.
pub const MESSAGE_LEN: usize = 65 + TAG_LEN;

const KN: &str = "Noise_KNpsk0_P256_AESGCM_SHA256";
const NK: &str = "Noise_NKpsk0_P256_AESGCM_SHA256";
const QR_PROLOGUE: [u8; 1] = [1];
const STATE_ASSISTED_PROLOGUE: [u8; 1] = [0];

/// A handshake message that is not what the peer should have sent: wrong length, a point off the
/// curve, or a tag that the PSK and the keys do not explain. Terminal; which of them it was would
/// only help an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handshake message was not made with this transaction's keys")]
pub struct HandshakeFailed;

/// The hash over the whole handshake: channel binding, and what a linking signature signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeHash([u8; 32]);

impl HandshakeHash {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for HandshakeHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Both directions of a finished handshake.
#[derive(Debug)]
pub struct Established {
    /// Seals what this side sends.
    pub sealer: Sealer,
    /// Opens what the peer sends.
    pub opener: Opener,
    /// Channel binding.
    pub handshake_hash: HandshakeHash,
}

/// The identity key that both sides know before the handshake, as the client holds it.
#[derive(Clone, Copy)]
pub enum ClientSide<'a> {
    /// QR-initiated: the client's own key, whose public half was in the QR.
    Qr(&'a PrivateKey),
    /// State-assisted: the phone's key from its linking information.
    StateAssisted(&'a PublicKey),
}

/// The identity key that both sides know before the handshake, as the phone holds it.
#[derive(Clone, Copy)]
pub enum AuthenticatorSide<'a> {
    /// QR-initiated: the client's key from the QR.
    Qr(&'a PublicKey),
    /// State-assisted: the phone's own key.
    StateAssisted(&'a PrivateKey),
}

/// The client after it sent the first message.
pub struct AwaitResponse(HandshakeState);

/// Starts a handshake as the client platform.
///
/// Gives the first message and the state that waits for the answer.
///
/// # Errors
///
/// [`HandshakeFailed`] when the cryptographic backend refuses its input, which a checked key
/// never makes it do.
pub fn initiate(
    side: ClientSide<'_>,
    psk: &Psk,
    ephemeral: &PrivateKey,
) -> Result<([u8; MESSAGE_LEN], AwaitResponse), HandshakeFailed> {
    let builder = match side {
        ClientSide::Qr(own) => with_own_key(KN, &QR_PROLOGUE, own, psk, ephemeral),
        ClientSide::StateAssisted(peer) => {
            with_peer_key(NK, &STATE_ASSISTED_PROLOGUE, peer, psk, ephemeral)
        }
    };
    let mut state = builder.and_then(Builder::build_initiator).map_err(|_| HandshakeFailed)?;
    Ok((write(&mut state)?, AwaitResponse(state)))
}

impl AwaitResponse {
    /// Takes the phone's answer.
    ///
    /// # Errors
    ///
    /// [`HandshakeFailed`], terminal, for anything but the one right message.
    pub fn finish(mut self, message: &[u8]) -> Result<Established, HandshakeFailed> {
        read(&mut self.0, message)?;
        established(self.0)
    }
}

/// Answers a client's first message as the phone: gives the second message and the channel.
///
/// # Errors
///
/// [`HandshakeFailed`], terminal, when the message does not prove knowledge of the PSK.
pub fn respond(
    side: AuthenticatorSide<'_>,
    psk: &Psk,
    ephemeral: &PrivateKey,
    message: &[u8],
) -> Result<([u8; MESSAGE_LEN], Established), HandshakeFailed> {
    let builder = match side {
        AuthenticatorSide::Qr(peer) => with_peer_key(KN, &QR_PROLOGUE, peer, psk, ephemeral),
        AuthenticatorSide::StateAssisted(own) => {
            with_own_key(NK, &STATE_ASSISTED_PROLOGUE, own, psk, ephemeral)
        }
    };
    let mut state = builder.and_then(Builder::build_responder).map_err(|_| HandshakeFailed)?;
    read(&mut state, message)?;
    let answer = write(&mut state)?;
    Ok((answer, established(state)?))
}

/// A handshake in which this side has the identity key.
fn with_own_key<'a>(
    name: &str,
    prologue: &'a [u8; 1],
    own: &'a PrivateKey,
    psk: &'a Psk,
    ephemeral: &PrivateKey,
) -> Result<Builder<'a>, snow::Error> {
    let resolver = Resolver { identity: Some(own.clone()), ephemeral: ephemeral.clone() };
    builder(name, prologue, resolver, psk.expose())?.local_private_key(own.scalar().expose())
}

/// A handshake in which the peer has the identity key.
fn with_peer_key<'a>(
    name: &str,
    prologue: &'a [u8; 1],
    peer: &'a PublicKey,
    psk: &'a Psk,
    ephemeral: &PrivateKey,
) -> Result<Builder<'a>, snow::Error> {
    let resolver = Resolver { identity: None, ephemeral: ephemeral.clone() };
    builder(name, prologue, resolver, psk.expose())?.remote_public_key(peer.as_bytes())
}

fn builder<'a>(
    name: &str,
    prologue: &'a [u8],
    resolver: Resolver,
    psk: &'a [u8; 32],
) -> Result<Builder<'a>, snow::Error> {
    let params: NoiseParams = name.parse()?;
    Builder::with_resolver(params, Box::new(resolver)).prologue(prologue)?.psk(0, psk)
}

fn write(state: &mut HandshakeState) -> Result<[u8; MESSAGE_LEN], HandshakeFailed> {
    let mut message = [0; MESSAGE_LEN];
    match state.write_message(&[], &mut message) {
        Ok(MESSAGE_LEN) => Ok(message),
        _ => Err(HandshakeFailed),
    }
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<(), HandshakeFailed> {
    if message.len() != MESSAGE_LEN {
        return Err(HandshakeFailed);
    }
    state.read_message(message, &mut []).map(drop).map_err(|_| HandshakeFailed)
}

fn established(mut state: HandshakeState) -> Result<Established, HandshakeFailed> {
    let hash = state.get_handshake_hash().try_into().map_err(|_| HandshakeFailed)?;
    let (from_client, from_phone) = state.dangerously_get_raw_split();
    let (from_client, from_phone) = (Secret::new(from_client), Secret::new(from_phone));
    let (out, into) = match state.is_initiator() {
        true => (from_client, from_phone),
        false => (from_phone, from_client),
    };
    let (sealer, opener) = (Sealer::new(&out), Opener::new(&into));
    Ok(Established { sealer, opener, handshake_hash: HandshakeHash(hash) })
}
