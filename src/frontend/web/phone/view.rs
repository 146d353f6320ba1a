//! Questions and passkeys as the page gets them. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::authenticator::service::{Asker, Question};
use crate::authenticator::{AccountView, ConsentRequest, CredentialId, PasskeyView};
use crate::ctap::Permissions;

pub(super) fn full_id(id: &CredentialId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The other direction; `None` for what is no ID.
pub(super) fn read_id(text: &str) -> Option<CredentialId> {
    URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| CredentialId::from_bytes(&bytes))
}

fn account(view: &AccountView) -> Value {
    json!({
        "id": full_id(&view.id),
        "name": view.name,
        "displayName": view.display_name,
        "label": view.label,
        "createdAt": view.created_at.0,
        "lastUsedAt": view.last_used_at.map(|at| at.0),
        "state": view.state.name(),
    })
}

/// One passkey; what the site said is printable and bounded, and no keys are in it.
pub(super) fn passkey(passkey: &PasskeyView) -> Value {
    let mut value = account(&passkey.account());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("rpId".to_owned(), passkey.rp_id.clone().into());
        fields.insert("deliveredAt".to_owned(), passkey.delivered_at.map(|at| at.0).into());
    }
    value
}

pub(super) fn question(question: &Question) -> Value {
    let accounts = |list: &[AccountView]| Value::from(list.iter().map(account).collect::<Vec<_>>());
    let (what, fields) = match &question.request {
        ConsentRequest::Save { rp_id, rp_name, account, replaces } => (
            "save",
            json!({ "rpId": rp_id, "rpName": rp_name, "account": account,
                    "accounts": accounts(replaces) }),
        ),
        ConsentRequest::SignIn { rp_id, accounts: list, pick } => {
            ("sign-in", json!({ "rpId": rp_id, "accounts": accounts(list), "pick": pick }))
        }
        ConsentRequest::AlreadyRegistered { rp_id, account } => (
            "already-registered",
            json!({ "rpId": rp_id, "accounts": accounts(std::slice::from_ref(account)) }),
        ),
        ConsentRequest::NothingFound { rp_id } => ("nothing-found", json!({ "rpId": rp_id })),
        ConsentRequest::Presence => ("presence", json!({})),
        ConsentRequest::Allow { rp_id, permissions } => {
            let manage = permissions.contains(Permissions::MANAGE);
            (if manage { "manage" } else { "change-data" }, json!({ "rpId": rp_id }))
        }
        ConsentRequest::Reset { passkeys } => ("reset", json!({ "passkeys": passkeys })),
    };
    let asker = match question.asker {
        Asker::Laptop(_) => "laptop",
        _ => "program",
    };
    let mut value = json!({ "id": question.id.0, "what": what, "asker": asker,
                            "occasion": question.occasion.words(),
                            "askedAt": question.asked_at.0 });
    if let (Some(value), Value::Object(fields)) = (value.as_object_mut(), fields) {
        value.extend(fields);
    }
    value
}
