//! Tables, prefixes and JSON of passkeys that were made up.

use super::*;
use crate::authenticator::Timestamp;
use crate::authenticator::passkey::CredProtect;

pub(in crate::cli::phone) fn passkey(id: &[u8], account: &str) -> PasskeyView {
    PasskeyView {
        id: CredentialId::from_bytes(id).unwrap(),
        rp_id: "contoso.com".into(),
        rp_name: Some("Contoso".into()),
        user_id: vec![1, 2],
        user_name: Some(account.into()),
        user_display_name: None,
        label: None,
        state: State::Created,
        discoverable: true,
        cred_protect: CredProtect::Optional,
        created_at: Timestamp(1_666_589_051),
        delivered_at: None,
        last_used_at: None,
        replaces: 0,
    }
}

#[test]
fn a_table_has_aligned_columns_and_no_colours_unless_asked() {
    let mut used = passkey(&[0xff; 32], "bob");
    used.last_used_at = Some(Timestamp(1_735_689_599));
    used.state = State::Used;
    used.label = Some("work\x1b[31m".into());
    let passkeys = [passkey(&[0; 32], "anna@contoso.com"), used];
    let expected = [
        "ID        SITE         ACCOUNT           NAME       CREATED (UTC)     LAST USED (UTC)   STATE",
        "AAAAAAAA  contoso.com  anna@contoso.com  -          2022-10-24 05:24  never             \
         created, maybe unknown to the site",
        "________  contoso.com  bob               work\u{fffd}[31m  2022-10-24 05:24  \
         2024-12-31 23:59  used",
    ];
    assert_eq!(table(&passkeys, false), expected.join("\n"));
    let coloured = table(&passkeys, true);
    assert_eq!(coloured.matches("\x1b[33m").count(), 1);
    assert_eq!(coloured.replace("\x1b[33m", "").replace("\x1b[0m", ""), table(&passkeys, false));
}

#[test]
fn short_ids_are_as_long_as_they_must_be() {
    assert_eq!(short_length(&[]), 8);
    assert_eq!(short_length(&["abcdefghij".into(), "abcdefghik".into()]), 10);
    assert_eq!(short_length(&["abcdefgh".into(), "xbcdefgh".into()]), 8);
}

#[test]
fn prefixes_name_one_passkey_or_none() {
    let passkeys = [passkey(&[0; 32], "a"), passkey(&[0, 1, 2], "b"), passkey(&[9; 32], "c")];
    let name = |text| by_prefix(&passkeys, text).map(|p| p.user_name.clone().unwrap());
    assert_eq!(name("AAAA"), Ok("a".into()));
    assert_eq!(name("AAEC"), Ok("b".into()));
    assert_eq!(name("AA"), Err(NotFound::Several(2)));
    assert_eq!(name("zzz"), Err(NotFound::Nothing));
    assert_eq!(name(""), Err(NotFound::Nothing));
    assert_eq!(name(&full_id(&passkeys[2].id)), Ok("c".into()));
}

#[test]
fn json_has_no_keys_in_it() {
    let value = json(&passkey(&[0xfb; 32], "anna"));
    assert_eq!(value["id"], "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s");
    assert_eq!(value["state"], "created");
    assert_eq!(value["createdAt"], "2022-10-24T05:24:11Z");
    assert_eq!(value["lastUsedAt"], Value::Null);
    assert_eq!(value["userId"], "AQI");
    assert_eq!(value.as_object().unwrap().len(), 13);
    assert!(!details(&passkey(&[1; 32], "anna")).contains("\x1b"));
}
