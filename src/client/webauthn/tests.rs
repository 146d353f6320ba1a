//! Whole ceremonies: what is sent to the phone, what comes back, and all that is refused.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::test_phone::TestPhone;
use super::*;
use crate::cbor::{self, Value};
use crate::ctap::{self, CosePublicKey, Es256PublicKey, Flags, GetInfo, Status, UserEntity};
use crate::ctap::{CredentialDescriptor, MakeCredentialRequest};

const ORIGIN: &str = "https://login.example.com";

fn origin() -> Origin {
    ORIGIN.parse().unwrap()
}

/// Creation options with some members replaced; `null` is as good as absent.
fn creation(changes: Json) -> Json {
    let mut options = json!({
        "rp": {"id": "example.com", "name": "Example"},
        "user": {"id": "AQID", "name": "ada", "displayName": "Ada"},
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    });
    merge(&mut options, changes);
    options
}

/// Request options with some members replaced.
fn request(changes: Json) -> Json {
    let mut options = json!({"rpId": "example.com", "challenge": "AAECAwQFBgcICQoLDA0ODw"});
    merge(&mut options, changes);
    options
}

fn merge(options: &mut Json, changes: Json) {
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
}

fn prepare(changes: Json) -> Result<Registration, Error> {
    let options = CreationOptions::parse(creation(changes).to_string().as_bytes())?;
    Registration::prepare(options, &origin())
}

fn prepare_get(changes: Json) -> Result<Assertion, Error> {
    let options = RequestOptions::parse(request(changes).to_string().as_bytes())?;
    Assertion::prepare(options, &origin())
}

fn sent(changes: Json, phone: &GetInfo) -> MakeCredentialRequest {
    TestPhone::creation(&prepare(changes).unwrap().request(phone).unwrap().message())
}

/// A registration with `phone`, which lists `extensions`.
fn register(changes: Json, extensions: &[&str], phone: &mut TestPhone) -> Result<Json, Error> {
    let pending = prepare(changes)?.request(&TestPhone::info(extensions))?;
    let answer = phone.register(&pending.message());
    Ok(serde_json::to_value(pending.finish(&answer)?).unwrap())
}

/// A sign-in with `phone`, which lists `extensions`.
fn sign_in(changes: Json, extensions: &[&str], phone: &TestPhone) -> Result<Json, Error> {
    let mut pending = prepare_get(changes)?.request(&TestPhone::info(extensions))?;
    let progress = pending.accept(&phone.sign_in(&pending.message()))?;
    assert_eq!(progress, Progress::Complete);
    Ok(serde_json::to_value(pending.finish(0)?).unwrap())
}

fn known_user() -> Option<UserEntity> {
    Some(UserEntity { id: vec![1, 2, 3], name: Some("ada".into()), display_name: None })
}

fn bytes(json: &Json) -> Vec<u8> {
    Base64Url::decode(json.as_str().unwrap()).unwrap().0
}

fn one_allowed(id: &[u8]) -> Json {
    json!([{"type": "public-key", "id": Base64Url::from(id).encode()}])
}

mod registration {
    use super::*;

    #[test]
    fn the_request_is_what_phones_expect() {
        let changes = json!({
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
            "excludeCredentials": [
                {"type": "public-key", "id": "AQ", "transports": ["hybrid", "future"]},
                {"type": "future-key", "id": "Ag"},
            ],
        });
        let request = sent(changes, &TestPhone::info(&[]));
        assert_eq!(request.rp.id, "example.com");
        assert_eq!(request.rp.name.as_deref(), Some("Example"));
        assert_eq!(request.user.id, [1, 2, 3]);
        assert_eq!(request.user.display_name.as_deref(), Some("Ada"));
        assert_eq!((request.options.rk, request.options.uv), (Some(true), Some(true)));
        let excluded = CredentialDescriptor {
            transports: vec!["hybrid".into(), "future".into()],
            ..CredentialDescriptor::new(vec![1])
        };
        assert_eq!(request.exclude_list, [excluded]);
        let client_data = format!(
            r#"{{"type":"webauthn.create","challenge":"AAECAwQFBgcICQoLDA0ODw","origin":"{ORIGIN}","crossOrigin":false}}"#
        );
        assert_eq!(request.client_data_hash[..], Sha256::digest(client_data)[..]);
    }

    #[test]
    fn resident_key_follows_the_words_and_the_older_flag() {
        let cases = [
            (json!({"residentKey": "required"}), Some(true)),
            (json!({"residentKey": "preferred"}), Some(true)),
            (json!({"residentKey": "discouraged", "requireResidentKey": true}), None),
            (json!({"requireResidentKey": true}), Some(true)),
            (json!({"residentKey": "sometimes", "requireResidentKey": true}), Some(true)),
            (json!({}), None),
        ];
        for (selection, rk) in cases {
            let changes = json!({"authenticatorSelection": selection});
            assert_eq!(sent(changes, &TestPhone::info(&[])).options.rk, rk, "{selection}");
        }
    }

    #[test]
    fn algorithms_default_and_keep_their_order() {
        let algorithms = |params: Json| {
            let sent = sent(json!({"pubKeyCredParams": params}), &TestPhone::info(&[]));
            sent.pub_key_cred_params.iter().map(|p| p.alg).collect::<Vec<_>>()
        };
        assert_eq!(algorithms(json!([])), [-7, -257]);
        let listed = json!([
            {"type": "public-key", "alg": -8},
            {"type": "future", "alg": -1},
            {"type": "public-key", "alg": -7},
        ]);
        assert_eq!(algorithms(listed), [-8, -7]);
        let unusable = prepare(json!({"pubKeyCredParams": [{"type": "future", "alg": -7}]}));
        assert_eq!(unusable.unwrap_err().web_authn_name(), "NotSupportedError");
    }

    #[test]
    fn wrong_options_have_the_names_that_browsers_give() {
        let long = Base64Url(vec![1; 65]).encode();
        let user = |id: &str| json!({"user": {"id": id, "name": "n", "displayName": "d"}});
        let cases = [
            (user(""), "TypeError"),
            (user(&long), "TypeError"),
            (json!({"challenge": "?"}), "TypeError"),
            (json!({"rp": {"id": "other.example", "name": "x"}}), "SecurityError"),
            (json!({"rp": {"id": "com", "name": "x"}}), "SecurityError"),
            (
                json!({"authenticatorSelection": {"authenticatorAttachment": "platform"}}),
                "NotAllowedError",
            ),
            (json!({"excludeCredentials": [{"type": "public-key", "id": ""}]}), "NotAllowedError"),
            (json!({"extensions": {"credentialProtectionPolicy": "maximal"}}), "TypeError"),
            (json!({"extensions": {"largeBlob": {"read": true}}}), "NotSupportedError"),
            (
                json!({"extensions": {"prf": {"evalByCredential": {"AQ": {"first": "AQ"}}}}}),
                "NotSupportedError",
            ),
        ];
        for (changes, name) in cases {
            let error = prepare(changes.clone()).unwrap_err();
            assert_eq!(error.web_authn_name(), name, "{changes}: {error}");
        }
    }

    #[test]
    fn a_phone_that_cannot_do_what_is_required_gets_no_request() {
        let lame = GetInfo { options: vec![], ..TestPhone::info(&[]) };
        let selection = |what: &str| json!({"authenticatorSelection": {what: "required"}});
        let extension = |input: Json| json!({"extensions": input});
        let cases = [
            (selection("residentKey"), Unsuitable::ResidentKey),
            (selection("userVerification"), Unsuitable::UserVerification),
            (
                extension(json!({
                    "credentialProtectionPolicy": "userVerificationRequired",
                    "enforceCredentialProtectionPolicy": true,
                })),
                Unsuitable::CredProtect,
            ),
            (extension(json!({"largeBlob": {"support": "required"}})), Unsuitable::LargeBlob),
        ];
        for (changes, expected) in cases {
            let error = prepare(changes).unwrap().request(&lame).unwrap_err();
            assert!(matches!(error, Error::Unsuitable(e) if e == expected), "{error}");
        }
        let modest = sent(json!({}), &lame);
        assert_eq!((modest.options.rk, modest.options.uv), (None, None));
    }

    #[test]
    fn remarks_stop_nothing() {
        let changes = json!({
            "challenge": "AAAA", "timeout": 60000, "attestation": "enterprise",
            "hints": ["security-key", "future"],
            "extensions": {"minPinLength": true},
        });
        let pending = prepare(changes).unwrap().request(&TestPhone::info(&[])).unwrap();
        let (asked, used) =
            (std::time::Duration::from_secs(60), std::time::Duration::from_secs(300));
        let expected = [
            Note::ShortChallenge(3),
            Note::HintsWithoutHybrid,
            Note::EnterpriseAttestation,
            Note::Timeout { asked, used },
            Note::ExtensionUnsupported("minPinLength"),
        ];
        assert_eq!(pending.notes(), expected);
        let fine = json!({"hints": ["security-key", "hybrid"], "timeout": 400_000});
        assert_eq!(prepare(fine).unwrap().notes(), []);
        assert_eq!(prepare(json!({"hints": ["future"]})).unwrap().notes(), []);
    }

    #[test]
    fn the_timeout_is_clamped() {
        for (asked, seconds) in [
            (json!(null), 300),
            (json!(0), 300),
            (json!(-5), 300),
            (json!(450_000), 450),
            (json!(1e300), 600),
        ] {
            let timeout = prepare(json!({"timeout": asked})).unwrap().timeout();
            assert_eq!(timeout.as_secs(), seconds, "{asked}");
        }
    }

    #[test]
    fn the_answer_has_all_members() {
        let mut phone = TestPhone::new();
        let json = register(json!({}), &[], &mut phone).unwrap();
        assert_eq!(bytes(&json["id"]), phone.id);
        assert_eq!(json["id"], json["rawId"]);
        assert_eq!(json["type"], "public-key");
        assert_eq!(json["authenticatorAttachment"], "cross-platform");
        assert_eq!(json["clientExtensionResults"], json!({}));
        let response = &json["response"];
        assert_eq!(response["transports"], json!(["hybrid", "internal"]));
        assert_eq!(response["publicKeyAlgorithm"], -7);
        assert_eq!(bytes(&response["publicKey"]).len(), 91);
        let object = cbor::decode(&bytes(&response["attestationObject"])).unwrap();
        let auth_data = object.get_text("authData").unwrap().as_bytes().unwrap();
        assert_eq!(auth_data, bytes(&response["authenticatorData"]));
        assert_eq!(object.get_text("fmt").unwrap().as_text(), Some("none"));
        let members: Vec<_> = response.as_object().unwrap().keys().collect();
        assert_eq!(members.len(), 6, "{members:?}");
    }

    #[test]
    fn attestation_passes_only_where_it_should() {
        let packed = |x5c: bool| {
            let certificates = x5c.then_some(("x5c", Value::Array(vec![])));
            let signature = [("sig", Value::from(vec![1]))];
            ("packed".to_owned(), Value::text_map(signature.into_iter().chain(certificates)))
        };
        let cases = [
            (json!(null), [0xaa; 16], packed(false), "none"),
            (json!("none"), [0xaa; 16], packed(true), "none"),
            (json!("future"), [0xaa; 16], packed(true), "none"),
            (json!("none"), [0; 16], packed(true), "none"),
            (json!("none"), [0; 16], packed(false), "packed"),
            (json!("direct"), [0xaa; 16], packed(true), "packed"),
            (json!("indirect"), [0xaa; 16], packed(false), "packed"),
            (json!("enterprise"), [0xaa; 16], packed(false), "packed"),
        ];
        for (attestation, aaguid, statement, fmt) in cases {
            let mut phone = TestPhone::new();
            (phone.aaguid, phone.statement) = (aaguid, statement.clone());
            let json = register(json!({"attestation": attestation}), &[], &mut phone).unwrap();
            let object = bytes(&json["response"]["attestationObject"]);
            let object = cbor::decode(&object).unwrap();
            assert_eq!(object.get_text("fmt").unwrap().as_text(), Some(fmt), "{attestation}");
            let kept = object.get_text("attStmt") == Some(&statement.1);
            assert_eq!(kept, fmt == "packed", "{attestation}");
            // The make stays, in either case.
            let auth_data = object.get_text("authData").unwrap().as_bytes().unwrap();
            assert_eq!(auth_data[37..53], aaguid);
        }
    }

    #[test]
    fn answers_that_do_not_answer_are_refused() {
        type Change = fn(&mut TestPhone);
        let required = json!({"authenticatorSelection": {"userVerification": "required"}});
        let off_curve = |phone: &mut TestPhone| {
            let key = Es256PublicKey { x: [1; 32], y: [2; 32] };
            phone.public_key = Some(CosePublicKey::Es256(key));
        };
        let other_algorithm = |phone: &mut TestPhone| {
            let key =
                Value::Map(vec![(Value::int(1), Value::int(1)), (Value::int(3), Value::int(-8))]);
            phone.public_key = Some(CosePublicKey::Other(key));
        };
        let no_algorithm = |phone: &mut TestPhone| {
            phone.public_key = Some(CosePublicKey::Other(Value::Map(vec![])));
        };
        let cases: [(Change, AnswerError); 7] = [
            (|phone| phone.rp_id = Some("evil.example".into()), AnswerError::WrongRelyingParty),
            (|phone| phone.flags = Flags::USER_VERIFIED, AnswerError::UserNotPresent),
            (|phone| phone.flags = Flags::USER_PRESENT, AnswerError::UserNotVerified),
            (|phone| phone.id = vec![], AnswerError::CredentialId(0)),
            (off_curve, AnswerError::PublicKey),
            (other_algorithm, AnswerError::Algorithm),
            (no_algorithm, AnswerError::Algorithm),
        ];
        for (change, expected) in cases {
            let mut phone = TestPhone::new();
            change(&mut phone);
            let error = register(required.clone(), &[], &mut phone).unwrap_err();
            assert!(matches!(&error, Error::Answer(e) if *e == expected), "{error:?}");
        }
        let mut unverified = TestPhone::new();
        unverified.flags = Flags::USER_PRESENT;
        assert!(register(json!({}), &[], &mut unverified).is_ok(), "nobody insisted");
    }

    #[test]
    fn broken_bytes_are_errors_and_never_more() {
        let pending = prepare(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let whole = TestPhone::new().register(&pending.message());
        for len in 0..whole.len() {
            let error = pending.clone().finish(&whole[..len]).unwrap_err();
            assert!(matches!(error, Error::Answer(_)), "{len}: {error:?}");
        }
        let empty = pending.clone().finish(&[]).unwrap_err();
        assert!(matches!(empty, Error::Answer(AnswerError::Malformed(ctap::Error::Empty))));
        pending.finish(&whole).unwrap();
    }

    #[test]
    fn a_sign_in_answer_is_no_registration() {
        let pending = prepare(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let assertion = prepare_get(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let answer = TestPhone::new().sign_in(&assertion.message());
        assert!(matches!(pending.finish(&answer), Err(Error::Answer(_))));
    }

    #[test]
    fn a_refusal_keeps_its_status_and_speaks() {
        let cases = [
            (Status::CREDENTIAL_EXCLUDED, "InvalidStateError", "already has a passkey"),
            (Status::OPERATION_DENIED, "NotAllowedError", "declined"),
            (Status::USER_ACTION_TIMEOUT, "NotAllowedError", "in time"),
            (Status::UNSUPPORTED_ALGORITHM, "NotSupportedError", "algorithms"),
            (Status::PIN_BLOCKED, "NotAllowedError", "too many attempts"),
            (Status(0x99), "NotAllowedError", "could not carry out"),
        ];
        for (status, name, words) in cases {
            let pending = prepare(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
            let error = pending.finish(&[status.0]).unwrap_err();
            assert_eq!(error.web_authn_name(), name);
            assert!(error.to_string().contains(words), "{error}");
            assert!(matches!(error, Error::Refused(refusal) if refusal.status == status));
        }
    }

    #[test]
    fn legacy_transports_become_what_relying_parties_know() {
        let info = GetInfo { transports: vec!["cable".into()], ..TestPhone::info(&[]) };
        let pending = prepare(json!({})).unwrap().request(&info).unwrap();
        let answer = TestPhone::new().register(&pending.message());
        let response = pending.finish(&answer).unwrap().response;
        assert_eq!(response.transports, ["hybrid", "internal"]);
    }
}

mod sign_in {
    use super::*;

    #[test]
    fn a_discoverable_one_names_the_account() {
        let mut phone = TestPhone::new();
        phone.user = known_user();
        let json = sign_in(json!({}), &[], &phone).unwrap();
        assert_eq!(bytes(&json["id"]), phone.id);
        assert_eq!(bytes(&json["response"]["userHandle"]), [1, 2, 3]);
        assert_eq!(json["authenticatorAttachment"], "cross-platform");
        let client_data = String::from_utf8(bytes(&json["response"]["clientDataJSON"])).unwrap();
        assert!(client_data.starts_with(r#"{"type":"webauthn.get","challenge":"#));
        phone.user = None;
        let error = sign_in(json!({}), &[], &phone).unwrap_err();
        assert!(matches!(error, Error::Answer(AnswerError::NoUser)));
    }

    #[test]
    fn a_passkey_that_is_not_named_is_the_only_allowed_one() {
        let mut phone = TestPhone::new();
        phone.name_credential = false;
        let only = one_allowed(&phone.id);
        let json = sign_in(json!({"allowCredentials": only}), &[], &phone).unwrap();
        assert_eq!(bytes(&json["id"]), phone.id);
        assert_eq!(json["response"].get("userHandle"), None);

        let two = json!([only[0], {"type": "public-key", "id": "AQ"}]);
        let error = sign_in(json!({"allowCredentials": two}), &[], &phone).unwrap_err();
        assert!(matches!(error, Error::Answer(AnswerError::NoCredential)));
    }

    #[test]
    fn all_allowed_passkeys_go_in_one_request() {
        let ids = (0..41_u8)
            .map(|n| json!({"type": "public-key", "id": Base64Url(vec![n; 64]).encode()}));
        let changes = json!({"allowCredentials": ids.collect::<Vec<_>>()});
        let pending = prepare_get(changes).unwrap().request(&TestPhone::info(&[])).unwrap();
        let request = TestPhone::assertion(&pending.message());
        assert_eq!(request.allow_list.len(), 41);
        assert_eq!(request.options.uv, Some(true));
        assert_eq!(request.options.up, None);
    }

    #[test]
    fn answers_that_do_not_answer_are_refused() {
        type Change = fn(&mut TestPhone);
        let allowed = one_allowed(&[0xc1; 32]);
        let changes = json!({"allowCredentials": allowed, "userVerification": "required"});
        let cases: [(Change, AnswerError); 8] = [
            (|phone| phone.attested_in_sign_in = true, AnswerError::UnexpectedPasskey),
            (|phone| phone.no_signature = true, AnswerError::NoSignature),
            (|phone| phone.rp_id = Some("evil.example".into()), AnswerError::WrongRelyingParty),
            (|phone| phone.flags = Flags::USER_VERIFIED, AnswerError::UserNotPresent),
            (|phone| phone.flags = Flags::USER_PRESENT, AnswerError::UserNotVerified),
            (|phone| phone.id = vec![9; 32], AnswerError::NotAllowed),
            (|phone| phone.id = vec![], AnswerError::CredentialId(0)),
            (
                |phone| phone.number_of_credentials = Some(1 << 40),
                AnswerError::TooManyAccounts(1 << 40),
            ),
        ];
        for (change, expected) in cases {
            let mut phone = TestPhone::new();
            change(&mut phone);
            let error = sign_in(changes.clone(), &[], &phone).unwrap_err();
            assert!(matches!(&error, Error::Answer(e) if *e == expected), "{error:?}");
        }
    }

    #[test]
    fn a_registration_answer_is_no_sign_in() {
        let creation = prepare(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let answer = TestPhone::new().register(&creation.message());
        let mut pending = prepare_get(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        assert!(matches!(pending.accept(&answer), Err(Error::Answer(_))));
    }

    #[test]
    fn broken_bytes_are_errors_and_never_more() {
        let mut phone = TestPhone::new();
        phone.user = known_user();
        let pending = prepare_get(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let whole = phone.sign_in(&pending.message());
        for len in 0..whole.len() {
            let error = pending.clone().accept(&whole[..len]).unwrap_err();
            assert!(matches!(error, Error::Answer(_)), "{len}: {error:?}");
        }
    }

    #[test]
    fn several_accounts_are_fetched_and_one_is_chosen() {
        let mut pending = prepare_get(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let request = TestPhone::assertion(&pending.message());
        let mut phone = TestPhone::new();
        for (n, name) in ["ada", "bob", "eve"].into_iter().enumerate() {
            let first = n == 0;
            assert_eq!(pending.message() == [0x08], !first);
            phone.number_of_credentials = first.then_some(3);
            phone.id = vec![n as u8 + 1; 16];
            phone.user = Some(UserEntity {
                id: vec![n as u8 + 1],
                name: Some(name.into()),
                display_name: None,
            });
            let progress = pending.accept(&phone.sign(&request)).unwrap();
            assert_eq!(progress == Progress::Complete, n == 2);
        }
        let names: Vec<_> = pending.accounts().map(|a| a.name.clone().unwrap()).collect();
        assert_eq!(names, ["ada", "bob", "eve"]);
        assert!(matches!(
            pending.clone().finish(3),
            Err(Error::Answer(AnswerError::NoSuchAccount))
        ));
        let chosen = pending.finish(1).unwrap();
        assert_eq!(chosen.id.0, [2; 16]);
        assert_eq!(chosen.response.user_handle.unwrap().0, [2]);
    }

    #[test]
    fn a_choice_made_on_the_phone_stands() {
        let mut phone = TestPhone::new();
        (phone.user, phone.number_of_credentials) = (known_user(), Some(4));
        phone.user_selected = Some(true);
        sign_in(json!({}), &[], &phone).unwrap();
    }

    #[test]
    fn refusals_speak() {
        let mut pending = prepare_get(json!({})).unwrap().request(&TestPhone::info(&[])).unwrap();
        let error = pending.accept(&[Status::NO_CREDENTIALS.0]).unwrap_err();
        assert_eq!(error.web_authn_name(), "NotAllowedError");
        assert!(error.to_string().contains("has no passkey"), "{error}");
    }

    #[test]
    fn transports_of_the_allow_list_are_advice() {
        let with = |transports: Json| {
            let list = json!([{"type": "public-key", "id": "AQ", "transports": transports}]);
            prepare_get(json!({"allowCredentials": list})).unwrap().notes().to_vec()
        };
        assert_eq!(with(json!(["usb", "nfc"])), [Note::TransportsWithoutHybrid]);
        assert_eq!(with(json!(["usb", "hybrid"])), []);
        assert_eq!(with(json!(["internal"])), []);
        assert_eq!(with(json!(["cable"])), []);
        assert_eq!(with(json!([])), []);
        let unknown = json!({"allowCredentials": [{"type": "future", "id": "AQ"}]});
        let error = prepare_get(unknown).unwrap_err();
        assert!(matches!(error, Error::Options(OptionsError::NoAllowedCredential)));
    }
}

mod extensions {
    use super::*;

    fn input(changes: Json, listed: &[&str]) -> Vec<(String, Value)> {
        sent(json!({"extensions": changes}), &TestPhone::info(listed)).extensions
    }

    fn get_input(changes: Json, listed: &[&str]) -> Vec<(String, Value)> {
        let pending = prepare_get(changes).unwrap().request(&TestPhone::info(listed)).unwrap();
        TestPhone::assertion(&pending.message()).extensions
    }

    fn salted(salt: &[u8]) -> Value {
        let hash: [u8; 32] = Sha256::digest([b"WebAuthn PRF\0", salt].concat()).into();
        Value::from(hash)
    }

    #[test]
    fn cred_props_tells_what_was_asked_of_the_phone() {
        for (word, rk) in [("required", true), ("discouraged", false)] {
            let changes = json!({
                "authenticatorSelection": {"residentKey": word},
                "extensions": {"credProps": true, "future": {"x": 1}},
            });
            let json = register(changes, &[], &mut TestPhone::new()).unwrap();
            assert_eq!(json["clientExtensionResults"], json!({"credProps": {"rk": rk}}));
        }
    }

    #[test]
    fn cred_protect_goes_as_its_level() {
        for (policy, level) in [
            ("userVerificationOptional", 1),
            ("userVerificationOptionalWithCredentialIDList", 2),
            ("userVerificationRequired", 3),
        ] {
            let changes = json!({"credentialProtectionPolicy": policy});
            let sent = input(changes.clone(), &["credProtect"]);
            assert_eq!(sent, [("credProtect".to_owned(), Value::Uint(level))]);
            assert_eq!(input(changes, &[]), []);
        }
    }

    #[test]
    fn prf_salts_are_hashed_and_results_come_back() {
        let eval = json!({"prf": {"eval": {"first": "AQ", "second": "Ag"}}});
        let expected = Value::text_map([(
            "eval",
            Value::text_map([("first", salted(&[1])), ("second", salted(&[2]))]),
        )]);
        assert_eq!(input(eval.clone(), &["prf"]), [("prf".to_owned(), expected)]);
        assert_eq!(
            input(json!({"prf": {}}), &["prf", "hmac-secret"]),
            [("prf".to_owned(), Value::Map(vec![]))]
        );

        let mut phone = TestPhone::new();
        let results = Value::text_map([("first", Value::from([5; 32]))]);
        let output = Value::text_map([("enabled", Value::Bool(true)), ("results", results)]);
        phone.unsigned_extensions = Some(Value::text_map([("prf", output)]));
        let json = register(json!({"extensions": eval}), &["prf"], &mut phone).unwrap();
        let secret = Base64Url(vec![5; 32]).encode();
        let expected = json!({"prf": {"enabled": true, "results": {"first": secret}}});
        assert_eq!(json["clientExtensionResults"], expected);
    }

    #[test]
    fn prf_at_sign_in_goes_by_credential() {
        let phone_id = TestPhone::new().id;
        let key = Base64Url::from(&phone_id[..]).encode();
        let changes = json!({
            "allowCredentials": one_allowed(&phone_id),
            "extensions": {"prf": {
                "eval": {"first": "AQ"}, "evalByCredential": {key: {"first": "Ag"}},
            }},
        });
        let by_id = vec![(Value::Bytes(phone_id), Value::text_map([("first", salted(&[2]))]))];
        let expected = Value::text_map([
            ("eval", Value::text_map([("first", salted(&[1]))])),
            ("evalByCredential", Value::Map(by_id)),
        ]);
        let canonical = cbor::decode(&cbor::encode(&expected)).unwrap();
        assert_eq!(get_input(changes.clone(), &["prf"]), [("prf".to_owned(), canonical)]);

        let mut phone = TestPhone::new();
        let results = Value::text_map([("first", Value::from([6; 32]))]);
        let output = Value::text_map([("results", results)]);
        phone.unsigned_extensions = Some(Value::text_map([("prf", output)]));
        let json = sign_in(changes.clone(), &["prf"], &phone).unwrap();
        let secret = Base64Url(vec![6; 32]).encode();
        let expected = json!({"prf": {"results": {"first": secret}}});
        assert_eq!(json["clientExtensionResults"], expected);

        let short = Value::text_map([("first", Value::from([6; 31]))]);
        let output = Value::text_map([("results", short)]);
        phone.unsigned_extensions = Some(Value::text_map([("prf", output)]));
        let error = sign_in(changes, &["prf"], &phone).unwrap_err();
        assert!(matches!(error, Error::Answer(AnswerError::Extension("prf"))));
    }

    #[test]
    fn prf_keys_must_be_in_the_allow_list() {
        let with = |list: Json, key: &str| {
            let by_id = json!({"prf": {"evalByCredential": {key: {"first": "AQ"}}}});
            let changes = json!({"allowCredentials": list, "extensions": by_id});
            prepare_get(changes).map(drop).map_err(|error| error.web_authn_name())
        };
        assert_eq!(with(json!([]), "AQ"), Err("NotSupportedError"));
        assert_eq!(with(one_allowed(&[1]), "AQ"), Ok(()));
        assert_eq!(with(one_allowed(&[1]), "Ag"), Err("SyntaxError"));
        assert_eq!(with(one_allowed(&[1]), "?"), Err("SyntaxError"));
        assert_eq!(with(one_allowed(&[1]), ""), Err("SyntaxError"));
    }

    #[test]
    fn one_passkey_under_two_spellings_of_its_prf_key_is_refused() {
        let by_id = json!({"AQ": {"first": "AQ"}, "AQ==": {"first": "Ag"}});
        let extensions = json!({"prf": {"evalByCredential": by_id}});
        let changes = json!({"allowCredentials": one_allowed(&[1]), "extensions": extensions});
        assert_eq!(prepare_get(changes).unwrap_err().web_authn_name(), "SyntaxError");
    }

    #[test]
    fn prf_without_the_phones_help_is_not_enabled() {
        let changes = json!({"extensions": {"prf": {}}});
        let json = register(changes.clone(), &[], &mut TestPhone::new()).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"prf": {"enabled": false}}));

        let mut classic = TestPhone::new();
        classic.signed_extensions = Some(Value::text_map([("hmac-secret", Value::Bool(true))]));
        let json = register(changes, &["hmac-secret"], &mut classic).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"prf": {"enabled": true}}));
        let sent = input(json!({"prf": {}}), &["hmac-secret"]);
        assert_eq!(sent, [("hmac-secret".to_owned(), Value::Bool(true))]);
    }

    #[test]
    fn large_blobs_are_offered_written_and_read() {
        let mut phone = TestPhone::new();
        let output = |member, value| {
            Some(Value::text_map([("largeBlob", Value::text_map([(member, value)]))]))
        };
        phone.unsigned_extensions = output("supported", Value::Bool(true));
        let changes = json!({"extensions": {"largeBlob": {"support": "required"}}});
        let json = register(changes, &["largeBlob"], &mut phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"largeBlob": {"supported": true}}));

        let blob = Base64Url(vec![9; 300]);
        let write = json!({
            "allowCredentials": one_allowed(&phone.id),
            "extensions": {"largeBlob": {"write": blob}},
        });
        let sent = get_input(write.clone(), &["largeBlob"]).remove(0).1;
        phone.unsigned_extensions = output("written", Value::Bool(true));
        let json = sign_in(write, &["largeBlob"], &phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"largeBlob": {"written": true}}));

        let kept = Value::text_map([
            ("blob", sent.get_text("write").unwrap().clone()),
            ("originalSize", sent.get_text("originalSize").unwrap().clone()),
        ]);
        phone.unsigned_extensions = Some(Value::text_map([("largeBlob", kept)]));
        phone.user = known_user();
        let read = json!({"extensions": {"largeBlob": {"read": true}}});
        let json = sign_in(read, &["largeBlob"], &phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"largeBlob": {"blob": blob}}));
    }

    #[test]
    fn large_blob_members_that_do_not_fit_are_refused() {
        for (input, allowed) in [
            (json!({"support": "preferred"}), json!([])),
            (json!({"read": true, "write": "AQ"}), one_allowed(&[1])),
            (json!({"write": "AQ"}), json!([])),
        ] {
            let changes = json!({"allowCredentials": allowed, "extensions": {"largeBlob": input}});
            let error = prepare_get(changes).unwrap_err();
            assert_eq!(error.web_authn_name(), "NotSupportedError", "{input}");
        }
    }

    #[test]
    fn cred_blob_passes_both_ways() {
        let changes = json!({"extensions": {"credBlob": "AQI"}});
        let mut phone = TestPhone::new();
        phone.signed_extensions = Some(Value::text_map([("credBlob", Value::Bool(true))]));
        let json = register(changes, &["credBlob"], &mut phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"credBlob": true}));

        let changes = json!({"extensions": {"getCredBlob": true}});
        phone.signed_extensions = Some(Value::text_map([("credBlob", Value::from(vec![1, 2]))]));
        let json = sign_in(changes, &["credBlob"], &phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({"getCredBlob": "AQI"}));
    }

    #[test]
    fn outputs_that_nobody_asked_for_are_dropped() {
        let mut phone = TestPhone::new();
        let prf = Value::text_map([("enabled", Value::Bool(true))]);
        phone.unsigned_extensions = Some(Value::text_map([("prf", prf)]));
        phone.user = known_user();
        let json = register(json!({}), &["prf"], &mut phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({}));
        phone.user = known_user();
        let json = sign_in(json!({}), &["prf"], &phone).unwrap();
        assert_eq!(json["clientExtensionResults"], json!({}));
    }

    #[test]
    fn derived_secrets_are_not_printed() {
        let results = PrfResults { first: Base64Url(vec![0xab; 32]), second: None };
        let outputs = ExtensionOutputs {
            prf: Some(PrfOutputs { enabled: None, results: Some(results) }),
            ..ExtensionOutputs::default()
        };
        let text = format!("{outputs:?}");
        assert!(text.contains("32 bytes") && !text.contains("171"), "{text}");
    }
}
