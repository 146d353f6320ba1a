//! Bad snippets, each of which a rule must find, and good ones that it must not.

use crate::rules::{self, Findings};
use crate::scan::{PathUse, Source};

fn judge(rule: impl Fn(&Source, &[PathUse]) -> Findings, name: &str, text: &str) -> Findings {
    let source = Source::new(name, text);
    let crates = ["snow", "redb", "tokio", "serde", "clap", "url", "rand_core", "novelty"];
    let paths = source.paths(&crates.map(str::to_owned));
    rule(&source, &paths)
}

#[track_caller]
fn caught(rule: impl Fn(&Source, &[PathUse]) -> Findings, name: &str, bad: &[&str]) {
    for text in bad {
        assert_eq!(judge(&rule, name, text).len(), 1, "{name}: {text}");
    }
}

#[track_caller]
fn passed(rule: impl Fn(&Source, &[PathUse]) -> Findings, name: &str, good: &[&str]) {
    for text in good {
        assert_eq!(judge(&rule, name, text), Vec::<String>::new(), "{name}: {text}");
    }
}

#[test]
fn arrows_that_point_up_are_found() {
    caught(
        rules::arrows,
        "hybrid/client/step.rs",
        &[
            "use crate::ble::Scanner;",
            "use crate::{secret::Secret, channel::DataChannel};",
            "use crate as all;",
            "use crate::*;",
            "use super::super::super::relay;",
            "fn f() { crate::cli::run(); }",
            "mod inner { use super::super::super::super::ble; }",
            "type A = Box<dyn crate::channel::DataChannel>;",
            "/* /* nested */ */ use crate::ctap::Status; // use crate::ble;",
        ],
    );
    caught(rules::arrows, "client/driver.rs", &["use crate::authenticator::store::Store;"]);
    caught(rules::arrows, "authenticator/mod.rs", &["use super::relay::Registry;"]);
    caught(rules::arrows, "relay/http.rs", &["use crate::hybrid::noise;", "use crate::hybrid;"]);
    caught(rules::arrows, "main.rs", &["use cabled::client::Client;"]);
    caught(rules::arrows, "cbor.rs", &["use crate::secret::Secret;"]);
    caught(rules::arrows, "novelty/mod.rs", &["//! A folder without a layer.\n"]);
}

#[test]
fn arrows_that_point_down_pass() {
    passed(
        rules::arrows,
        "hybrid/client/step.rs",
        &[
            "use super::State; use super::super::frame::Frame; use crate::hybrid::qr;",
            "use crate::{cbor::{self, Value}, secret::Secret};",
            "// use crate::ble::Scanner;\nconst S: &str = \"use crate::ble;\";",
            "const R: &str = r#\"use crate::ble; \" \"#; const C: char = '\"'; const Q: char = '\\'';",
            "/// See [`crate::ble`].\nfn f<'a>(x: &'a str) -> impl Sized + use<'a> { x }",
            "#[cfg(test)]\nmod tests { use crate::ble::Scanner; }",
            "#[cfg(all(test, unix))] use crate::ble::Scanner;",
        ],
    );
    passed(rules::arrows, "relay/http.rs", &["use crate::hybrid::tunnel::{Endpoint, RoutingId};"]);
    passed(rules::arrows, "lib.rs", &["pub mod cli; pub use crate::cli::run;"]);
}

#[test]
fn crates_outside_their_homes_are_found() {
    let rule = rules::homes;
    caught(rule, "hybrid/frame.rs", &["use snow::Builder;", "use tokio::sync::mpsc;"]);
    caught(rule, "hybrid/frame.rs", &["#[derive(serde::Serialize)] struct A;", "use novelty;"]);
    caught(rule, "client/mod.rs", &["use redb::Database;", "fn f() { novelty::go() }"]);
    caught(rule, "authenticator/engine.rs", &["use redb::{Database};", "use clap as c;"]);
    passed(rule, "authenticator/store.rs", &["use redb::{Database, TableDefinition};"]);
    passed(rule, "authenticator/store/records.rs", &["use redb::Database; use tokio::fs;"]);
    passed(rule, "hybrid/noise/resolver.rs", &["use snow::resolvers::CryptoResolver;"]);
    let own_name = "mod url; use url::ServiceUrl; fn f() { url::parse(); }";
    passed(rule, "hybrid/tunnel.rs", &[own_name, "use super::url; fn f() { url::parse() }"]);
}

#[test]
fn side_effects_in_the_pure_part_are_found() {
    caught(
        rules::purity,
        "ctap/mod.rs",
        &[
            "use std::fs;",
            "use std::{fmt, net::TcpStream};",
            "use std as s;",
            "use std::*;",
            "use std::time;",
            "fn f() { std::thread::sleep(d) }",
            "fn f() { std::time::Instant::now() }",
            "use rand_core::OsRng;",
            "fn f(t: SystemTime) {}",
            "fn f() { std::env::var(k) }",
        ],
    );
    let fine =
        "use std::time::{Duration, Instant}; use std::fmt::Write as _; use std::net::Ipv6Addr;";
    passed(rules::purity, "ctap/mod.rs", &[fine, "#[cfg(test)] mod tests { use std::fs; }"]);
    passed(rules::purity, "relay/mod.rs", &["use std::net::TcpStream;"]);
    let clock = |source: &Source, _: &[PathUse]| rules::clock(source);
    caught(clock, "hybrid/qr.rs", &["fn f() { Instant::now() }", "fn f() { g(Instant::elapsed) }"]);
    passed(clock, "hybrid/qr.rs", &["fn f(now: Instant) -> Instant { now }"]);
    passed(clock, "client/mod.rs", &["fn f() { Instant::now() }"]);
}

#[test]
fn prints_and_missing_headers_are_found() {
    let printing = |source: &Source, _: &[PathUse]| rules::printing(source);
    caught(printing, "ble/air.rs", &["fn f() { println!(\"{x}\") }", "fn f() { std::dbg!(x) }"]);
    passed(printing, "cli/demo.rs", &["fn f() { println!(\"{x}\") }"]);
    passed(printing, "ble/air.rs", &["fn println() { /* println!() */ write!(f, \"println!\") }"]);
    let header = |source: &Source, _: &[PathUse]| rules::header(source);
    caught(header, "ble/air.rs", &["", "use std::fs;\n", "/// Not a header.\n", "\n//! Late.\n"]);
    passed(header, "ble/air.rs", &["//! The simulated radio.\n"]);
}

#[test]
fn long_files_and_functions_are_found() {
    let strict = |source: &Source, _: &[PathUse]| rules::lengths(source, &[], &[]);
    let line = "const A: u8 = 1;\n";
    let long_file = line.repeat(rules::MAX_FILE + 1);
    let long_function = format!("fn f() {{\n{}}}\n", "g();\n".repeat(rules::MAX_FUNCTION - 1));
    caught(strict, "ble/mod.rs", &[&long_file, &long_function]);
    let in_tests = format!("{line}#[cfg(test)]\nmod tests {{\n{long_file}{long_function}}}\n");
    passed(strict, "ble/mod.rs", &[&in_tests, &line.repeat(rules::MAX_FILE)]);

    let files = [("ble/mod.rs", rules::MAX_FILE + 1, "planted")];
    let functions = [("ble/mod.rs", "f", rules::MAX_FUNCTION + 1, "planted")];
    let lax = |source: &Source, _: &[PathUse]| rules::lengths(source, &files, &functions);
    passed(lax, "ble/mod.rs", &[&long_file]);
    caught(lax, "ble/mod.rs", &[line, &long_file.repeat(2)]);
    let functions_only = |source: &Source, _: &[PathUse]| rules::lengths(source, &[], &functions);
    passed(functions_only, "ble/mod.rs", &[&long_function]);
    caught(functions_only, "ble/mod.rs", &["fn f() {}\n"]);
}
