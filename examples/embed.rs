//! The bare protocol core in a program of one's own: a laptop and a phone, joined by hand.
//!
//! Everything that touches the world is the caller's: random bytes and time come in as arguments,
//! and each output says what to do. Here "the world" is a loop that hands messages over.
//!
//! ```text
//! cargo run --no-default-features --example embed
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::time::{Duration, Instant};

use cabled::hybrid::advert::ConnectionNonce;
use cabled::hybrid::client::{self, QrOffer, Sender};
use cabled::hybrid::post_handshake::PostHandshake;
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled::hybrid::{PrivateKey, authenticator};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A clock that stands still; a program reads its own and wakes the machines at `poll_timeout`.
#[allow(clippy::disallowed_methods, reason = "the caller brings the time")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn Error>> {
    // Known bytes, so that every run is the same. A program takes its system's random source.
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let now = now();

    // The laptop draws keys and shows a QR.
    let offer = QrOffer::new(rng, Hint::MakeCredential, 1_800_000_000, false, false);
    let mut laptop = client::Transaction::qr(offer, client::Deadlines::default(), now);
    let text = laptop.qr_text().ok_or("a QR-initiated transaction has a QR")?;
    println!("laptop: shows a QR of {} characters", text.len());

    // The phone scans it.
    let contents = QrContents::decode(&text)?;
    let offer = authenticator::Offer {
        post_handshake: PostHandshake::ctap(vec![0xa0]),
        ephemeral: PrivateKey::generate(rng),
        nonce: ConnectionNonce::random(rng),
        l2cap: None,
    };
    let scan = authenticator::Scan { contents };
    let deadlines =
        authenticator::Deadlines { client: Duration::from_secs(60), ..Default::default() };
    let mut phone = authenticator::Transaction::qr(scan, offer, deadlines, now);

    while !phone.is_closed() {
        step_phone(&mut phone, &mut laptop, now)?;
        step_laptop(&mut laptop, &mut phone, now)?;
    }
    println!("phone:  closed");
    Ok(())
}

/// Does what the phone's machine asks for; the tunnel is always there and the air is perfect.
fn step_phone(
    phone: &mut authenticator::Transaction,
    laptop: &mut client::Transaction,
    now: Instant,
) -> Result<(), Box<dyn Error>> {
    use authenticator::{Event, Input, Output};
    while let Some(output) = phone.poll_output() {
        match output {
            Output::OpenTunnel(_) => {
                let (routing, service) = (RoutingId::new([1, 2, 3]), TunnelServiceId::new(266));
                phone.handle(Input::TunnelOpen { routing, service }, now)?;
            }
            Output::Advertise(data) => {
                println!("phone:  advertises {} bytes", data.len());
                let sender = Sender { address: [0xc0, 0, 0, 0, 0, 1], random: true };
                laptop.handle(client::Input::Sighting { service_data: &data, sender }, now)?;
            }
            Output::Send { message, .. } => laptop.handle(client::Input::Message(&message), now)?,
            Output::Event(Event::Ctap(request)) => {
                println!("phone:  is asked for command {:#04x}", request.first().unwrap_or(&0));
                // Status 0x27: the user declined. A real phone asks its user and signs.
                phone.handle(Input::Response(&[0x27]), now)?;
            }
            Output::Event(event) => println!("phone:  {event:?}"),
            _ => {}
        }
    }
    Ok(())
}

/// Does what the laptop's machine asks for.
fn step_laptop(
    laptop: &mut client::Transaction,
    phone: &mut authenticator::Transaction,
    now: Instant,
) -> Result<(), Box<dyn Error>> {
    use client::{Event, Input, Output};
    while let Some(output) = laptop.poll_output() {
        match output {
            Output::OpenChannel(_) => laptop.handle(Input::ChannelOpen, now)?,
            Output::Send(message) => {
                let via = ChannelKind::Tunnel;
                phone.handle(authenticator::Input::Message { via, message: &message }, now)?;
            }
            Output::Event(Event::Ready(_)) => {
                println!("laptop: the phone is ready, asks");
                laptop.handle(Input::Ctap(&[0x01, 0xa0]), now)?;
            }
            Output::Event(Event::Ctap(answer)) => {
                println!(
                    "laptop: the phone answered with status {:#04x}",
                    answer.first().unwrap_or(&0)
                );
                laptop.handle(Input::Finish, now)?;
            }
            Output::Event(event) => println!("laptop: {event:?}"),
            _ => {}
        }
    }
    Ok(())
}
