//! One CTAP2 message to a phone and its reply, through the laptop's daemon.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use cabled::ctap::GetInfo;
use cabled::frontend::control::v1::carry_request::Part as Asked;
use cabled::frontend::control::v1::carry_response::Part;
use cabled::frontend::control::v1::event::What;
use cabled::frontend::control::v1::{CarryRequest, CarryResponse, Open, Taken};
use cabled::frontend::control::{Client, connect};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::error::Error;
use crate::screen::Screen;

/// How long the daemon may take, in seconds, and how much longer it is waited for.
const PATIENCE: u32 = 300;
const GRACE: u32 = 30;
/// How long the end is waited for when the answer is there.
const FAREWELL: Duration = Duration::from_secs(10);
/// Parts on their way to the daemon: there are no more than this.
const PARTS: usize = 3;

/// What the daemon is told of a request.
pub(crate) fn open(
    purpose: cabled::frontend::control::v1::Purpose,
    application: &str,
    user_name: &str,
    phone: Option<String>,
) -> Open {
    Open {
        purpose: purpose.into(),
        rp_id: application.to_owned(),
        user_name: user_name.to_owned(),
        timeout: PATIENCE,
        phone,
        remember: false,
        usual: true,
    }
}

/// Has it carried: `ask` makes the message of what the phone can do, `read` understands the reply.
pub(crate) fn carry<T>(
    screen: &mut Screen,
    open: Open,
    ask: impl FnOnce(&GetInfo) -> Vec<u8>,
    read: impl FnOnce(&[u8]) -> Result<T, Error>,
) -> Result<T, Error> {
    let place = place(|name| std::env::var_os(name)).ok_or(Error::NoPlace)?;
    // One thread, which is gone with the call: OpenSSH closes the library afterwards.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::System("no runtime could be made", error))?;
    let whole = Duration::from_secs((PATIENCE + GRACE).into());
    runtime.block_on(async {
        let talk = async {
            let client = connect(&place).await?;
            Talk::begin(screen, client, open).await?.go(ask, read).await
        };
        tokio::time::timeout(whole, talk).await.unwrap_or(Err(Error::Late))
    })
}

/// The socket that is named, or where it usually is.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || named("XDG_RUNTIME_DIR").filter(|folder| folder.is_absolute());
    named("CABLED_DAEMON_SOCKET").or_else(|| Some(usual()?.join("cabled/laptop.sock")))
}

struct Talk<'a> {
    screen: &'a mut Screen,
    parts: mpsc::Sender<CarryRequest>,
    answers: Streaming<CarryResponse>,
}

impl<'a> Talk<'a> {
    async fn begin(screen: &'a mut Screen, mut client: Client, open: Open) -> Result<Self, Error> {
        let (parts, waiting) = mpsc::channel(PARTS);
        send(&parts, Asked::Open(open));
        let answers = client.carry(ReceiverStream::new(waiting)).await?.into_inner();
        Ok(Self { screen, parts, answers })
    }

    async fn go<T>(
        mut self,
        ask: impl FnOnce(&GetInfo) -> Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let info = match self.next().await? {
            Part::GetInfo(info) if info.is_empty() => {
                return Err(Error::Unsupported("the phone offers no passkeys; use another one"));
            }
            Part::GetInfo(info) => GetInfo::decode(&info)
                .map_err(|_| Error::Answer("what it can do is not readable"))?,
            _ => return Err(Error::Unfinished),
        };
        send(&self.parts, Asked::Ctap(ask(&info)));
        let Part::Ctap(reply) = self.next().await? else { return Err(Error::Unfinished) };
        let read = read(&reply);
        if read.is_ok() {
            send(&self.parts, Asked::Taken(Taken {}));
        }
        self.end().await;
        read
    }

    /// What comes next of the phone; what happens meanwhile is shown.
    async fn next(&mut self) -> Result<Part, Error> {
        while let Some(answer) = self.answers.message().await? {
            match answer.part {
                Some(Part::Event(event)) => match event.what {
                    Some(What::Ended(ended)) => {
                        return Err(ended.failure.map_or(Error::Unfinished, |failure| {
                            Error::Ended { text: failure.text, hint: failure.hint }
                        }));
                    }
                    Some(step) => self.screen.show(&step),
                    None => {}
                },
                Some(part) => return Ok(part),
                // Of a newer daemon.
                None => {}
            }
        }
        Err(Error::Unfinished)
    }

    /// Hangs up in order, so that the phone knows that its answer arrived. What arrived stays so in any case.
    async fn end(self) {
        let Self { parts, mut answers, .. } = self;
        drop(parts);
        let rest = async { while let Ok(Some(_)) = answers.message().await {} };
        let _slow_daemon = tokio::time::timeout(FAREWELL, rest).await;
    }
}

/// There is room for all, and a daemon that hung up says so itself.
fn send(parts: &mpsc::Sender<CarryRequest>, part: Asked) {
    let _gone = parts.try_send(CarryRequest { part: Some(part) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_the_named_one_or_the_sessions() {
        let of = |named: &'static str, session: &'static str| {
            place(|name| match name {
                "CABLED_DAEMON_SOCKET" => Some(named.into()),
                "XDG_RUNTIME_DIR" => Some(session.into()),
                _ => None,
            })
        };
        assert_eq!(of("/s", "/run/user/1"), Some("/s".into()));
        assert_eq!(of("", "/run/user/1"), Some("/run/user/1/cabled/laptop.sock".into()));
        assert_eq!(of("", "run"), None);
        assert_eq!(of("", ""), None);
    }
}
