//! The gRPC code in `src/frontend/*/generated` is what the schemas in `proto/` make of it.
//!
//! After a change of the schema: `CABLED_WRITE_GENERATED=1 cargo test --test generated`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// Writes what the schema of a service makes, and holds the kept code against it. The messages in `secret`
/// have a Debug of our own.
fn check(package: &str, file: &str, kept: &str, secret: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (proto, out) = (root.join("proto"), tempfile::tempdir().unwrap());
    let schema = protox::compile([proto.join(file)], [&proto]).unwrap();
    let mut builder = tonic_prost_build::configure().build_transport(false).out_dir(out.path());
    for name in secret {
        builder = builder.skip_debug([format!(".{package}.{name}")]);
    }
    builder.compile_fds(schema).unwrap();
    let made = std::fs::read_to_string(out.path().join(format!("{package}.rs"))).unwrap();
    let kept = root.join("src/frontend").join(kept);
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
    check("cabled.phone.v1", "cabled/phone/v1/phone.proto", "grpc/generated/phone_v1.rs", &secret);
}

#[test]
fn the_laptops_code_is_that_of_its_schema() {
    let secret = ["Listening"];
    check(
        "cabled.control.v1",
        "cabled/control/v1/control.proto",
        "control/generated/control_v1.rs",
        &secret,
    );
}
