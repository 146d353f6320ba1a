//! The terminal of the service as a front end: it asks there if somebody sits at it, and otherwise says
//! what is asked and where to answer.

use std::collections::VecDeque;

use serde_json::json;

use crate::authenticator::service::{Error, Happened, Question, QuestionId, Service, Settled};
use crate::authenticator::{Pin, store};
use crate::cli::failure::Failure;
use crate::cli::phone::consent::{self, Answers, Asking, Tried, by_hand};
use crate::cli::phone::unlock::Vault;
use crate::cli::phone::{Reporter, keeper, remote};
use crate::cli::terminal::Terminal;

/// The terminal as a front end.
pub(super) struct Desk<'a> {
    pub(super) reporter: Reporter,
    pub(super) service: &'a Service,
    pub(super) vault: &'a Vault,
    /// Where questions are asked; without one they are only told.
    pub(super) terminal: Option<Terminal>,
}

impl Desk<'_> {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let mut events = self.service.events(None);
        let mut waiting = VecDeque::new();
        let mut asking: Option<Asking<'_>> = None;
        loop {
            let happened = tokio::select! {
                biased;
                event = events.next() => event.map(|event| event.what),
                asked = Asking::end(asking.as_mut()) => {
                    asking = self.next(&mut waiting);
                    if let Err(failure) = asked {
                        // Others can answer what is still open.
                        self.reporter.note(&failure.error);
                    }
                    continue;
                }
            };
            match happened {
                None => return,
                Some(Happened::Asked(question)) if self.can_ask() => {
                    waiting.push_back(question);
                    asking = asking.or_else(|| self.next(&mut waiting));
                }
                Some(Happened::Asked(question)) => told(self.reporter, &question),
                Some(Happened::Settled { question, how }) => {
                    waiting.retain(|waits| waits.id != question);
                    if asking.as_ref().is_some_and(|asking| asking.id == question) {
                        asking = self.next(&mut waiting);
                    }
                    let (event, words) = settled(how);
                    let words = format!("Question {}: {words}.", question.0);
                    self.reporter.step(event, &words, json!({ "question": question.0 }));
                }
                Some(_) => {}
            }
        }
    }

    /// A program in the background that reads from its terminal is stopped.
    fn can_ask(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::is_in_front)
    }

    fn next(&self, waiting: &mut VecDeque<Question>) -> Option<Asking<'_>> {
        let question = waiting.pop_front()?;
        Some(Asking::new(question.id, self.ask(question)))
    }

    async fn ask(&self, question: Question) -> Result<(), Failure> {
        match &self.terminal {
            Some(terminal) => {
                by_hand(&mut self.service.clone(), terminal, self.vault, &question).await
            }
            None => Ok(()),
        }
    }
}

impl Answers for Service {
    async fn approve(
        &mut self,
        id: QuestionId,
        account: usize,
        pin: &Pin,
    ) -> Result<Tried, Failure> {
        match Service::approve(self, id, account, pin.clone()).await {
            Ok(()) | Err(Error::NoSuchQuestion) => Ok(Tried::Over),
            // Too many wrong PINs end the question.
            Err(Error::Store(store::Error::LockedOut { .. })) => Ok(Tried::Over),
            Err(error @ Error::Store(store::Error::WrongPin { .. })) => {
                Ok(Tried::WrongPin(keeper::failed(&error)))
            }
            Err(error) => Err(keeper::failed(&error)),
        }
    }

    async fn decline(&mut self, id: QuestionId) -> Result<(), Failure> {
        match Service::decline(self, id) {
            Ok(()) | Err(Error::NoSuchQuestion) => Ok(()),
            Err(error) => Err(keeper::failed(&error)),
        }
    }
}

fn told(reporter: Reporter, question: &Question) {
    let id = question.id.0;
    let headline = consent::headline(question.asker.into(), &question.request);
    let occasion = question.occasion.words().map(|words| format!(" {words}")).unwrap_or_default();
    let words = format!(
        "Question {id}: {headline}{occasion} Did you start this? Answer with: cabled phone approve {id}, or \
         decline {id}"
    );
    reporter.step("asked", &words, remote::fields(question));
}

fn settled(how: Settled) -> (&'static str, &'static str) {
    match how {
        Settled::Approved => ("approved", "approved"),
        Settled::Declined => ("declined", "declined"),
        Settled::LockedOut => ("locked-out", "too many wrong PINs"),
        _ => ("withdrawn", "withdrawn, because nobody waits for it any more"),
    }
}
