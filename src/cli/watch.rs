//! `cabled watch`: what programs ask of the daemon, with the code to scan, on this terminal; and `cabled
//! touch`, for programs that ask which key is meant.

use std::pin::pin;

use clap::Args;
use serde_json::json;

use super::ceremony::show;
use super::failure::{Failure, Status};
use super::laptop::Terminal;
use super::qr::QrStyle;
use super::ui::Ui;
use super::{daemon, local, system};
use crate::frontend::control::v1::event::What;
use crate::frontend::control::v1::{Begun, Event, Purpose, TouchRequest, WatchRequest};

/// Shows the code whenever a program wants the passkeys on your phone, until Ctrl-C
#[derive(Args, Clone, Debug)]
pub(crate) struct Watch {
    /// Where to show codes: terminal, url, png:FILE, svg:FILE or none
    #[arg(long, value_name = "HOW", default_value = "terminal")]
    qr: QrStyle,
    #[command(flatten)]
    socket: daemon::Socket,
}

impl Watch {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let mut interrupt = pin!(system::interrupted());
        tokio::select! {
            biased;
            () = interrupt.as_mut() => Ok(()),
            ended = self.watch(ui) => ended,
        }
    }

    /// Tells the events, until it is dropped or the daemon ends.
    async fn watch(&self, ui: Ui) -> Result<(), Failure> {
        let mut client = self.socket.client().await?;
        let request = WatchRequest { only_new: true };
        let events = client.watch(request).await.map_err(|r| daemon::refused(&r))?;
        let mut events = events.into_inner();
        ui.step("watching", "Watching, until Ctrl-C.", json!({}));
        while let Some(event) = events.message().await.map_err(|r| daemon::refused(&r))? {
            self.tell(ui, event)?;
        }
        Ok(())
    }

    fn tell(&self, ui: Ui, event: Event) -> Result<(), Failure> {
        let fields = json!({ "transaction": event.transaction });
        match event.what {
            Some(What::Begun(begun)) => ui.step("begun", &wanted(&begun), fields),
            Some(What::Answered(_)) => ui.step("answered", "Your phone has answered.", fields),
            Some(What::Ended(ended)) => match ended.failure.map(daemon::failure) {
                None => ui.step("ended", "Done.", fields),
                Some(Failure { error, hint, .. }) => {
                    let words = format!("It came to nothing: {error}\n{hint}");
                    ui.step(
                        "ended",
                        &words,
                        json!({ "transaction": event.transaction, "error": error }),
                    );
                }
            },
            Some(What::MayBeOrphaned(receipt)) => {
                let words = format!(
                    "The program left without its new passkey, which may be an orphan on the phone now. \
                     See: cabled receipts explain {receipt}"
                );
                ui.step("may-be-orphaned", &words, json!({ "receipt": receipt }));
            }
            // One that has its phone already shows no code.
            Some(What::Listening(code)) if code.text.is_empty() => {}
            what => {
                if let Some(step) = what.and_then(daemon::step) {
                    show(&mut Terminal { ui, qr: &self.qr }, step)?;
                }
            }
        }
        Ok(())
    }
}

/// Tells a program that asks which security key is meant: the one of this daemon
#[derive(Args, Clone, Debug)]
pub(crate) struct Touch {
    #[command(flatten)]
    socket: daemon::Socket,
}

impl Touch {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let mut client = self.socket.client().await?;
        client.touch(TouchRequest {}).await.map_err(|refusal| match local::cause(&refusal) {
            Some("no-such-transaction") => {
                let hint = "run it while a program asks; see: cabled watch";
                Failure::new(Status::Usage, "no program asks which security key is meant", hint)
            }
            _ => daemon::refused(&refusal),
        })?;
        ui.step("touched", "The program knows now.", json!({}));
        Ok(())
    }
}

fn wanted(begun: &Begun) -> String {
    let Begun { rp_id, user_name, .. } = begun;
    match begun.purpose() {
        Purpose::Register if user_name.is_empty() => {
            format!("A program wants to save a passkey for {rp_id}.")
        }
        Purpose::Register => {
            format!("A program wants to save a passkey for {rp_id}, account {user_name}.")
        }
        Purpose::Select => {
            "A program asks which security key is meant. If it is your phone: cabled touch"
                .to_owned()
        }
        Purpose::SignIn | Purpose::Unspecified => {
            format!("A program wants to sign in to {rp_id}.")
        }
    }
}
