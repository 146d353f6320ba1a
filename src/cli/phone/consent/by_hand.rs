//! A question of the service, put on a terminal: by the service itself, or by a client of it.
//!
//! Depends on the terminal alone; where an answer goes is the caller's.

use std::future::Future;
use std::pin::Pin as Pinned;

use super::choose;
use crate::authenticator::Pin;
use crate::authenticator::service::{Question, QuestionId};
use crate::cli::failure::Failure;
use crate::cli::phone::interrupted_terminal;
use crate::cli::phone::unlock::{TRIES, Vault, ask_pin};
use crate::cli::terminal::Terminal;

/// A question that is being asked here; dropped, it is withdrawn from the terminal.
pub(in crate::cli::phone) struct Asking<'a> {
    /// Which.
    pub(in crate::cli::phone) id: QuestionId,
    work: Pinned<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>,
}

impl<'a> Asking<'a> {
    pub(in crate::cli::phone) fn new(
        id: QuestionId,
        work: impl Future<Output = Result<(), Failure>> + Send + 'a,
    ) -> Self {
        Self { id, work: Box::pin(work) }
    }

    /// The end of asking; never, without a question. Cancel safe.
    pub(in crate::cli::phone) async fn end(asking: Option<&mut Self>) -> Result<(), Failure> {
        match asking {
            Some(asking) => asking.work.as_mut().await,
            None => std::future::pending().await,
        }
    }
}

/// What became of an approval.
pub(in crate::cli::phone) enum Tried {
    /// It counted, or another answer did.
    Over,
    /// The question is still open.
    WrongPin(Failure),
}

/// Takes answers to questions. One that comes too late is no failure.
pub(in crate::cli::phone) trait Answers {
    /// Says yes.
    fn approve(
        &mut self,
        id: QuestionId,
        account: usize,
        pin: &Pin,
    ) -> impl Future<Output = Result<Tried, Failure>> + Send;

    /// Says no.
    fn decline(&mut self, id: QuestionId) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Asks until there is an answer. Drop it when the question is over.
///
/// # Errors
///
/// The terminal fails, the file of `--pin-file` has no PIN or a wrong one, or nobody takes the answer.
pub(in crate::cli::phone) async fn by_hand(
    answers: &mut impl Answers,
    terminal: &Terminal,
    vault: &Vault,
    question: &Question,
) -> Result<(), Failure> {
    if let Some(words) = question.occasion.words() {
        let said = terminal.say(&format!("{words}\n")).await;
        said.map_err(|error| interrupted_terminal(&error))?;
    }
    let chosen = choose(terminal, question.asker.into(), &question.request).await;
    let Some(account) = chosen.map_err(|error| interrupted_terminal(&error))? else {
        return answers.decline(question.id).await;
    };
    let file = vault.pin_of_file()?;
    for _ in 0..TRIES {
        let pin = match &file {
            Some(pin) => pin.clone(),
            None => ask_pin(terminal, "PIN, to prove that it is you: ").await?,
        };
        match answers.approve(question.id, account, &pin).await? {
            Tried::Over => return Ok(()),
            Tried::WrongPin(failure) if file.is_some() => return Err(failure),
            Tried::WrongPin(failure) => {
                let said = terminal.say(&format!("Sorry, {}.\n", failure.error)).await;
                said.map_err(|error| interrupted_terminal(&error))?;
            }
        }
    }
    answers.decline(question.id).await
}
