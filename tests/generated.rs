//! The gRPC code in `src/frontend/grpc/generated` is what the schema in `proto/` makes of it.
//!
//! After a change of the schema: `CABLED_WRITE_GENERATED=1 cargo test --test generated`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

#[test]
fn the_generated_code_is_that_of_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (proto, out) = (root.join("proto"), tempfile::tempdir().unwrap());
    let schema = protox::compile([proto.join("cabled/phone/v1/phone.proto")], [&proto]).unwrap();
    // What carries a secret has a Debug of our own.
    let secret = [
        "ApproveRequest",
        "ChangePinRequest",
        "ExportRequest",
        "PlanImportPart",
        "SubmitQrRequest",
        "UnlockRequest",
    ];
    let builder = tonic_prost_build::configure()
        .build_transport(false)
        .skip_debug(secret.map(|name| format!(".cabled.phone.v1.{name}")))
        .out_dir(out.path());
    builder.compile_fds(schema).unwrap();
    let made = std::fs::read_to_string(out.path().join("cabled.phone.v1.rs")).unwrap();
    let kept = root.join("src/frontend/grpc/generated/phone_v1.rs");
    if std::env::var_os("CABLED_WRITE_GENERATED").is_some() {
        std::fs::write(&kept, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&kept).unwrap_or_default() == made,
        "the schema changed: CABLED_WRITE_GENERATED=1 cargo test --test generated"
    );
}
