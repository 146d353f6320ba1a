//! Says on the terminal of the service what the user is asked, and where to answer.

use serde_json::json;

use crate::authenticator::service::{Happened, Question, Service, Settled};
use crate::cli::phone::{Reporter, consent};

/// Runs until it is dropped.
pub(super) async fn tell(reporter: Reporter, service: &Service) {
    let mut events = service.events(None);
    while let Some(event) = events.next().await {
        match event.what {
            Happened::Asked(question) => asked(reporter, &question),
            Happened::Settled { question, how } => {
                let (event, words) = settled(how);
                let words = format!("Question {}: {words}.", question.0);
                reporter.step(event, &words, json!({ "question": question.0 }));
            }
            _ => {}
        }
    }
}

fn asked(reporter: Reporter, question: &Question) {
    let id = question.id.0;
    let headline = consent::headline(question.asker.into(), &question.request);
    let words = format!(
        "Question {id}: {headline} Did you start this? Answer with: cabled phone approve {id}, or \
         decline {id}"
    );
    reporter.step("asked", &words, json!({ "question": id }));
}

fn settled(how: Settled) -> (&'static str, &'static str) {
    match how {
        Settled::Approved => ("approved", "approved"),
        Settled::Declined => ("declined", "declined"),
        Settled::LockedOut => ("locked-out", "too many wrong PINs"),
        _ => ("withdrawn", "withdrawn, because nobody waits for it any more"),
    }
}
