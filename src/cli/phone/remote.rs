//! Commands that speak to a running service: unlock, pending, approve, decline, watch, submit.
//!
//! Depends on the front end's client alone, never on the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::{Code, Status as Refusal};

use super::unlock::{Vault, ask_pin};
use super::{Reporter, blocking, date, no_terminal};
use crate::authenticator::Timestamp;
use crate::cli::args::read_fido_text;
use crate::cli::failure::{Failure, Status};
use crate::cli::system;
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::frontend::grpc::v1::{
    ApproveRequest, DeclineRequest, ListQuestionsRequest, LockRequest, Question, SubmitQrRequest,
    UnlockRequest, WatchRequest,
};
use crate::frontend::grpc::{self, CAUSE, Client, SocketError, UNTIL};

mod words;

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
        let runtime = || std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usual = || Some(runtime().filter(|p| p.is_absolute())?.join("cabled/phone.sock"));
        self.socket.clone().or_else(usual).ok_or_else(|| {
            let error = "there is no folder for sockets: XDG_RUNTIME_DIR is not set";
            Failure::new(Status::Usage, error, "name a place with --socket")
        })
    }

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
    /// Hands the running service the text of a code, and tells how it goes
    Submit(Submit),
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

/// A code.
#[derive(Args, Clone, Debug)]
pub(super) struct Submit {
    /// The code's text, which begins with FIDO:/, or - to read it from standard input
    #[arg(value_name = "TEXT")]
    text: String,
    /// Take a code that was shown more than 15 minutes ago
    #[arg(long)]
    any_age: bool,
}

impl Remote {
    pub(super) async fn run(&self, ui: Ui, vault: &Vault, socket: &Socket) -> Result<(), Failure> {
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
                let question = which.find(&mut client).await?.id;
                let request = DeclineRequest { question };
                client.decline(request).await.map_err(|r| refused(&r))?;
                reporter.step("declined", "Declined.", json!({ "question": question }));
            }
            Self::Watch => watch(&mut client, reporter, None).await?,
            Self::Submit(submit) => submit.run(&mut client, reporter).await?,
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
        let request = ApproveRequest { question: question.id, account, pin };
        client.approve(request).await.map_err(|r| refused(&r))?;
        reporter.step("approved", "Approved.", json!({ "question": question.id }));
        Ok(())
    }

    fn account(&self, question: &Question) -> Result<u32, Failure> {
        let several = question.pick && question.accounts.len() > 1;
        match self.account {
            None if several => {
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
            open.retain(|question| question.id == id);
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

impl Submit {
    async fn run(&self, client: &mut Client, reporter: Reporter) -> Result<(), Failure> {
        let text = match self.text.as_str() {
            "-" => blocking(read_fido_text).await??,
            text => text.to_owned(),
        };
        let request = SubmitQrRequest { text, any_age: self.any_age };
        let begun = client.submit_qr(request).await.map_err(|r| refused(&r))?;
        watch(client, reporter, Some(begun.into_inner().transaction)).await
    }
}

async fn questions(client: &mut Client) -> Result<Vec<Question>, Failure> {
    let answer = client.list_questions(ListQuestionsRequest {}).await;
    answer.map(|answer| answer.into_inner().questions).map_err(|r| refused(&r))
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

/// Tells the events, of one transaction up to its end.
async fn watch(
    client: &mut Client,
    reporter: Reporter,
    transaction: Option<u64>,
) -> Result<(), Failure> {
    let request = WatchRequest { transaction, only_new: transaction.is_none() };
    let mut events = client.watch(request).await.map_err(|r| refused(&r))?.into_inner();
    let mut verdict = words::Verdict::default();
    while let Some(event) = events.message().await.map_err(|r| refused(&r))? {
        let (name, words, fields) = words::event(&event);
        reporter.step(name, &words, fields);
        verdict.hear(&event);
    }
    match transaction {
        Some(_) => verdict.reached(),
        None => Ok(()),
    }
}

async fn typed_pin(vault: &Vault) -> Result<String, Failure> {
    if let Some(pin) = vault.pin_of_file()? {
        return Ok(pin.reveal().to_owned());
    }
    let terminal = Terminal::open().ok_or_else(no_terminal)?;
    let pin = ask_pin(&terminal, "PIN of this phone's passkeys: ").await?;
    Ok(pin.reveal().to_owned())
}

fn nothing_open() -> Failure {
    let error = "there is no such question, or it is over";
    Failure::new(Status::Usage, error, "see: cabled phone pending")
}

/// The service's refusal, with an exit status by its cause.
fn refused(refusal: &Refusal) -> Failure {
    let cause = refusal.metadata().get(CAUSE).and_then(|cause| cause.to_str().ok());
    let (status, hint) = match cause.unwrap_or_default() {
        "locked" => (Status::Locked, "cabled phone unlock".to_owned()),
        "wrong-pin" => (Status::Locked, "try again; nothing is lost by wrong PINs".to_owned()),
        "locked-out" => (Status::Locked, until(refusal)),
        "no-such-question" | "no-such-transaction" | "no-such-account" => {
            (Status::Usage, "see: cabled phone pending".to_owned())
        }
        "busy" => (Status::Failure, "wait until one of them is over".to_owned()),
        "code-too-old" => (Status::NotHeard, "show a new code on the laptop".to_owned()),
        "bad-request" => (Status::Usage, "pass what the code says, from FIDO:/ on".to_owned()),
        "storage" => (Status::Storage, "see what the service itself tells, with -v".to_owned()),
        _ if refusal.code() == Code::Unavailable => {
            (Status::Failure, "start it again with: cabled phone run".to_owned())
        }
        _ => (Status::Failure, "see what the service itself tells, with -v".to_owned()),
    };
    Failure::new(status, refusal.message(), hint)
}

fn until(refusal: &Refusal) -> String {
    let until = refusal.metadata().get(UNTIL).and_then(|until| until.to_str().ok()?.parse().ok());
    let Some(until) = until else { return "wait a while; nothing is lost".to_owned() };
    let left = u64::saturating_sub(until, system::unix_time());
    let (left, at) = (date::span(left), date::iso(Timestamp(until)));
    format!("try again in {left}, at {at}; nothing is lost")
}

/// There is no service, or no socket for one.
pub(super) fn failed(error: &SocketError) -> Failure {
    let (status, hint) = match error {
        SocketError::InUse(_) => (Status::Usage, "stop that one, or name another --socket"),
        SocketError::Absent(_) => (Status::Usage, "start it with: cabled phone run"),
        SocketError::NoSocket(_) => (Status::Storage, "move it away, or name another --socket"),
        SocketError::OpenFolder(_) => (Status::Storage, "name a folder of your own with --socket"),
        _ => (Status::Storage, "name a place that you may use with --socket"),
    };
    Failure::because(status, error, hint)
}
