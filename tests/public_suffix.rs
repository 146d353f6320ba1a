//! The kept list of public suffixes is the one of the `psl` crate, and is read as that crate reads it.
//!
//! After an update of the crate: `CABLED_WRITE_GENERATED=1 cargo test --test public_suffix`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

/// The folder of a package in the lock file.
fn folder_of(package: &str) -> std::path::PathBuf {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--format-version", "1"]);
    let told = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let packages = told["packages"].as_array().unwrap();
    let found = packages.iter().find(|found| found["name"] == package).unwrap();
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// A rule in punycode.
fn in_punycode(rule: &str) -> String {
    let name = rule.trim_start_matches(['!', '*', '.']);
    let (mark, _) = rule.split_at(rule.len() - name.len());
    let host = url::Host::parse(name).unwrap();
    format!("{mark}{host}")
}

#[test]
fn the_public_suffixes_are_those_of_the_list() {
    let list = std::fs::read_to_string(folder_of("psl").join("data/rules.txt")).unwrap();
    let mut rules: Vec<String> = list.lines().map(in_punycode).collect();
    rules.sort_unstable();
    rules.dedup();
    let made = rules.join("\n") + "\n";
    let kept =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/client/webauthn/public_suffix/rules.txt");
    if std::env::var_os("CABLED_WRITE_GENERATED").is_some() {
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(&kept, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&kept).unwrap_or_default() == made,
        "the list changed: CABLED_WRITE_GENERATED=1 cargo test --test public_suffix"
    );
    // Each rule, and names around it, as the crate reads them.
    for rule in &rules {
        let name = rule.trim_start_matches(['!', '*', '.']);
        let names = [format!("a.b.{name}"), format!("a.{name}"), name.to_owned()];
        for name in names {
            let known = cabled::client::webauthn::public_suffix(&name);
            // The crate forgets a wildcard where a longer rule passes through what it matches.
            let wild = name.split_once('.').map(|(_, above)| format!("*.{above}"));
            let forgotten =
                known == name && wild.is_some_and(|wild| rules.binary_search(&wild).is_ok());
            assert!(
                forgotten || Some(known) == psl::suffix_str(&name),
                "{name}, by {rule}: {known}"
            );
        }
    }
}
