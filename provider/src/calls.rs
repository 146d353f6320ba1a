//! The calls of OpenSSH, in the terms of Rust.

use cabled::ctap::NewKey;
use cabled::frontend::control::v1::Purpose;

use crate::ask::{Enroll, Enrolled, Sign, Signed};
use crate::daemon;
use crate::error::Error;
use crate::screen::Screen;

const ECDSA: u32 = 0;
const USER_VERIFICATION: u8 = 0x04;
const RESIDENT: u8 = 0x20;
/// The name of the account where nobody names one, as OpenSSH gives it.
const ACCOUNT: &str = "openssh";
/// Bytes of an account's handle, as OpenSSH gives it.
const HANDLE: usize = 32;

/// What options say.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) device: Option<&'a str>,
}

impl Wanted<'_> {
    /// The phone to ring, by its name here.
    pub(crate) fn phone(&self) -> Option<String> {
        self.device.filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

/// Makes a key.
pub(crate) fn enroll(
    screen: &mut Screen,
    alg: u32,
    challenge: &[u8],
    application: &str,
    flags: u8,
    options: &Wanted<'_>,
) -> Result<Enrolled, Error> {
    if alg != ECDSA {
        return Err(Error::Unsupported("phones have ECDSA keys only; use -t ecdsa-sk"));
    }
    let resident = flags & RESIDENT != 0;
    let user_name = options.user.filter(|name| !name.is_empty()).unwrap_or(ACCOUNT);
    let key = NewKey {
        rp_id: application,
        user_id: account(options.user, resident)?,
        user_name,
        resident,
        verification: flags & USER_VERIFICATION != 0,
    };
    let enroll = Enroll { key, challenge };
    let open = daemon::open(Purpose::Register, application, user_name, options.phone());
    daemon::carry(screen, open, |info| enroll.message(info), |reply| enroll.read(reply))
}

/// Signs with a key.
pub(crate) fn sign(
    screen: &mut Screen,
    alg: u32,
    data: &[u8],
    application: &str,
    key_handle: &[u8],
    flags: u8,
    options: &Wanted<'_>,
) -> Result<Signed, Error> {
    if alg != ECDSA {
        return Err(Error::Unsupported("phones have ECDSA keys only"));
    }
    let verification = flags & USER_VERIFICATION != 0;
    let sign = Sign { application, message: data, key_handle, verification };
    let open = daemon::open(Purpose::SignIn, application, "", options.phone());
    daemon::carry(screen, open, |info| sign.message(info), |reply| sign.read(reply))
}

/// The account's handle. OpenSSH knows resident keys by it. Others get one of their own, because a phone keeps one
/// passkey of an account, whatever it is asked for.
fn account(user: Option<&str>, resident: bool) -> Result<Vec<u8>, Error> {
    let mut handle = vec![0; HANDLE];
    match user {
        Some(user) => {
            let start = handle.get_mut(..user.len()).filter(|_| user.len() < HANDLE);
            start
                .ok_or(Error::Request("the name of the user is too long"))?
                .copy_from_slice(user.as_bytes());
        }
        None if resident => {}
        None => getrandom::getrandom(&mut handle)
            .map_err(|error| Error::System("there is no randomness", error.into()))?,
    }
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_named_as_openssh_names_them_or_nobodys() {
        assert_eq!(account(None, true).unwrap(), [0; HANDLE]);
        assert_eq!(account(Some("anna"), false).unwrap()[..5], *b"anna\0");
        assert!(account(Some(&"a".repeat(HANDLE)), true).is_err());
        assert_ne!(account(None, false).unwrap(), account(None, false).unwrap());
    }
}
