//! Each way a transaction can end, and what is said about it.

use super::*;
use crate::authenticator::{CredentialId, store};
use crate::channel;
use crate::cli::phone::unlock;

fn whom() -> Whom {
    Whom { id: "AAAA".into(), site: "contoso.com".into(), account: "anna".into() }
}

fn gone(waiting: Waiting) -> Result<(), Error> {
    Err(Error::Protocol(hybrid::Error::PeerClosed(waiting)))
}

fn broken(waiting: Waiting) -> Result<(), Error> {
    Err(Error::Broken {
        via: ChannelKind::Tunnel,
        waiting,
        source: Box::new(channel::Error::TimedOut),
    })
}

fn judge(result: Result<(), Error>, answer: Option<&Answer>, taken: bool) -> Result<(), Failure> {
    verdict(result.err().as_ref().map(End::from), answer, taken, Some("contoso.com"))
}

#[test]
fn an_answer_that_was_taken_is_a_success() {
    for answer in [Answer::Saved(whom()), Answer::SignedIn(whom()), Answer::Offered(whom())] {
        assert!(judge(Ok(()), Some(&answer), true).is_ok());
        assert!(judge(gone(Waiting::Request), Some(&answer), true).is_ok());
        assert!(judge(broken(Waiting::Request), Some(&answer), true).is_ok());
        assert!(judge(Ok(()), Some(&answer), false).is_err());
        assert!(judge(gone(Waiting::Acknowledgement), Some(&answer), false).is_err());
    }
}

#[test]
fn a_saved_passkey_that_nobody_took_is_called_an_orphan() {
    let saved = Answer::Saved(whom());
    let cancelled = Err(Error::Protocol(hybrid::Error::Cancelled));
    for (end, status) in [
        (Ok(()), Status::NotHeard),
        (gone(Waiting::Acknowledgement), Status::NotHeard),
        (cancelled, Status::Interrupted),
    ] {
        let failure = judge(end, Some(&saved), false).unwrap_err();
        assert_eq!(failure.status, status);
        assert!(failure.hint.contains("contoso.com is saved here, but possibly orphaned"));
        assert!(failure.hint.contains("passkeys list") && failure.hint.contains("prune"));
    }
    let credential = CredentialId::from_bytes(&[1; 32]).unwrap();
    let source = Box::new(gone(Waiting::Acknowledgement).unwrap_err());
    let unconfirmed = Err(Error::Unconfirmed { credential, source });
    let failure = judge(unconfirmed, Some(&saved), false).unwrap_err();
    assert_eq!(failure.status, Status::NotHeard);
    assert!(failure.hint.contains("contoso.com is saved here, but possibly orphaned"));
    let signed = Answer::SignedIn(whom());
    let failure = judge(gone(Waiting::Acknowledgement), Some(&signed), false).unwrap_err();
    assert!(!failure.hint.contains("orphan"));
}

#[test]
fn a_refusal_stays_one_when_the_laptop_just_hangs_up() {
    let cases = [
        (ctap::Status::OPERATION_DENIED, Status::Refused, "declined"),
        (ctap::Status::NO_CREDENTIALS, Status::Refused, "no passkey for contoso.com"),
        (ctap::Status::CREDENTIAL_EXCLUDED, Status::Refused, "contoso.com knows a passkey"),
        (ctap::Status::USER_ACTION_TIMEOUT, Status::Refused, "in time"),
        (ctap::Status::UV_INVALID, Status::Locked, "wrong"),
        (ctap::Status::UV_BLOCKED, Status::Locked, "too many"),
        (ctap::Status::UNSUPPORTED_ALGORITHM, Status::Refused, "ALGORITHM"),
    ];
    for (status, kind, words) in cases {
        let ack = Waiting::Acknowledgement;
        for end in [Ok(()), gone(ack), broken(ack)] {
            let failure = judge(end, Some(&Answer::Refused(status)), false).unwrap_err();
            assert_eq!(failure.status, kind);
            assert!(failure.error.contains(words), "{}", failure.error);
        }
    }
}

#[test]
fn other_ends_keep_their_own_cause() {
    let refused = Answer::Refused(ctap::Status::OPERATION_DENIED);
    let cancelled = Err(Error::Protocol(hybrid::Error::Cancelled));
    let failure = judge(cancelled, Some(&refused), false).unwrap_err();
    assert_eq!(failure.status, Status::Interrupted);
    assert_eq!(judge(Ok(()), None, false).unwrap_err().status, Status::NotHeard);
    let never_came = gone(Waiting::Client);
    assert_eq!(judge(never_came, None, false).unwrap_err().status, Status::NotHeard);
    let failed = Answer::StoreFailed(unlock::failed(&store::Error::Corrupt));
    assert_eq!(judge(Ok(()), Some(&failed), true).unwrap_err().status, Status::Storage);
}

#[test]
fn the_last_line_says_it_all() {
    let expected = json!({
        "v": 1, "event": "result", "outcome": "registered", "acknowledged": true, "status": 0,
        "rpId": "contoso.com", "account": "anna", "credentialId": "AAAA",
    });
    assert_eq!(last_line(Some(&Answer::Saved(whom())), true, None), expected);
    let failure = refusal(ctap::Status::NO_CREDENTIALS, None);
    let refused = Answer::Refused(ctap::Status::NO_CREDENTIALS);
    let line = last_line(Some(&refused), false, Some(&failure));
    assert_eq!((&line["outcome"], &line["status"]), (&json!("refused"), &json!(6)));
    assert_eq!(last_line(None, false, None)["outcome"], "failed");
}
