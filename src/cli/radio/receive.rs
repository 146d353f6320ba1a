//! `cabled radio receive`: the end of a shared radio that is on the machine without one. `cabled radio share`
//! runs it, mostly over ssh; its standard streams are the channel.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::keys::Keys;
use crate::ble::remote::{self, Error};
use crate::cli::failure::{Failure, Status};
use crate::cli::ui::Ui;
use crate::cli::{advice, local, system};
use crate::frontend::Listener;
use crate::hybrid::PrivateKey;

/// The socket's name where sockets are.
pub(crate) const SOCKET: &str = "radio.sock";
/// Programs that have connected and are not admitted yet.
const WAITING: usize = 8;
/// After a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes the radio of another machine for the programs of this one; "cabled radio share" there runs this
#[derive(Args, Clone, Debug)]
pub(super) struct Receive {
    /// Where programs of this machine find the radio [default: $XDG_RUNTIME_DIR/cabled/radio.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Receive {
    pub(super) async fn run(&self, _: Ui) -> Result<(), Failure> {
        if std::io::stdin().is_terminal() {
            let error = "this command speaks with another machine, not with people";
            let hint = "run on the machine with the radio: cabled radio share HOST";
            return Err(Failure::new(Status::Usage, error, hint));
        }
        let interrupted = system::interrupted();
        let key = Keys::of_user()?.own()?.ok_or_else(|| {
            let error = "this machine has not made a pairing";
            Failure::new(Status::Usage, error, "run on it, once: cabled radio pair")
        })?;
        let path = local::socket(self.socket.as_ref(), SOCKET)?;
        let listener = Listener::bind(&path).await;
        let listener =
            listener.map_err(|error| local::failed(&error, "cabled radio share HOST"))?;
        let (admit, listeners) = mpsc::channel(WAITING);
        let ephemeral = PrivateKey::generate(&mut system::random());
        let mut paired = false;
        let pipe = (tokio::io::stdin(), tokio::io::stdout());
        let ended = tokio::select! {
            () = interrupted => None,
            () = accept(&listener, admit) => None,
            error = remote::receive(pipe, listeners, key, ephemeral, || paired = true) => Some(error),
        };
        match ended {
            // The other machine has stopped to share.
            None => Ok(()),
            Some(Error::Closed) if paired => Ok(()),
            Some(error) => Err(advice::remote(&error)),
        }
    }
}

/// Lets in those who may, until nobody takes them.
async fn accept(listener: &Listener, admit: mpsc::Sender<UnixStream>) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                if admit.send(stream).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no connection could be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
