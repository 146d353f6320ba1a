//! A scan that the running service answers: the code is handed over, and its questions are put on this
//! terminal until they are answered, here or elsewhere.
//!
//! Depends on the front end's client, never on the store.

use std::future::Future;
use std::pin::Pin as Pinned;

use serde_json::json;

use crate::authenticator::Pin;
use crate::authenticator::service::{Question, QuestionId};
use crate::cli::failure::{Failure, Status};
use crate::cli::phone::consent::{self, Answers, Asking, LastSite, Tried, by_hand, note_site};
use crate::cli::phone::outcome::{self, Record};
use crate::cli::phone::remote::{self, refused};
use crate::cli::phone::unlock::Vault;
use crate::cli::phone::{Reporter, or_interrupted};
use crate::cli::terminal::Terminal;
use crate::frontend::grpc::v1::event::What;
use crate::frontend::grpc::v1::{
    ApproveRequest, CancelTransactionRequest, DeclineRequest, GetStatusRequest, SubmitQrRequest,
    UnlockRequest, WatchRequest,
};
use crate::frontend::grpc::{Client, read};

/// A code to hand over.
pub(super) struct Handover<'a> {
    pub(super) reporter: Reporter,
    pub(super) vault: &'a Vault,
    pub(super) auto_approve: bool,
    pub(super) any_age: bool,
}

/// Whoever answers the service's questions here.
enum Answerer<'a> {
    /// Nobody: there is no terminal, and others can answer.
    Nobody,
    /// The owner approved beforehand, with this PIN.
    Standing(Pin),
    /// Somebody on the terminal.
    Asked(Terminal, &'a Vault),
}

impl Handover<'_> {
    /// Hands the text over and stays until the transaction is over.
    pub(super) async fn run(
        &self,
        mut client: Client,
        text: String,
        mut interrupt: Pinned<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<(), Failure> {
        let answerer = or_interrupted(interrupt.as_mut(), self.answerer(&mut client)).await?;
        let request = SubmitQrRequest { text, any_age: self.any_age };
        let begun = client.submit_qr(request).await.map_err(|r| refused(&r))?;
        let transaction = begun.into_inner().transaction;
        let request = WatchRequest { transaction: Some(transaction), only_new: false };
        let mut events = client.watch(request).await.map_err(|r| refused(&r))?.into_inner();
        let site = LastSite::default();
        let mut record = Record::new(self.reporter, site.clone());
        let (mut asking, mut cancelled): (Option<Asking<'_>>, _) = (None, false);
        loop {
            let event = tokio::select! {
                biased;
                () = interrupt.as_mut(), if !cancelled => {
                    cancelled = true;
                    asking = None;
                    // One that is over already tells so itself.
                    let request = CancelTransactionRequest { transaction };
                    let _over = client.cancel_transaction(request).await;
                    continue;
                }
                event = events.message() => event.map_err(|r| refused(&r))?,
                settled = Asking::end(asking.as_mut()) => {
                    asking = None;
                    settled?;
                    continue;
                }
            };
            match event.ok_or_else(unfinished)?.what {
                // Of a newer service.
                None => {}
                Some(What::Ended(ended)) => {
                    return record.conclude(ended.failure.as_ref().map(outcome::end));
                }
                Some(What::Asked(question)) => {
                    let Some(question) = read::question(question) else { continue };
                    note_site(&site, &question.request);
                    self.tell(&question, &answerer);
                    asking = answer(client.clone(), &answerer, question);
                }
                Some(What::Settled(settled)) => {
                    // Perhaps elsewhere: what is still on the terminal is withdrawn.
                    asking = asking.filter(|asking| asking.id.0 != settled.question);
                    let (words, how) = remote::how(settled.how());
                    let fields = json!({ "question": settled.question, "how": how });
                    self.reporter.step("settled", words, fields);
                }
                Some(what) => outcome::step(&what).into_iter().for_each(|step| record.hear(step)),
            }
        }
    }

    async fn answerer(&self, client: &mut Client) -> Result<Answerer<'_>, Failure> {
        let status = client.get_status(GetStatusRequest {}).await.map_err(|r| refused(&r))?;
        if status.into_inner().locked {
            let (status, hint) = remote::of_cause("locked");
            return Err(Failure::new(status, "the passkeys are locked", hint));
        }
        let terminal = Terminal::open();
        if !self.auto_approve {
            return Ok(match terminal {
                Some(terminal) => Answerer::Asked(terminal, self.vault),
                None => Answerer::Nobody,
            });
        }
        let pin = self.vault.pin(terminal.as_ref()).await?;
        // A wrong one is better known before a laptop waits for it.
        let request = UnlockRequest { pin: pin.reveal().to_owned() };
        client.unlock(request).await.map_err(|r| refused(&r))?;
        Ok(Answerer::Standing(pin))
    }

    /// What is not said by the question on the terminal itself.
    fn tell(&self, question: &Question, answerer: &Answerer<'_>) {
        let id = question.id.0;
        let words = match answerer {
            Answerer::Asked(..) if !self.reporter.0.is_json() => return,
            Answerer::Asked(..) => String::new(),
            Answerer::Standing(_) => consent::unasked(question.asker.into(), &question.request),
            Answerer::Nobody => format!(
                "{}\nAnswer with: cabled phone approve {id}, or decline {id}",
                remote::question(question)
            ),
        };
        self.reporter.step("asked", &words, remote::fields(question));
    }
}

fn answer<'a>(
    mut client: Client,
    answerer: &'a Answerer<'a>,
    question: Question,
) -> Option<Asking<'a>> {
    let id = question.id;
    match answerer {
        Answerer::Nobody => None,
        Answerer::Standing(pin) => Some(Asking::new(id, beforehand(client, pin, question))),
        Answerer::Asked(terminal, vault) => {
            Some(Asking::new(
                id,
                async move { by_hand(&mut client, terminal, vault, &question).await },
            ))
        }
    }
}

async fn beforehand(mut client: Client, pin: &Pin, question: Question) -> Result<(), Failure> {
    match question.request.is_approved_beforehand() {
        true => match Answers::approve(&mut client, question.id, 0, pin).await? {
            Tried::Over => Ok(()),
            // The question stays open for others; but who said yes beforehand waits for nobody.
            Tried::WrongPin(failure) => Err(failure),
        },
        false => Answers::decline(&mut client, question.id).await,
    }
}

impl Answers for Client {
    async fn approve(
        &mut self,
        id: QuestionId,
        account: usize,
        pin: &Pin,
    ) -> Result<Tried, Failure> {
        let account = u32::try_from(account).unwrap_or(u32::MAX);
        let request = ApproveRequest { question: id.0, account, pin: pin.reveal().to_owned() };
        match Client::approve(self, request).await {
            Ok(_) => Ok(Tried::Over),
            Err(refusal) => match remote::cause(&refusal) {
                // Too many wrong PINs end the question, and the transaction tells so.
                Some("no-such-question" | "locked-out") => Ok(Tried::Over),
                Some("wrong-pin") => Ok(Tried::WrongPin(refused(&refusal))),
                _ => Err(refused(&refusal)),
            },
        }
    }

    async fn decline(&mut self, id: QuestionId) -> Result<(), Failure> {
        match Client::decline(self, DeclineRequest { question: id.0 }).await {
            Ok(_) => Ok(()),
            Err(refusal) => match remote::cause(&refusal) {
                Some("no-such-question") => Ok(()),
                _ => Err(refused(&refusal)),
            },
        }
    }
}

fn unfinished() -> Failure {
    let error = "the service stopped before the end was known";
    Failure::new(Status::Failure, error, "start it again with: cabled phone run")
}
