//! The engine as a security key on its standard input and output, for clients that others wrote.
//!
//! A message is its length (four bytes, big endian) and CTAP2's bytes, both ways. The store is made in
//! the directory given, with the PIN 1234, and whatever is asked is approved: a key for tests.
//!
//! ```text
//! cargo run --example key_on_a_pipe DIRECTORY
//! ```
#![allow(clippy::disallowed_methods, reason = "a program reads its own clock")]

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    Config, Consent, ConsentRequest, Decision, Engine, Pin, Store, Timestamp, Transport,
    Verification,
};
use cabled::ctap::MAX_MESSAGE;

struct Approves;

impl Consent for Approves {
    async fn ask(&self, _: ConsentRequest) -> Decision {
        Decision::Approved { account: 0, verification: Verification::standing_approval() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: key_on_a_pipe DIRECTORY")?);
    let weak = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let pin = Pin::new("1234".to_owned())?;
    let mut rng = rand_core::OsRng;
    let store = Store::create_with_cost(&dir, &pin, weak, &mut rng)?;
    let mut engine = Engine::new(store, Approves, Config::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    while let Some(message) = read(&mut std::io::stdin().lock())? {
        let now = Timestamp::from(SystemTime::now());
        let reply = runtime.block_on(engine.handle(&message, Transport::Hid, now, &mut rng));
        let mut out = std::io::stdout().lock();
        out.write_all(&u32::try_from(reply.bytes.len())?.to_be_bytes())?;
        out.write_all(&reply.bytes)?;
        out.flush()?;
        engine.delivered(&reply.outcome, now, &mut rng)?;
    }
    Ok(())
}

/// `None` at the end of input.
fn read(input: &mut impl Read) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = usize::try_from(u32::from_be_bytes(length))?;
    if length > MAX_MESSAGE {
        return Err("the message is longer than any of CTAP2".into());
    }
    let mut message = vec![0; length];
    input.read_exact(&mut message)?;
    Ok(Some(message))
}
