//! Tells the linker what Cargo.toml cannot.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // OpenSSH closes the library before it is done. What of the runtime is bound to the thread still has its code then.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
