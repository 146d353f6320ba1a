//! The service's messages in words for people and as events for machines. Pure.
//!
//! Depends on the generated messages only.

use serde_json::{Value, json};

use crate::authenticator::service::{Asker, Question};
use crate::cli::phone::{consent, outcome};
use crate::frontend::grpc::read;
use crate::frontend::grpc::v1::event::What;
use crate::frontend::grpc::v1::{Event, Settled};

/// Who wants what, and what there is to choose from.
pub(in crate::cli::phone) fn question(question: &Question) -> String {
    let (id, who) = (question.id.0, question.asker.into());
    let headline = consent::headline(who, &question.request);
    let particulars = consent::particulars(who, &question.request);
    let mut text = format!("Question {id}: {headline}\n{particulars}").trim_end().to_owned();
    if let Some(words) = question.occasion.words() {
        text.push('\n');
        text.push_str(words);
    }
    text
}

/// A question for machines.
pub(in crate::cli::phone) fn fields(question: &Question) -> Value {
    let mut fields = consent::fields(&question.request);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("question".to_owned(), question.id.0.into());
        if let Asker::Laptop(transaction) = question.asker {
            fields.insert("transaction".to_owned(), transaction.0.into());
        }
        if let Some(name) = question.occasion.name() {
            fields.insert("occasion".to_owned(), name.into());
        }
    }
    fields
}

/// An event: its name, words, fields.
pub(super) fn event(event: Event) -> (&'static str, String, Value) {
    let transaction = event.transaction;
    let (name, words, mut fields) = event.what.map_or_else(unknown, what);
    if let (Some(fields), Some(transaction)) = (fields.as_object_mut(), transaction) {
        fields.insert("transaction".to_owned(), transaction.into());
    }
    (name, words, fields)
}

fn what(what: What) -> (&'static str, String, Value) {
    if let Some(step) = outcome::step(&what) {
        return outcome::told(&step);
    }
    match what {
        What::Scanned(_) => ("scanned", "The code was read.".to_owned(), json!({})),
        What::Rung(_) => ("rung", "A computer that is remembered has rung.".to_owned(), json!({})),
        What::Asked(asked) => match read::question(asked) {
            Some(asked) => ("asked", question(&asked), fields(&asked)),
            None => unknown(),
        },
        What::Settled(settled) => {
            let (words, how) = how(settled.how());
            let words = format!("Question {}: {words}", settled.question);
            ("settled", words, json!({ "question": settled.question, "how": how }))
        }
        What::Ended(ended) => match ended.failure {
            Some(failure) => {
                let words = format!("It is over: {}.", failure.text);
                let fields = json!({
                    "cause": failure.cause, "error": failure.text, "hint": failure.hint,
                });
                ("ended", words, fields)
            }
            None => ("ended", "It is over.".to_owned(), json!({})),
        },
        What::Answered(_) => ("answered", "Answered.".to_owned(), json!({})),
        _ => unknown(),
    }
}

fn unknown() -> (&'static str, String, Value) {
    let words = "Something happened that this program does not know.";
    ("unknown", words.to_owned(), json!({}))
}

/// How a question went: words, and a name for machines.
pub(in crate::cli::phone) fn how(how: Settled) -> (&'static str, &'static str) {
    match how {
        Settled::Approved => ("Approved.", "approved"),
        Settled::Declined => ("Declined.", "declined"),
        Settled::LockedOut => ("Too many wrong PINs.", "locked-out"),
        Settled::Withdrawn | Settled::Unspecified => {
            ("Withdrawn: nobody waits for it any more.", "withdrawn")
        }
    }
}
