//! The web site against our own laptop and a phone with real signatures. What is refused must be
//! refused by the library, so each case also pins the library's reason.

use serde_json::Value;
use webauthn_rp::response::auth::error::AuthCeremonyErr;
use webauthn_rp::response::register::error::RegCeremonyErr;

use super::*;
use crate::cbor::Value as Cbor;
use crate::client::webauthn::test_phone::TestPhone;
use crate::client::webauthn::{Assertion, Base64Url, CreationOptions, Origin, RequestOptions};
use crate::ctap::Flags;

const ORIGIN: &str = "http://localhost:8080";

fn site() -> RelyingParty {
    RelyingParty::new(ORIGIN, "demo@example.com", "Demo User").unwrap()
}

/// The laptop's part of a registration, with a phone that knows no extensions.
fn laptop_registers(options: &str, origin: &str, phone: &mut TestPhone) -> String {
    laptop_registers_with(&[], options, origin, phone)
}

fn laptop_registers_with(
    extensions: &[&str],
    options: &str,
    origin: &str,
    phone: &mut TestPhone,
) -> String {
    let options = CreationOptions::parse(options.as_bytes()).unwrap();
    let origin: Origin = origin.parse().unwrap();
    let registration = crate::client::webauthn::Registration::prepare(options, &origin).unwrap();
    assert_eq!(registration.notes(), []);
    let pending = registration.request(&TestPhone::info(extensions)).unwrap();
    let answer = phone.register(&pending.message());
    serde_json::to_string(&pending.finish(&answer).unwrap()).unwrap()
}

/// The laptop's part of a sign-in.
fn laptop_signs_in(options: &str, origin: &str, phone: &TestPhone) -> String {
    let options = RequestOptions::parse(options.as_bytes()).unwrap();
    let origin: Origin = origin.parse().unwrap();
    let assertion = Assertion::prepare(options, &origin).unwrap();
    assert_eq!(assertion.notes(), []);
    let mut pending = assertion.request(&TestPhone::info(&[])).unwrap();
    pending.accept(&phone.sign_in(&pending.message())).unwrap();
    serde_json::to_string(&pending.finish(0).unwrap()).unwrap()
}

fn registered() -> (RelyingParty, TestPhone) {
    let (mut site, mut phone) = (site(), TestPhone::new());
    let (options, ceremony) = site.begin_registration().unwrap();
    let response = laptop_registers(&options, ORIGIN, &mut phone);
    site.finish_registration(ceremony, &response).unwrap();
    (site, phone)
}

/// Changes one byte string in a response.
fn tamper(response: &str, member: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let mut json: Value = serde_json::from_str(response).unwrap();
    let text = &mut json["response"][member];
    let mut bytes = Base64Url::decode(text.as_str().unwrap()).unwrap().0;
    change(&mut bytes);
    *text = Base64Url(bytes).encode().into();
    json.to_string()
}

fn refused(error: RelyingPartyError) -> AuthCeremonyErr {
    match error {
        RelyingPartyError::SignIn(reason) => reason,
        other => panic!("not refused by the library: {other:?}"),
    }
}

fn registration_refused(error: RelyingPartyError) -> RegCeremonyErr {
    match error {
        RelyingPartyError::Registration(reason) => reason,
        other => panic!("not refused by the library: {other:?}"),
    }
}

#[test]
fn a_registration_and_both_kinds_of_sign_in_are_verified() {
    let (mut site, phone) = registered();
    for account in [Account::FromPasskey, Account::Known] {
        let (options, ceremony) = site.begin_sign_in(account).unwrap();
        let response = laptop_signs_in(&options, ORIGIN, &phone);
        let verified = site.finish_sign_in(ceremony, &response).unwrap();
        assert_eq!(verified.credential_id, phone.id);
        assert!(verified.user_verified);
        assert_eq!(verified.passkeys, 1);
    }
}

#[test]
fn a_phone_that_protects_its_passkeys_is_fine() {
    let (mut site, mut phone) = (site(), TestPhone::new());
    let (options, ceremony) = site.begin_registration().unwrap();
    phone.signed_extensions = Some(Cbor::text_map([("credProtect", Cbor::Uint(3))]));
    let response = laptop_registers_with(&["credProtect"], &options, ORIGIN, &mut phone);
    site.finish_registration(ceremony, &response).unwrap();
}

#[test]
fn other_origins_work_with_their_own_site_only() {
    let mut site = RelyingParty::new("https://demo.example", "demo", "Demo").unwrap();
    assert_eq!(site.origin(), "https://demo.example");
    let mut phone = TestPhone::new();
    let (options, ceremony) = site.begin_registration().unwrap();
    let response = laptop_registers(&options, "https://demo.example", &mut phone);
    site.finish_registration(ceremony, &response).unwrap();
    assert!(RelyingParty::new("http://127.0.0.1", "demo", "Demo").is_err());
}

#[test]
fn a_second_registration_excludes_and_the_same_passkey_is_refused() {
    let (mut site, mut phone) = registered();
    let (options, ceremony) = site.begin_registration().unwrap();
    let parsed = CreationOptions::parse(options.as_bytes()).unwrap();
    assert_eq!(parsed.exclude_credentials[0].id.0, phone.id);
    let response = laptop_registers(&options, ORIGIN, &mut phone);
    let error = site.finish_registration(ceremony, &response).unwrap_err();
    assert!(matches!(error, RelyingPartyError::Duplicate), "{error:?}");
}

#[test]
fn a_registration_for_another_challenge_is_refused() {
    let mut site = site();
    let (options, _) = site.begin_registration().unwrap();
    let (_, ceremony) = site.begin_registration().unwrap();
    let response = laptop_registers(&options, ORIGIN, &mut TestPhone::new());
    let error = site.finish_registration(ceremony, &response).unwrap_err();
    let reason = registration_refused(error);
    assert!(matches!(reason, RegCeremonyErr::ChallengeMismatch), "{reason:?}");
}

#[test]
fn a_registration_from_another_origin_is_refused() {
    let mut site = site();
    let (options, ceremony) = site.begin_registration().unwrap();
    let response = laptop_registers(&options, "http://localhost:9", &mut TestPhone::new());
    let error = site.finish_registration(ceremony, &response).unwrap_err();
    let error = registration_refused(error);
    assert!(matches!(error, RegCeremonyErr::OriginMismatch), "{error:?}");
}

#[test]
fn a_registration_without_user_verification_is_refused() {
    let mut site = site();
    let (options, ceremony) = site.begin_registration().unwrap();
    let mut phone = TestPhone::new();
    // Our laptop would refuse as well, so it is told that nobody insists.
    phone.flags = phone.flags.with(Flags::USER_VERIFIED, false);
    let lax =
        options.replace(r#""userVerification":"required""#, r#""userVerification":"discouraged""#);
    assert_ne!(lax, options);
    let response = laptop_registers(&lax, ORIGIN, &mut phone);
    let error = site.finish_registration(ceremony, &response).unwrap_err();
    let error = registration_refused(error);
    assert!(matches!(error, RegCeremonyErr::UserNotVerified), "{error:?}");
}

#[test]
fn a_registration_whose_members_disagree_is_refused() {
    let mut site = site();
    let (options, ceremony) = site.begin_registration().unwrap();
    let response = laptop_registers(&options, ORIGIN, &mut TestPhone::new());
    let other = tamper(&response, "publicKey", |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(site.finish_registration(ceremony, &other).is_err());
    assert!(site.begin_sign_in(Account::Known).is_err(), "nothing may be kept");
}

#[test]
fn a_bad_signature_is_refused() {
    let (mut site, phone) = registered();
    for account in [Account::FromPasskey, Account::Known] {
        let (options, ceremony) = site.begin_sign_in(account).unwrap();
        let good = laptop_signs_in(&options, ORIGIN, &phone);
        // The last byte of the second integer: still DER, another number.
        let bad = tamper(&good, "signature", |bytes| *bytes.last_mut().unwrap() ^= 1);
        let error = refused(site.finish_sign_in(ceremony, &bad).unwrap_err());
        assert!(matches!(error, AuthCeremonyErr::AssertionSignature), "{error:?}");
    }
}

#[test]
fn authenticator_data_that_was_not_signed_is_refused() {
    let (mut site, phone) = registered();
    let (options, ceremony) = site.begin_sign_in(Account::FromPasskey).unwrap();
    let good = laptop_signs_in(&options, ORIGIN, &phone);
    let bad = tamper(&good, "authenticatorData", |bytes| bytes[36] ^= 1);
    let error = refused(site.finish_sign_in(ceremony, &bad).unwrap_err());
    assert!(matches!(error, AuthCeremonyErr::AssertionSignature), "{error:?}");
}

#[test]
fn a_sign_in_for_another_challenge_is_refused() {
    let (mut site, phone) = registered();
    let (options, _) = site.begin_sign_in(Account::FromPasskey).unwrap();
    let (_, ceremony) = site.begin_sign_in(Account::FromPasskey).unwrap();
    let response = laptop_signs_in(&options, ORIGIN, &phone);
    let error = refused(site.finish_sign_in(ceremony, &response).unwrap_err());
    assert!(matches!(error, AuthCeremonyErr::ChallengeMismatch), "{error:?}");
}

#[test]
fn a_sign_in_from_another_origin_is_refused() {
    let (mut site, phone) = registered();
    let (options, ceremony) = site.begin_sign_in(Account::Known).unwrap();
    let response = laptop_signs_in(&options, "http://localhost:9", &phone);
    let error = refused(site.finish_sign_in(ceremony, &response).unwrap_err());
    assert!(matches!(error, AuthCeremonyErr::OriginMismatch), "{error:?}");
}

#[test]
fn a_sign_in_without_user_verification_is_refused() {
    let (mut site, mut phone) = registered();
    let (options, ceremony) = site.begin_sign_in(Account::Known).unwrap();
    phone.flags = phone.flags.with(Flags::USER_VERIFIED, false);
    let lax =
        options.replace(r#""userVerification":"required""#, r#""userVerification":"discouraged""#);
    assert_ne!(lax, options);
    let response = laptop_signs_in(&lax, ORIGIN, &phone);
    let error = refused(site.finish_sign_in(ceremony, &response).unwrap_err());
    assert!(matches!(error, AuthCeremonyErr::UserNotVerified), "{error:?}");
}

#[test]
fn a_counter_that_went_back_is_refused() {
    let (mut site, mut phone) = registered();
    for (count, good) in [(5, true), (6, true), (6, false), (2, false)] {
        phone.sign_count = count;
        let (options, ceremony) = site.begin_sign_in(Account::Known).unwrap();
        let response = laptop_signs_in(&options, ORIGIN, &phone);
        let result = site.finish_sign_in(ceremony, &response);
        assert_eq!(result.is_ok(), good, "{count}: {result:?}");
    }
}

#[test]
fn another_passkey_is_not_known() {
    let (mut site, mut phone) = registered();
    let (options, ceremony) = site.begin_sign_in(Account::FromPasskey).unwrap();
    phone.id = vec![9; 32];
    let response = laptop_signs_in(&options, ORIGIN, &phone);
    let error = site.finish_sign_in(ceremony, &response).unwrap_err();
    assert!(matches!(error, RelyingPartyError::UnknownPasskey), "{error:?}");
}
