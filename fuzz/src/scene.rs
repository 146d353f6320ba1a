//! A QR or a link that laptop and phone have in common, and what is derived from it.

use std::time::{Duration, Instant};

use cabled::hybrid::advert::{AdvertPlaintext, Psm};
use cabled::hybrid::authenticator;
use cabled::hybrid::client::{self, LinkRequest, QrOffer, Sender};
use cabled::hybrid::frame::MessageType;
use cabled::hybrid::keys::{EidKey, LinkSecret, Psk, QrSecret};
use cabled::hybrid::linking::{ClientPayload, LinkId, LinkedDevice};
use cabled::hybrid::noise::{AuthenticatorSide, ClientSide};
use cabled::hybrid::post_handshake::{Feature, PostHandshake};
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{ContactId, RoutingId, TunnelServiceId};

use crate::KEYS;

/// Who is on the air.
pub const SENDER: Sender = Sender { address: [0xc0, 1, 2, 3, 4, 5], random: true };
const SECRET: [u8; 16] = [0x51; 16];
const LINK_SECRET: [u8; 32] = [0x52; 32];
const NONCE: [u8; 16] = [0x53; 16];
const LINK_ID: LinkId = LinkId([0x54; 8]);

/// How the transaction begins.
#[derive(Clone, Copy)]
pub struct Scene {
    /// With a link, not with a QR.
    pub linked: bool,
    /// Both sides have L2CAP.
    pub l2cap: bool,
    /// When.
    pub began: Instant,
}

impl Scene {
    /// Begins now; all later times are counted from here.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "an Instant cannot be made from a number")]
    pub fn new(linked: bool, l2cap: bool) -> Self {
        Self { linked, l2cap, began: Instant::now() }
    }

    fn contents(self) -> QrContents {
        let channels = vec![ChannelKind::Tunnel, ChannelKind::L2cap];
        QrContents {
            identity: *KEYS.laptop.public(),
            secret: QrSecret::new(SECRET),
            known_services: 2,
            shown_at: Some(1_700_000_000),
            wants_linking: Some(true),
            hint: Some(Hint::MakeCredential),
            channels: self.l2cap.then_some(channels),
            grease: None,
        }
    }

    /// The laptop's machine.
    #[must_use]
    pub fn laptop(self) -> client::Transaction {
        let deadlines = client::Deadlines::default();
        let ephemeral = KEYS.laptop_ephemeral.clone();
        if !self.linked {
            let offer =
                QrOffer { contents: self.contents(), identity: KEYS.laptop.clone(), ephemeral };
            return client::Transaction::qr(offer, deadlines, self.began);
        }
        let device = LinkedDevice {
            contact_id: contact_id(),
            link_id: LINK_ID,
            link_secret: LinkSecret::new(LINK_SECRET),
            identity: *KEYS.phone.public(),
            name: "phone".to_owned(),
            service: TunnelServiceId::GOOGLE,
        };
        let request =
            LinkRequest { device, nonce: NONCE.into(), hint: Hint::GetAssertion, ephemeral };
        client::Transaction::state_assisted(request, deadlines, self.began)
    }

    /// The phone's machine.
    #[must_use]
    pub fn phone(self) -> authenticator::Transaction {
        let mut post_handshake = PostHandshake::ctap(vec![0xa0]);
        post_handshake.features = vec![Feature::Ctap, Feature::DigitalCredentials];
        let offer = authenticator::Offer {
            post_handshake,
            ephemeral: KEYS.phone_ephemeral.clone(),
            nonce: [0x55; 10].into(),
            l2cap: self.l2cap.then_some(Psm(0x80)),
        };
        let deadlines = authenticator::Deadlines::default();
        if !self.linked {
            let scan = authenticator::Scan { contents: self.contents() };
            return authenticator::Transaction::qr(scan, offer, deadlines, self.began);
        }
        let hint = Hint::GetAssertion;
        let payload = ClientPayload { link_id: LINK_ID, nonce: NONCE.into(), hint };
        let rung = authenticator::Rung {
            ring: authenticator::Ring { payload },
            link_secret: LinkSecret::new(LINK_SECRET),
            identity: authenticator::Identity(KEYS.phone.clone()),
        };
        authenticator::Transaction::state_assisted(rung, offer, deadlines, self.began)
    }

    /// The key of this transaction's adverts.
    #[must_use]
    pub fn eid_key(self) -> EidKey {
        match self.linked {
            false => QrSecret::new(SECRET).eid_key(),
            true => LinkSecret::new(LINK_SECRET).eid_key(&NONCE.into()),
        }
    }

    /// The advert's plaintext for a tunnel that opened.
    #[must_use]
    pub fn plaintext(self, routing: [u8; 3], service: u16) -> AdvertPlaintext {
        let service = TunnelServiceId::new(service);
        AdvertPlaintext::new([0x55; 10].into(), RoutingId::new(routing), service)
    }

    /// The key that both sides mix in.
    #[must_use]
    pub fn psk(self, plaintext: &AdvertPlaintext) -> Psk {
        match self.linked {
            false => QrSecret::new(SECRET).psk(plaintext),
            true => LinkSecret::new(LINK_SECRET).psk(plaintext),
        }
    }

    /// The laptop's side of the handshake.
    #[must_use]
    pub fn client_side(self) -> ClientSide<'static> {
        match self.linked {
            false => ClientSide::Qr(&KEYS.laptop),
            true => ClientSide::StateAssisted(KEYS.phone.public()),
        }
    }

    /// The phone's side of the handshake.
    #[must_use]
    pub fn authenticator_side(self) -> AuthenticatorSide<'static> {
        match self.linked {
            false => AuthenticatorSide::Qr(KEYS.laptop.public()),
            true => AuthenticatorSide::StateAssisted(&KEYS.phone),
        }
    }
}

fn contact_id() -> ContactId {
    ContactId::new(vec![1, 2, 3]).expect("not empty")
}

/// A link that the phone offers.
#[must_use]
pub fn link() -> authenticator::Linked {
    authenticator::Linked {
        contact_id: contact_id(),
        link_id: LINK_ID,
        link_secret: LinkSecret::new([0x56; 32]),
        name: "phone".to_owned(),
    }
}

/// Any of the four types.
#[must_use]
pub fn message_type(byte: u8) -> MessageType {
    match byte % 4 {
        0 => MessageType::Shutdown,
        1 => MessageType::Ctap,
        2 => MessageType::Update,
        _ => MessageType::Json,
    }
}

/// So much later.
#[must_use]
pub fn after(now: Instant, milliseconds: u32) -> Instant {
    now + Duration::from_millis(milliseconds.into())
}
