//! Folds functions that came out the same into one, in the program that ships.
//!
//! What each gRPC call and each future of tokio makes of the same generic code is often the same bytes. The
//! linker that Rust brings for this target can fold them; others may not know the option, so that it is
//! given only where nobody chose one. Nothing here compares functions by their address.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let chosen = var("RUSTC_LINKER").is_ok()
        || var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    if is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release") && !chosen {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
