//! A registration or a sign-in of the laptop, from QR to the relying party's answer.
//!
//! Who watches is an [`Audience`]: the terminal for the laptop's commands, a stop-watch for the
//! demo.

use std::time::Duration;

use super::failure::{Failure, Status};
use super::{advice, system};
use crate::client::webauthn::{
    Assertion, AuthenticationResponse, Note, PendingAssertion, Progress as Accepted, Registration,
    RegistrationResponse,
};
use crate::client::{Client, Progress, ProgressStream, TransactionHandle};
use crate::ctap::{Command, GetInfo};
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::{ChannelKind, Hint};

/// Who watches a ceremony.
pub(super) trait Audience {
    /// Shows the code; the ceremony ends if that fails.
    fn qr(&mut self, text: &str) -> Result<(), Failure>;
    /// A step was done.
    fn step(&mut self, event: &'static str, words: &str);
    /// The devices are connected.
    fn connected(&mut self, via: ChannelKind);
    /// A remark.
    fn note(&mut self, words: &str);
}

/// Registers.
pub(super) async fn register(
    audience: &mut impl Audience,
    client: &Client,
    registration: Registration,
) -> Result<RegistrationResponse, Failure> {
    let timeout = registration.timeout();
    notes(audience, registration.notes());
    let known = registration.notes().len();
    with_phone(audience, client, Hint::MakeCredential, timeout, async |handle, info| {
        let pending = registration.request(info).map_err(|e| advice::webauthn(&e))?;
        let remarks = pending.notes().get(known..).unwrap_or_default().to_vec();
        let reply = handle.call(pending.message()).await.map_err(|e| advice::client(&e))?;
        let response = pending.finish(&reply).map_err(|e| advice::webauthn(&e))?;
        Ok((response, remarks))
    })
    .await
}

/// Signs in; `account` names the one to use when the phone leaves the choice to this side.
pub(super) async fn sign_in(
    audience: &mut impl Audience,
    client: &Client,
    assertion: Assertion,
    account: Option<&str>,
) -> Result<AuthenticationResponse, Failure> {
    let timeout = assertion.timeout();
    notes(audience, assertion.notes());
    let known = assertion.notes().len();
    with_phone(audience, client, Hint::GetAssertion, timeout, async |handle, info| {
        let mut pending = assertion.request(info).map_err(|e| advice::webauthn(&e))?;
        let remarks = pending.notes().get(known..).unwrap_or_default().to_vec();
        let mut message = pending.message();
        loop {
            let reply = handle.call(message).await.map_err(|e| advice::client(&e))?;
            match pending.accept(&reply).map_err(|e| advice::webauthn(&e))? {
                Accepted::Complete => break,
                Accepted::More => message = vec![Command::GetNextAssertion as u8],
            }
        }
        let choice = choose(&pending, account)?;
        let response = pending.finish(choice).map_err(|e| advice::webauthn(&e))?;
        Ok((response, remarks))
    })
    .await
}

/// The account to use, when the phone left the choice to this side.
fn choose(pending: &PendingAssertion, wanted: Option<&str>) -> Result<usize, Failure> {
    let names: Vec<_> = pending.accounts().map(|a| a.name.clone().unwrap_or_default()).collect();
    let several = |error: String| {
        let hint = format!("name one with --account: {}", names.join(", "));
        Failure::new(Status::Usage, error, hint)
    };
    match wanted {
        None if names.len() == 1 => Ok(0),
        None => Err(several(format!("the phone offers {} accounts", names.len()))),
        Some(wanted) if names.len() > 1 => names
            .iter()
            .position(|name| name == wanted)
            .ok_or_else(|| several(format!("the phone does not offer the account {wanted}"))),
        Some(_) => Ok(0),
    }
}

fn notes(audience: &mut impl Audience, notes: &[Note]) {
    notes.iter().for_each(|note| audience.note(&note.to_string()));
}

/// Shows the QR, waits for the phone, lets `drive` talk to it, and takes leave of it; within
/// `timeout`, and until the user presses Ctrl-C.
async fn with_phone<T>(
    audience: &mut impl Audience,
    client: &Client,
    hint: Hint,
    timeout: Duration,
    drive: impl AsyncFnOnce(&mut TransactionHandle, &GetInfo) -> Result<(T, Vec<Note>), Failure>,
) -> Result<T, Failure> {
    let interrupted = system::interrupted();
    let (mut handle, mut progress) = client.begin(hint, system::unix_time(), &mut system::random());
    let text = handle.qr_text().unwrap_or_default().to_owned();
    let code = Code { text, offline: client.offers_l2cap() };
    let result = tokio::select! {
        result = talk(&mut handle, drive) => result,
        failure = tell(audience, &mut progress, &code) => Err(failure),
        () = interrupted => Err(advice::client(&crate::hybrid::Error::Cancelled.into())),
        () = tokio::time::sleep(timeout) => Err(too_late(timeout)),
    };
    match result {
        // The answer is here; a phone that is slow to hang up changes nothing about it.
        Ok((value, remarks)) => {
            let finished = handle.finish().await;
            overtaken(audience, &mut progress, &code).await?;
            notes(audience, &remarks);
            if finished.is_err() {
                audience.note(
                    "the connection ended before the phone was told that its answer arrived; the \
                     answer is good, but the phone may list its passkey as possibly orphaned",
                );
            }
            Ok(value)
        }
        Err(failure) => {
            handle.cancel().await;
            // What ended it counts, also if nobody can be told of the rest.
            let _nobody_reads = overtaken(audience, &mut progress, &code).await;
            Err(failure)
        }
    }
}

/// Tells the steps that a quick end has overtaken. The transaction is over, so that there is a last one.
async fn overtaken(
    audience: &mut impl Audience,
    progress: &mut ProgressStream,
    code: &Code,
) -> Result<(), Failure> {
    while let Some(step) = progress.next().await {
        show(audience, &step, code)?;
    }
    Ok(())
}

fn too_late(timeout: Duration) -> Failure {
    let error = format!("the relying party's time of {} s is over", timeout.as_secs());
    Failure::new(Status::NotHeard, error, "ask the site for a new request and be quicker")
}

async fn talk<T>(
    handle: &mut TransactionHandle,
    drive: impl AsyncFnOnce(&mut TransactionHandle, &GetInfo) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let said = handle.ready().await.map_err(|error| advice::client(&error))?;
    let info = get_info(&said)?;
    drive(handle, &info).await
}

fn get_info(said: &PostHandshake) -> Result<GetInfo, Failure> {
    let info = said.get_info.as_deref().map(GetInfo::decode);
    match info {
        Some(Ok(info)) => Ok(info),
        Some(Err(_)) => Err(Failure::new(
            Status::Protocol,
            "the phone's description of itself makes no sense",
            "try again; if it stays, the phone's software is to blame",
        )),
        None => Err(advice::client(&crate::hybrid::Error::NotOffered.into())),
    }
}

/// Tells how it goes; ends only with a failure.
async fn tell(audience: &mut impl Audience, progress: &mut ProgressStream, code: &Code) -> Failure {
    while let Some(step) = progress.next().await {
        if let Err(failure) = show(audience, &step, code) {
            return failure;
        }
    }
    // The transaction is over; whoever talks to it has its outcome.
    std::future::pending().await
}

/// What is shown to the phone.
struct Code {
    text: String,
    /// It offers phones to do without internet.
    offline: bool,
}

fn show(audience: &mut impl Audience, step: &Progress, code: &Code) -> Result<(), Failure> {
    match step {
        Progress::Listening => {
            audience.qr(&code.text)?;
            audience.step("listening", scan_this(code.offline));
        }
        Progress::AdvertSeen => audience.step("advert-seen", "Connecting to your phone..."),
        Progress::FallingBack => {
            let words = "Bluetooth alone does not do; trying over the internet...";
            audience.step("falling-back", words);
        }
        Progress::TryingAgain => {
            audience.step("trying-again", "That did not do; trying Bluetooth once more...");
        }
        Progress::Connected { via } => audience.connected(*via),
        Progress::WaitingForUser => {
            audience.step("waiting-for-user", "Follow the steps on your phone.");
        }
    }
    Ok(())
}

fn scan_this(offline: bool) -> &'static str {
    match offline {
        false => {
            "Scan this code with your phone's camera. Both devices need Bluetooth and internet."
        }
        true => {
            "Scan this code with your phone's camera. Both devices need Bluetooth, and internet \
             if the phone cannot do without."
        }
    }
}

/// How the devices are connected, in words and for machines.
pub(super) fn by(via: ChannelKind) -> (&'static str, &'static str) {
    match via {
        ChannelKind::Tunnel => ("over the internet", "tunnel"),
        ChannelKind::L2cap => ("over Bluetooth", "bluetooth"),
    }
}
