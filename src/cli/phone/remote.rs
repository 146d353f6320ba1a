//! Commands that speak to a running service: unlock, pending, approve, decline, watch, submit.
//!
//! Depends on the front end's client alone, never on the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Reporter;
use super::keeper::Place;
use super::unlock::Vault;
use crate::authenticator::service::Question;
use crate::cli::failure::{Failure, Status};
use crate::cli::local;
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::frontend::grpc::v1::{
    ApproveRequest, DeclineRequest, ListQuestionsRequest, LockRequest, UnlockRequest, WatchRequest,
};
use crate::frontend::grpc::{self, Client, read};

mod refusal;
mod words;

pub(super) use refusal::{cause, failed, of_cause, refused};
pub(super) use words::{fields, how, question};

/// Where the service listens.
#[derive(Args, Clone, Debug)]
pub(super) struct Socket {
    /// The service's socket [default: $XDG_RUNTIME_DIR/cabled/phone.sock]
    #[arg(long, value_name = "PATH", env = "CABLED_SOCKET", global = true)]
    socket: Option<PathBuf>,
}

impl Socket {
    /// The place.
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        local::socket(self.socket.as_ref(), "phone.sock")
    }

    /// A client of the service, which has to be there.
    async fn client(&self) -> Result<Client, Failure> {
        grpc::connect(&self.path()?).await.map_err(|error| failed(&error))
    }
}

/// What needs a running service.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Remote {
    /// Opens the passkeys of the running service with the PIN
    Unlock,
    /// Locks the passkeys of the running service
    Lock,
    /// Lists the questions that wait for an answer
    Pending,
    /// Says yes to a question, with the PIN
    Approve(Approve),
    /// Says no to a question
    Decline(Which),
    /// Tells what happens, until Ctrl-C
    Watch,
}

/// Which question.
#[derive(Args, Clone, Debug)]
pub(super) struct Which {
    /// The question's number; not needed if there is one only
    #[arg(value_name = "ID")]
    id: Option<u64>,
}

/// Which question, and which account.
#[derive(Args, Clone, Debug)]
pub(super) struct Approve {
    #[command(flatten)]
    which: Which,
    /// Which of several accounts, counted from 1
    #[arg(long, value_name = "NUMBER")]
    account: Option<u32>,
}

impl Remote {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let Place { vault, socket } = place;
        let (mut client, reporter) = (socket.client().await?, Reporter(ui));
        match self {
            Self::Unlock => {
                let pin = typed_pin(vault).await?;
                client.unlock(UnlockRequest { pin }).await.map_err(|r| refused(&r))?;
                reporter.step("unlocked", "The passkeys are unlocked.", json!({}));
            }
            Self::Lock => {
                client.lock(LockRequest {}).await.map_err(|r| refused(&r))?;
                reporter.step("locked", "The passkeys are locked.", json!({}));
            }
            Self::Pending => pending(&mut client, reporter).await?,
            Self::Approve(approve) => approve.run(&mut client, vault, reporter).await?,
            Self::Decline(which) => {
                let question = which.find(&mut client).await?.id.0;
                let request = DeclineRequest { question };
                client.decline(request).await.map_err(|r| refused(&r))?;
                reporter.step("declined", "Declined.", json!({ "question": question }));
            }
            Self::Watch => watch(&mut client, reporter).await?,
        }
        Ok(())
    }
}

impl Approve {
    async fn run(
        &self,
        client: &mut Client,
        vault: &Vault,
        reporter: Reporter,
    ) -> Result<(), Failure> {
        let question = self.which.find(client).await?;
        let account = self.account(&question)?;
        reporter.note(&words::question(&question));
        let pin = typed_pin(vault).await?;
        let request = ApproveRequest { question: question.id.0, account, pin };
        client.approve(request).await.map_err(|r| refused(&r))?;
        reporter.step("approved", "Approved.", json!({ "question": question.id.0 }));
        Ok(())
    }

    fn account(&self, question: &Question) -> Result<u32, Failure> {
        match self.account {
            None if question.choices() > 1 => {
                let error = "there are several accounts to choose from";
                let hint = "see: cabled phone pending; then name one with --account NUMBER";
                Err(Failure::new(Status::Usage, error, hint))
            }
            Some(0) => {
                let hint = "see: cabled phone pending";
                Err(Failure::new(Status::Usage, "accounts are counted from 1", hint))
            }
            number => Ok(number.map_or(0, |number| number - 1)),
        }
    }
}

impl Which {
    async fn find(&self, client: &mut Client) -> Result<Question, Failure> {
        let mut open = questions(client).await?;
        if let Some(id) = self.id {
            open.retain(|question| question.id.0 == id);
        }
        match (open.pop(), open.len()) {
            (Some(question), 0) => Ok(question),
            (None, _) => Err(nothing_open()),
            (Some(_), others) => {
                let error = format!("{} questions wait for an answer", others + 1);
                let hint = "see: cabled phone pending; then give the number of one";
                Err(Failure::new(Status::Usage, error, hint))
            }
        }
    }
}

async fn questions(client: &mut Client) -> Result<Vec<Question>, Failure> {
    let answer = client.list_questions(ListQuestionsRequest {}).await;
    let open = answer.map_err(|r| refused(&r))?.into_inner().questions;
    // Those that this program does not know, it could not ask anybody.
    Ok(open.into_iter().filter_map(read::question).collect())
}

async fn pending(client: &mut Client, reporter: Reporter) -> Result<(), Failure> {
    let open = questions(client).await?;
    let fields = json!({ "questions": open.iter().map(words::fields).collect::<Vec<Value>>() });
    let words = match open.is_empty() {
        true => "No question waits for an answer.".to_owned(),
        false => open.iter().map(words::question).collect::<Vec<_>>().join("\n"),
    };
    reporter.step("pending", &words, fields);
    Ok(())
}

/// Tells the events, until it is dropped or the service ends.
async fn watch(client: &mut Client, reporter: Reporter) -> Result<(), Failure> {
    let request = WatchRequest { transaction: None, only_new: true };
    let mut events = client.watch(request).await.map_err(|r| refused(&r))?.into_inner();
    reporter.step("watching", "Watching, until Ctrl-C.", json!({}));
    while let Some(event) = events.message().await.map_err(|r| refused(&r))? {
        let (name, words, fields) = words::event(event);
        reporter.step(name, &words, fields);
    }
    Ok(())
}

async fn typed_pin(vault: &Vault) -> Result<String, Failure> {
    Ok(vault.pin(Terminal::open().as_ref()).await?.reveal().to_owned())
}

fn nothing_open() -> Failure {
    let error = "there is no such question, or it is over";
    Failure::new(Status::Usage, error, "see: cabled phone pending")
}
