//! A security-key provider for OpenSSH (`SecurityKeyProvider`): the passkeys on a phone, through `cabled daemon`.
//!
//! ```text
//!  ssh, ssh-keygen, ssh-agent ──> ssh-sk-helper ──> ffi ──> calls ──> ask (CTAP2, pure)
//!                                                             └─────> daemon (gRPC) ──> the daemon's socket
//!                                                                       └─> screen (the code, for people)
//! ```
//!
//! No HID device takes part, so it works in containers and wherever there is no `/dev/uhid`, and with phones that
//! vouch for nothing. OpenSSH loads it into `ssh-sk-helper`, a process of its own for each request.

mod ask;
mod calls;
mod daemon;
mod error;
mod ffi;
mod screen;
