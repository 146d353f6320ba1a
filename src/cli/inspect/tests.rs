//! Reports on made-up codes; the published ones are in `tests/cli_phone.rs`.

use super::*;
use crate::cbor::{self, Value as Cbor};
use crate::hybrid::PrivateKey;
use crate::hybrid::advert::{AdvertPlaintext, ConnectionNonce, seal};
use crate::hybrid::digits;
use crate::hybrid::tunnel::{RoutingId, TunnelServiceId};
use crate::secret::Secret;

fn code(more: impl IntoIterator<Item = (u64, Cbor)>) -> (String, QrContents) {
    let key = PrivateKey::from_scalar(&Secret::new([1; 32])).unwrap();
    let mut map = vec![(0, Cbor::from(key.public().compressed())), (1, Cbor::from([2; 16]))];
    map.extend(more);
    let text = format!("FIDO:/{}", digits::encode(&cbor::encode(&Cbor::int_map(map))));
    let contents = QrContents::decode(&text).unwrap();
    (text, contents)
}

fn words(report: &Report, label: &str) -> String {
    report.lines.iter().find(|(found, _)| found == label).unwrap().1.clone()
}

#[test]
fn an_odd_code_is_told_as_it_is() {
    let list = Cbor::Array(vec![Cbor::Uint(0), Cbor::Uint(1), Cbor::Uint(7)]);
    let (text, contents) = code([
        (3, Cbor::Uint(1000)),
        (5, Cbor::from("zz\u{1b}[2J")),
        (6, list),
        (9, Cbor::from("odd\n")),
    ]);
    let report = code::report(&text, &contents, 400, false);
    assert_eq!(
        words(&report, "3 shown at"),
        "1970-01-01T00:16:40Z, 10 minutes ahead of this machine's clock"
    );
    assert_eq!(report.members["ageSeconds"], -600);
    assert_eq!(words(&report, "5 hint"), "unknown to this program, taken as: a sign-in follows");
    assert!(words(&report, "6 channels").ends_with(", unknown channel 7"));
    assert_eq!(words(&report, "9 unknown"), "\"odd\\n\", to be ignored");
    assert_eq!(report.members["knownServices"], 0);
    assert!(!as_text(&[report]).contains('\u{1b}'));
}

#[test]
fn a_bare_code_says_what_is_missing() {
    let (text, contents) = code([]);
    let report = code::report(&text, &contents, 0, false);
    for label in ["3 shown at", "4 wants linking", "5 hint", "6 channels"] {
        assert!(words(&report, label).starts_with("not said"), "{label}");
    }
    assert_eq!(report.members["unknownMembers"], json!([]));
}

#[test]
fn secrets_stay_hidden_unless_revealed() {
    let (text, contents) = code([]);
    let plaintext = AdvertPlaintext::new(
        ConnectionNonce::from([7; 10]),
        RoutingId::new([1, 2, 3]),
        TunnelServiceId::APPLE,
    );
    let data = seal(&contents.secret.eid_key(), &plaintext);
    let reports = |reveal| {
        vec![
            code::report(&text, &contents, 0, reveal),
            advert::report(&data, Some(&contents), reveal),
        ]
    };
    let secrets = [
        hex::lower(contents.secret.expose()),
        hex::lower(contents.secret.tunnel_id().expose()),
        hex::lower(contents.secret.eid_key().expose()),
        hex::lower(contents.secret.psk(&plaintext).expose()),
    ];
    for secret in secrets {
        for (reveal, shown) in [(false, false), (true, true)] {
            let text = as_text(&reports(reveal)).to_lowercase();
            let json = as_json(reports(reveal)).to_string().to_lowercase();
            assert_eq!((text.contains(&secret), json.contains(&secret)), (shown, shown));
        }
    }
    let url = words(&reports(false)[1], "the laptop opens");
    assert_eq!(url, "wss://cable.auth.com/cable/connect/010203/(hidden)");
}

#[test]
fn an_unassigned_service_has_no_url() {
    let (_, contents) = code([]);
    let (nonce, routing) = (ConnectionNonce::from([7; 10]), RoutingId::new([1, 2, 3]));
    let plaintext = AdvertPlaintext::new(nonce, routing, TunnelServiceId::new(2));
    let data = seal(&contents.secret.eid_key(), &plaintext);
    let report = advert::report(&data, Some(&contents), false);
    assert!(words(&report, "tunnel service").starts_with("2 (unassigned"));
    assert_eq!((&report.members["domain"], &report.members["url"]), (&json!(null), &json!(null)));
}

#[test]
fn adverts_in_hexadecimal() {
    assert_eq!(service_data(&"0a:".repeat(20)).unwrap(), [10; 20]);
    assert_eq!(service_data(&"FF ".repeat(24)).unwrap().len(), 24);
    for (text, words) in [
        ("zz".repeat(20), "not in hexadecimal"),
        ("0".repeat(41), "odd number of digits, 41"),
        ("00".repeat(19), "this has 19"),
        ("00".repeat(300), "this has 300"),
        (String::new(), "this has 0"),
    ] {
        assert!(service_data(&text).unwrap_err().error.contains(words), "{text}");
    }
}
