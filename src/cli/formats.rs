//! Files that other programs read about keys: OpenSSH's key pair and pam_u2f's mapping. Pure.

pub(crate) mod openssh;
pub(crate) mod pam_u2f;
