//! The gRPC code in `src/**/generated` is what the schemas in `proto/` make of it.
//!
//! After a change of the schema: `CABLED_WRITE_GENERATED=1 cargo test --test generated`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// Writes what the schema of a service makes, and holds the kept code against it. The messages in `secret`
/// have a Debug of our own.
fn check(package: &str, file: &str, kept: &str, secret: &[&str]) {
    let mut builder = tonic_prost_build::configure();
    for name in secret {
        builder = builder.skip_debug([format!(".{package}.{name}")]);
    }
    check_as(builder, package, file, kept);
}

fn check_as(builder: tonic_prost_build::Builder, package: &str, file: &str, kept: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (proto, out) = (root.join("proto"), tempfile::tempdir().unwrap());
    let schema = protox::compile([proto.join(file)], [&proto]).unwrap();
    builder.build_transport(false).out_dir(out.path()).compile_fds(schema).unwrap();
    let made = std::fs::read_to_string(out.path().join(format!("{package}.rs"))).unwrap();
    let kept = root.join("src").join(kept);
    if std::env::var_os("CABLED_WRITE_GENERATED").is_some() {
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(&kept, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&kept).unwrap_or_default() == made,
        "the schema changed: CABLED_WRITE_GENERATED=1 cargo test --test generated"
    );
}

#[test]
fn the_phones_code_is_that_of_its_schema() {
    let secret = [
        "ApproveRequest",
        "ChangePinRequest",
        "ExportRequest",
        "PlanImportPart",
        "SubmitQrRequest",
        "UnlockRequest",
    ];
    check(
        "cabled.phone.v1",
        "cabled/phone/v1/phone.proto",
        "frontend/grpc/generated/phone_v1.rs",
        &secret,
    );
}

#[test]
fn the_laptops_code_is_that_of_its_schema() {
    let secret = ["Listening", "OpenPageResponse"];
    check(
        "cabled.control.v1",
        "cabled/control/v1/control.proto",
        "frontend/control/generated/control_v1.rs",
        &secret,
    );
}

/// Its messages are JSON as well.
#[test]
fn the_test_beds_code_is_that_of_its_schema() {
    let package = "cabled.testbed.v1";
    let mut builder = tonic_prost_build::configure()
        .message_attribute(".", "#[derive(serde::Deserialize, serde::Serialize)]")
        .message_attribute(
            ".",
            "#[serde(rename_all = \"camelCase\", deny_unknown_fields, default)]",
        );
    // What an event or a fault does not have is left out.
    let absent = "#[serde(skip_serializing_if = \"Option::is_none\")]";
    let event = [
        "via",
        "question",
        "rp_id",
        "account",
        "replaces",
        "how",
        "status",
        "credential",
        "cause",
        "error",
    ];
    for field in event.map(|name| format!("Event.{name}")) {
        builder = builder.field_attribute(format!(".{package}.{field}"), absent);
    }
    for field in ["status", "frame", "delay_ms"].map(|name| format!("Struck.{name}")) {
        builder = builder.field_attribute(format!(".{package}.{field}"), absent);
    }
    let none = "#[serde(skip_serializing_if = \"Vec::is_empty\")]";
    builder = builder.field_attribute(format!(".{package}.Event.accounts"), none);
    let file = "cabled/testbed/v1/testbed.proto";
    check_as(builder, package, file, "testbed/control/generated/testbed_v1.rs");
}
