//! The words of each question, and what counts as an answer.

use serde_json::json;

use super::*;
use crate::authenticator::AccountView;
use crate::cli::phone::view::tests::passkey;
use crate::ctap::Permissions;

fn accounts(names: &[&str]) -> Vec<AccountView> {
    let view = |(i, name): (usize, &&str)| passkey(&[u8::try_from(i).unwrap(); 32], name).account();
    names.iter().enumerate().map(view).collect()
}

#[test]
fn saving_names_site_account_and_what_goes() {
    let request = ConsentRequest::Save {
        rp_id: "contoso.com".into(),
        rp_name: Some("Contoso".into()),
        account: Some("anna".into()),
        replaces: accounts(&["anna"]),
    };
    assert_eq!(
        headline(Who::Laptop, &request),
        "A laptop nearby wants to save a passkey for contoso.com, account anna."
    );
    let text = particulars(Who::Laptop, &request);
    assert!(text.contains("calls itself: Contoso\n"));
    assert!(text.contains("Takes the place of: anna of 2022-10-24 05:24 UTC\n"));
    assert!(text.ends_with("The laptop says so; did you start this?\n"));
    let expected = json!({
        "what": "save", "rpId": "contoso.com", "accounts": ["anna"], "replaces": ["anna"],
    });
    assert_eq!(fields(&request), expected);
}

#[test]
fn several_accounts_are_numbered() {
    let accounts = accounts(&["anna", "bob"]);
    let mut request = ConsentRequest::SignIn { rp_id: "contoso.com".into(), accounts, pick: true };
    assert_eq!(headline(Who::Laptop, &request), "A laptop nearby wants to sign in to contoso.com.");
    let text = particulars(Who::Laptop, &request);
    assert!(text.contains("  1. anna, never used; maybe unknown to the site\n  2. bob,"));
    assert!(!text.contains("let you choose"));
    if let ConsentRequest::SignIn { pick, .. } = &mut request {
        *pick = false;
    }
    assert!(particulars(Who::Laptop, &request).contains("The laptop will see all of them"));
}

#[test]
fn choices_are_numbers_in_range_or_none() {
    assert_eq!(choice("2", 2), Some(Some(1)));
    assert_eq!(choice("", 2), Some(None));
    assert_eq!(choice("n", 2), Some(None));
    assert_eq!(choice("3", 2), None);
    assert_eq!(choice("0", 2), None);
    assert_eq!(choice("y", 2), None);
}

#[test]
fn standing_approval_makes_up_no_passkey() {
    let proof = Verification::standing_approval();
    let nothing = ConsentRequest::NothingFound { rp_id: "contoso.com".into() };
    assert_eq!(nothing.approved_beforehand(proof), Decision::Declined);
    let presence = ConsentRequest::Presence.approved_beforehand(proof);
    assert!(matches!(presence, Decision::Approved { account: 0, .. }));
}

#[test]
fn a_reset_is_said_in_plain_words_and_never_approved_beforehand() {
    let reset = ConsentRequest::Reset { passkeys: 12 };
    assert!(headline(Who::Program, &reset).contains("delete ALL 12 passkeys"));
    assert!(particulars(Who::Program, &reset).contains("not sign in"));
    let proof = Verification::standing_approval();
    assert_eq!(reset.approved_beforehand(proof), Decision::Declined);
    let permissions = Permissions::MANAGE;
    let allow = ConsentRequest::Allow { rp_id: None, permissions };
    assert!(headline(Who::Program, &allow).contains("passkeys of every site"));
    assert!(matches!(allow.approved_beforehand(proof), Decision::Approved { .. }));
}
