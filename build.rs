//! Makes the program that ships smaller, where its linker and its loader are known.
//!
//! Two options of the linker that Rust brings for this target: functions that came out the same (what gRPC calls
//! and futures make of generic code) are folded into one, and relocations are packed, which takes half a
//! megabyte off. Others may not know the options, and a C library before 2.36 does not read such relocations:
//! so they are given only where nobody chose a linker, for the machine that builds. Nothing here compares
//! functions by their address.
#![allow(clippy::print_stdout, reason = "this is how cargo is told")]

use std::env::var;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let native = is("TARGET", "x86_64-unknown-linux-gnu") && var("HOST") == var("TARGET");
    let chosen = var("RUSTC_LINKER").is_ok()
        || var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    if !native || chosen || !is("PROFILE", "release") {
        return;
    }
    println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    if libc_version().is_some_and(|version| version >= (2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// `glibc 2.36`, as two numbers.
fn libc_version() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let told = String::from_utf8(told).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
