//! Messages of the schema as the service's terms again, for clients in this language. Pure.
//!
//! `None` is a message that a newer service sent, or a broken one. Depends on `authenticator` and the
//! generated code only.

use super::v1;
use crate::authenticator::consent::AccountView;
use crate::authenticator::passkey::CredProtect;
use crate::authenticator::service::{Asker, Occasion, Question, QuestionId, TransactionId};
use crate::authenticator::store::exchange::{Skipped, Why};
use crate::authenticator::{ConsentRequest, CredentialId, LinkView, PasskeyView, State, Timestamp};
use crate::ctap::Permissions;

/// A passkey.
#[must_use]
pub fn passkey(message: v1::Passkey) -> Option<PasskeyView> {
    let state = state(message.state())?;
    Some(PasskeyView {
        id: CredentialId::from_bytes(&message.id)?,
        rp_id: message.rp_id,
        rp_name: message.rp_name,
        user_id: message.user_id,
        user_name: message.user_name,
        user_display_name: message.user_display_name,
        label: message.label,
        state,
        discoverable: message.discoverable,
        cred_protect: CredProtect::from_level(message.cred_protect.into())?,
        created_at: Timestamp(message.created_at),
        delivered_at: message.delivered_at.map(Timestamp),
        last_used_at: message.last_used_at.map(Timestamp),
        replaces: usize::try_from(message.replaces).ok()?,
    })
}

fn state(state: v1::PasskeyState) -> Option<State> {
    match state {
        v1::PasskeyState::Unspecified => None,
        v1::PasskeyState::Created => Some(State::Created),
        v1::PasskeyState::Delivered => Some(State::Delivered),
        v1::PasskeyState::Used => Some(State::Used),
    }
}

fn account(message: v1::Account) -> Option<AccountView> {
    let state = state(message.state())?;
    Some(AccountView {
        id: CredentialId::from_bytes(&message.id)?,
        name: message.name,
        display_name: message.display_name,
        label: message.label,
        created_at: Timestamp(message.created_at),
        last_used_at: message.last_used_at.map(Timestamp),
        state,
    })
}

fn accounts(messages: Vec<v1::Account>) -> Option<Vec<AccountView>> {
    messages.into_iter().map(account).collect()
}

/// A computer that may ring.
#[must_use]
pub fn link(message: v1::Link) -> Option<LinkView> {
    Some(LinkView {
        id: message.id.try_into().ok()?,
        made_at: Timestamp(message.made_at),
        rp_id: message.rp_id,
        rung_at: message.rung_at.map(Timestamp),
    })
}

/// A question.
#[must_use]
pub fn question(message: v1::Question) -> Option<Question> {
    let id = QuestionId(message.id);
    let asker = message.transaction.map_or(Asker::Program, |id| Asker::Laptop(TransactionId(id)));
    let asked_at = Timestamp(message.asked_at);
    let occasion = match message.occasion() {
        v1::Occasion::Unspecified => Occasion::Asked,
        v1::Occasion::WantsLink => Occasion::WantsLink,
        v1::Occasion::Rung => Occasion::Rung,
    };
    Some(Question { id, asker, occasion, asked_at, request: request(message)? })
}

fn request(message: v1::Question) -> Option<ConsentRequest> {
    use v1::Wanted as W;
    let wanted = message.wanted();
    let rp_id = message.rp_id;
    let allow = |permissions, rp_id: String| ConsentRequest::Allow {
        rp_id: Some(rp_id).filter(|id| !id.is_empty()),
        permissions,
    };
    Some(match wanted {
        W::Unspecified => return None,
        W::Save => ConsentRequest::Save {
            rp_id,
            rp_name: message.rp_name,
            account: message.user,
            replaces: accounts(message.replaces)?,
        },
        W::SignIn => ConsentRequest::SignIn {
            rp_id,
            accounts: accounts(message.accounts)?,
            pick: message.pick,
        },
        W::AlreadyRegistered => {
            let account = accounts(message.accounts)?.into_iter().next()?;
            ConsentRequest::AlreadyRegistered { rp_id, account }
        }
        W::NothingFound => ConsentRequest::NothingFound { rp_id },
        W::Presence => ConsentRequest::Presence,
        W::Manage => allow(Permissions::MANAGE, rp_id),
        W::ChangeData => allow(Permissions::LARGE_BLOBS, rp_id),
        W::Reset => ConsentRequest::Reset { passkeys: usize::try_from(message.passkeys).ok()? },
    })
}

/// What would not be imported.
#[must_use]
pub fn skipped(message: v1::Skipped) -> Skipped {
    let why = match message.reason.as_str() {
        "other-type" => Why::OtherType(message.r#type.unwrap_or_default()),
        "other-algorithm" => Why::OtherAlgorithm,
        "already-here" => Why::AlreadyHere,
        _ => Why::Broken,
    };
    Skipped { title: message.title, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::grpc::convert;

    fn view(state: State) -> PasskeyView {
        PasskeyView {
            id: CredentialId::from_bytes(&[7; 32]).unwrap(),
            rp_id: "contoso.com".to_owned(),
            rp_name: Some("Contoso".to_owned()),
            user_id: vec![1, 2],
            user_name: Some("anna".to_owned()),
            user_display_name: None,
            label: Some("work".to_owned()),
            state,
            discoverable: true,
            cred_protect: CredProtect::Required,
            created_at: Timestamp(3),
            delivered_at: Some(Timestamp(4)),
            last_used_at: None,
            replaces: 2,
        }
    }

    #[test]
    fn a_passkey_comes_out_as_it_went_in() {
        for state in [State::Created, State::Delivered, State::Used] {
            let there = convert::passkey(view(state));
            assert_eq!(passkey(there.clone()), Some(view(state)));
            assert_eq!(passkey(v1::Passkey { id: vec![], ..there.clone() }), None);
            assert_eq!(passkey(v1::Passkey { state: 99, ..there.clone() }), None);
            assert_eq!(passkey(v1::Passkey { cred_protect: 4, ..there }), None);
        }
    }

    #[test]
    fn every_question_comes_out_as_it_went_in() {
        let rp_id = "contoso.com".to_owned();
        let account = view(State::Used).account();
        let requests = [
            ConsentRequest::Save {
                rp_id: rp_id.clone(),
                rp_name: Some("Contoso".to_owned()),
                account: Some("anna".to_owned()),
                replaces: vec![account.clone()],
            },
            ConsentRequest::SignIn {
                rp_id: rp_id.clone(),
                accounts: vec![account.clone(), account.clone()],
                pick: true,
            },
            ConsentRequest::AlreadyRegistered { rp_id: rp_id.clone(), account },
            ConsentRequest::NothingFound { rp_id: rp_id.clone() },
            ConsentRequest::Presence,
            ConsentRequest::Allow { rp_id: None, permissions: Permissions::MANAGE },
            ConsentRequest::Allow { rp_id: Some(rp_id), permissions: Permissions::LARGE_BLOBS },
            ConsentRequest::Reset { passkeys: 12 },
        ];
        for (request, asker) in requests.into_iter().flat_map(|request| {
            [Asker::Program, Asker::Laptop(TransactionId(5))].map(|asker| (request.clone(), asker))
        }) {
            let (id, asked_at, occasion) = (QuestionId(9), Timestamp(8), Occasion::Rung);
            let asked = Question { id, asker, occasion, asked_at, request };
            assert_eq!(question(convert::question(&asked)), Some(asked));
        }
        assert_eq!(question(v1::Question::default()), None);
    }
}
