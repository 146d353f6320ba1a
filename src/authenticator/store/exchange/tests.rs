use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::*;
use crate::authenticator::passkey::{CredProtect, Origin, PrfSeeds, State};
use crate::authenticator::store::{KdfCost, Pin};
use crate::ctap::{RpEntity, UserEntity};
use crate::secret::Secret;

const NOW: Timestamp = Timestamp(1_700_000_000);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn store(dir: &tempfile::TempDir) -> Store {
    let (pin, weak) =
        (Pin::new("1234".to_owned()).unwrap(), KdfCost { memory_kib: 8, passes: 1, lanes: 1 });
    Store::create_with_cost(dir.path(), &pin, weak, &mut rng()).unwrap()
}

fn passkey(id: u8, backup: Backup) -> Passkey {
    Passkey {
        id: CredentialId::from_bytes(&[id; 32]).unwrap(),
        rp: RpEntity { id: "a.example".into(), name: None },
        user: UserEntity { id: vec![id], name: Some("zoë".into()), display_name: None },
        private_key: Secret::new([id; 32]),
        discoverable: true,
        cred_protect: CredProtect::Optional,
        prf_seeds: PrfSeeds { verified: Secret::new([2; 32]), unverified: Secret::new([3; 32]) },
        cred_blob: Some(Zeroizing::new(vec![9])),
        large_blob: None,
        large_blob_key: None,
        backup,
        origin: Origin::Made,
        label: Some("work".into()),
        created_at: Timestamp(1_600_000_000),
        delivered_at: Some(Timestamp(1_600_000_000)),
        last_used_at: None,
        replaces: vec![],
    }
}

#[test]
fn what_moves_house_arrives_and_says_so() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, new) = (store(&old), store(&new));
    let (moving, bound) = (passkey(1, Backup::ELIGIBLE), passkey(2, Backup::NEVER));
    old.save(&moving, &mut rng()).unwrap();
    old.save(&bound, &mut rng()).unwrap();
    let export = old.export(NOW).unwrap();
    assert_eq!(
        (&export.passkeys[..], &export.bound[..]),
        (&[moving.id.clone()][..], &[bound.id.clone()][..])
    );
    old.mark_backed_up(&export.passkeys, &mut rng()).unwrap();
    assert_eq!(old.find_by_id(&moving.id).unwrap().unwrap().backup, Backup::DONE);
    assert_eq!(old.find_by_id(&bound.id).unwrap().unwrap().backup, Backup::NEVER);

    let plan = new.plan_import(&export.document, NOW, &mut rng()).unwrap().unwrap();
    assert_eq!(new.list().unwrap(), [], "a plan changes nothing");
    new.import(&plan, &mut rng()).unwrap();
    let expected = Passkey { backup: Backup::DONE, origin: Origin::Imported { at: NOW }, ..moving };
    assert_eq!(new.list().unwrap(), std::slice::from_ref(&expected));
    assert_eq!(expected.state(), State::Delivered);
    let again = new.plan_import(&export.document, NOW, &mut rng()).unwrap().unwrap();
    assert_eq!(again.skipped, [Skipped { title: "work".into(), why: Why::AlreadyHere }]);
    assert!(matches!(new.import(&plan, &mut rng()), Err(Error::AlreadyExists)));
    assert_eq!(new.list().unwrap().len(), 1);
}

fn document(credentials: &[Value]) -> Vec<u8> {
    let item = json!({ "id": "AA", "title": "site", "credentials": credentials });
    let accounts = json!([{ "id": "AA", "items": [item] }]);
    json!({ "version": { "major": 1, "minor": 0 }, "accounts": accounts }).to_string().into_bytes()
}

#[test]
fn each_thing_that_is_not_taken_has_its_reason() {
    let whole: Value = {
        let bytes = cxf::encode(&[&passkey(1, Backup::ELIGIBLE)], NOW);
        serde_json::from_slice(&bytes).unwrap()
    };
    let good = whole["accounts"][0]["items"][0]["credentials"][0].clone();
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        changed
    };
    let cases = [
        (json!({ "type": "basic-auth" }), Why::OtherType("basic-auth".into())),
        (json!({}), Why::Broken),
        (json!(7), Why::Broken),
        (with("key", json!("AA")), Why::Broken),
        (
            with("key", json!("MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB")),
            Why::OtherAlgorithm,
        ),
        (with("rpId", json!("UPPER.example")), Why::Broken),
        (with("rpId", json!("a".repeat(254))), Why::Broken),
        (with("credentialId", json!("")), Why::Broken),
        (with("userHandle", json!("A".repeat(88))), Why::Broken),
    ];
    let mut all: Vec<_> = cases.iter().map(|(value, _)| value.clone()).collect();
    all.insert(3, good);
    let read = cxf::decode(&document(&all), NOW, &mut rng()).unwrap();
    assert_eq!(read.passkeys.len(), 1, "a broken one hides no other");
    let found: Vec<_> = read.skipped.into_iter().map(|skipped| skipped.why).collect();
    assert_eq!(found, cases.map(|(_, why)| why));
    for nothing in ["", "[]", "{}", r#"{"version":{"major":2},"accounts":[]}"#] {
        assert!(cxf::decode(nothing.as_bytes(), NOW, &mut rng()).is_none(), "{nothing}");
    }
}

proptest! {
    #[test]
    fn altered_documents_are_read_or_refused(at in 0_usize..900, byte: u8) {
        let mut bytes = cxf::encode(&[&passkey(1, Backup::ELIGIBLE)], NOW);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(read) = cxf::decode(&bytes, NOW, &mut rng()) {
            for passkey in read.passkeys {
                prop_assert!(passkey.user.id.len() <= 64 && passkey.created_at <= NOW);
                prop_assert_eq!(passkey.backup, Backup::DONE);
            }
        }
    }
}
