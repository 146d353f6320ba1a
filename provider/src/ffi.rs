//! OpenSSH's interface (`sk-api.h`, version 10): pointers in and out, and nothing else.
//!
//! The only file with unsafe code. What is allocated here OpenSSH frees.
#![allow(unsafe_code, reason = "a C interface")]

use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use cabled::ctap::{MAX_CREDENTIAL_ID, MAX_RP_ID};

use crate::calls::{self, Wanted};
use crate::error::Error;
use crate::screen::Screen;

/// OpenSSH 9.1 and later.
const VERSION: u32 = 0x000a_0000;
/// Bytes of what is to be signed: OpenSSH's packets are not longer.
const MAX_DATA: usize = 256 << 10;
/// Options of one call; there are two.
const MAX_OPTIONS: usize = 16;

/// `struct sk_enroll_response`
#[repr(C)]
pub(crate) struct EnrollResponse {
    flags: u8,
    public_key: Bytes,
    key_handle: Bytes,
    signature: Bytes,
    attestation_cert: Bytes,
    authdata: Bytes,
}

/// `struct sk_sign_response`
#[repr(C)]
pub(crate) struct SignResponse {
    flags: u8,
    counter: u32,
    sig_r: Bytes,
    sig_s: Bytes,
}

/// A pointer and a length, as they follow each other in both.
#[repr(C)]
struct Bytes {
    start: *mut u8,
    len: usize,
}

/// `struct sk_option`
#[repr(C)]
pub(crate) struct SkOption {
    name: *const c_char,
    value: *const c_char,
    required: u8,
}

/// The version of the interface.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn sk_api_version() -> u32 {
    VERSION
}

/// Makes a key.
///
/// # Safety
///
/// As `sk-api.h` has it: `challenge` has that many bytes, `application` is a C string, `options` is null or ends with a
/// null, `enroll_response` can be written to.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sk_enroll(
    alg: u32,
    challenge: *const u8,
    challenge_len: usize,
    application: *const c_char,
    flags: u8,
    _pin: *const c_char,
    options: *const *const SkOption,
    enroll_response: *mut *mut EnrollResponse,
) -> c_int {
    told(|screen| {
        // SAFETY: the caller's promises, one by one.
        let (challenge, application, options) = unsafe {
            (bytes(challenge, challenge_len, MAX_DATA)?, text(application)?, Wanted::read(options)?)
        };
        let made = calls::enroll(screen, alg, challenge, application, flags, &options)?;
        let response = EnrollResponse {
            flags,
            public_key: Bytes::copied(&made.public_key)?,
            key_handle: Bytes::copied(&made.key_handle)?,
            signature: Bytes::copied(&made.signature)?,
            attestation_cert: Bytes::copied(&made.certificate)?,
            authdata: Bytes::copied(&made.auth_data)?,
        };
        // SAFETY: the caller gave a place for a pointer.
        unsafe { handed_over(response, enroll_response) }
    })
}

/// Signs with a key.
///
/// # Safety
///
/// As `sk-api.h` has it: `data` and `key_handle` have that many bytes, `application` is a C string, `options` is null or
/// ends with a null, `sign_response` can be written to.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sk_sign(
    alg: u32,
    data: *const u8,
    data_len: usize,
    application: *const c_char,
    key_handle: *const u8,
    key_handle_len: usize,
    flags: u8,
    _pin: *const c_char,
    options: *const *const SkOption,
    sign_response: *mut *mut SignResponse,
) -> c_int {
    told(|screen| {
        // SAFETY: the caller's promises, one by one.
        let (data, application, key_handle, options) = unsafe {
            (
                bytes(data, data_len, MAX_DATA)?,
                text(application)?,
                bytes(key_handle, key_handle_len, MAX_CREDENTIAL_ID)?,
                Wanted::read(options)?,
            )
        };
        let signed = calls::sign(screen, alg, data, application, key_handle, flags, &options)?;
        let response = SignResponse {
            flags: signed.flags,
            counter: signed.counter,
            sig_r: Bytes::copied(&signed.r)?,
            sig_s: Bytes::copied(&signed.s)?,
        };
        // SAFETY: the caller gave a place for a pointer.
        unsafe { handed_over(response, sign_response) }
    })
}

/// Lists the resident keys, which no phone does.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn sk_load_resident_keys(
    _pin: *const c_char,
    _options: *const *const SkOption,
    _keys: *mut *mut *mut u8,
    _number: *mut usize,
) -> c_int {
    told(|_| {
        Err(Error::Unsupported(
            "a phone does not tell which keys it has; copy the key's file, or make a new key",
        ))
    })
}

/// Does it, tells people what went wrong, and gives the number for it.
fn told(work: impl FnOnce(&mut Screen) -> Result<(), Error>) -> c_int {
    // A panic must not run into C.
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut screen = Screen::open();
        match work(&mut screen) {
            Ok(()) => 0,
            Err(error) => {
                screen.say(&error.to_string());
                error.number()
            }
        }
    }));
    done.unwrap_or(-1)
}

impl<'a> Wanted<'a> {
    /// # Safety
    ///
    /// Null, or a list that ends with a null, of valid options.
    unsafe fn read(options: *const *const SkOption) -> Result<Self, Error> {
        let mut wanted = Self::default();
        if options.is_null() {
            return Ok(wanted);
        }
        for place in 0..MAX_OPTIONS {
            // SAFETY: the null at the end of the list is not passed.
            let option = unsafe { *options.add(place) };
            if option.is_null() {
                return Ok(wanted);
            }
            // SAFETY: an option of the list, with its two C strings.
            let (name, value, required) =
                unsafe { (text((*option).name)?, text((*option).value)?, (*option).required) };
            match name {
                "user" => wanted.user = Some(value),
                "device" => wanted.device = Some(value),
                _ if required != 0 => return Err(Error::Unsupported("an option is not known")),
                _ => {}
            }
        }
        Err(Error::Request("there are too many options"))
    }
}

/// # Safety
///
/// Null, or that many bytes, which outlive the call.
unsafe fn bytes<'a>(start: *const u8, len: usize, longest: usize) -> Result<&'a [u8], Error> {
    if start.is_null() || len == 0 || len > longest {
        return Err(Error::Request("OpenSSH asks with bytes that are missing or too many"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(start, len) })
}

/// # Safety
///
/// Null, or a C string, which outlives the call.
unsafe fn text<'a>(start: *const c_char) -> Result<&'a str, Error> {
    if start.is_null() {
        return Err(Error::Request("OpenSSH leaves out a name"));
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(start) }.to_str();
    text.ok()
        .filter(|text| text.len() <= MAX_RP_ID)
        .ok_or(Error::Request("a name is too long, or not UTF-8"))
}

impl Bytes {
    /// A copy in C's memory; none of nothing. What was copied before memory ran out goes with the helper.
    fn copied(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Ok(Self { start: ptr::null_mut(), len: 0 });
        }
        // SAFETY: the size is not zero.
        let start = unsafe { libc::malloc(bytes.len()) }.cast::<u8>();
        if start.is_null() {
            return Err(no_memory());
        }
        // SAFETY: both have that many bytes, and one of them is new.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
        Ok(Self { start, len: bytes.len() })
    }
}

/// Moves a response into C's memory and says where it is.
///
/// # Safety
///
/// `place` is null or can be written to.
unsafe fn handed_over<T>(response: T, place: *mut *mut T) -> Result<(), Error> {
    if place.is_null() {
        return Err(Error::Request("OpenSSH has no place for the answer"));
    }
    // SAFETY: the size is not zero; malloc aligns for any type of C.
    let start = unsafe { libc::malloc(size_of::<T>()) }.cast::<T>();
    if start.is_null() {
        return Err(no_memory());
    }
    // SAFETY: room for one response, and a place that is not null.
    unsafe {
        start.write(response);
        place.write(start);
    }
    Ok(())
}

fn no_memory() -> Error {
    Error::System("there is no memory", std::io::ErrorKind::OutOfMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenSSH would see.
    fn bytes_of(bytes: &Bytes) -> &[u8] {
        // SAFETY: made by `copied`, never empty here.
        unsafe { std::slice::from_raw_parts(bytes.start, bytes.len) }
    }

    #[test]
    fn structures_are_laid_out_as_in_c() {
        let word = size_of::<usize>();
        assert_eq!(size_of::<EnrollResponse>(), 11 * word);
        assert_eq!(std::mem::offset_of!(EnrollResponse, public_key), word);
        assert_eq!(std::mem::offset_of!(SignResponse, counter), 4);
        assert_eq!(std::mem::offset_of!(SignResponse, sig_r), 8);
        assert_eq!(size_of::<SkOption>(), 3 * word);
    }

    #[test]
    fn what_is_handed_over_is_memory_of_c() {
        let nothing = Bytes::copied(&[]).unwrap();
        assert!(nothing.start.is_null() && nothing.len == 0);
        let response = SignResponse {
            flags: 5,
            counter: 7,
            sig_r: Bytes::copied(b"r").unwrap(),
            sig_s: nothing,
        };
        let mut place = ptr::null_mut();
        // SAFETY: a place for a pointer.
        unsafe { handed_over(response, &raw mut place) }.unwrap();
        // SAFETY: it was written just now, and is freed as OpenSSH does.
        unsafe {
            assert_eq!(((*place).flags, (*place).counter), (5, 7));
            assert_eq!(bytes_of(&(*place).sig_r), b"r");
            libc::free((*place).sig_r.start.cast());
            libc::free(place.cast());
        }
        // SAFETY: null is allowed.
        let refused = unsafe { handed_over(0_u8, ptr::null_mut()) };
        assert_eq!(refused.unwrap_err().number(), -1);
    }

    #[test]
    fn what_is_missing_or_too_long_is_refused() {
        // SAFETY: null is allowed, and the others are what they say.
        unsafe {
            assert!(bytes(ptr::null(), 1, 9).is_err());
            assert!(bytes([1].as_ptr(), 0, 9).is_err());
            assert!(bytes([1, 2].as_ptr(), 2, 1).is_err());
            assert_eq!(bytes([1, 2].as_ptr(), 2, 2).unwrap(), [1, 2]);
            assert!(text(ptr::null()).is_err());
            assert!(text(c"\xff".as_ptr()).is_err());
            assert_eq!(text(c"ssh:".as_ptr()).unwrap(), "ssh:");
            let long = std::ffi::CString::new(vec![b'a'; MAX_RP_ID + 1]).unwrap();
            assert!(text(long.as_ptr()).is_err());
        }
    }

    fn options(list: &[(&CStr, &CStr, u8)]) -> Result<(Option<String>, Option<String>), Error> {
        let all: Vec<_> = list
            .iter()
            .map(|(name, value, required)| SkOption {
                name: name.as_ptr(),
                value: value.as_ptr(),
                required: *required,
            })
            .collect();
        let mut pointers: Vec<_> = all.iter().map(ptr::from_ref).collect();
        pointers.push(ptr::null());
        // SAFETY: the list ends with a null.
        let wanted = unsafe { Wanted::read(pointers.as_ptr()) }?;
        Ok((wanted.user.map(str::to_owned), wanted.phone()))
    }

    #[test]
    fn options_are_understood_or_refused() {
        let read = options(&[(c"user", c"anna", 0), (c"device", c"Pixel", 1)]).unwrap();
        assert_eq!(read, (Some("anna".to_owned()), Some("Pixel".to_owned())));
        assert_eq!(options(&[(c"new", c"1", 0), (c"device", c"", 0)]).unwrap(), (None, None));
        assert_eq!(options(&[(c"new", c"1", 1)]).unwrap_err().number(), -2);
        assert_eq!(options(&[(c"user", c"a", 0); MAX_OPTIONS]).unwrap_err().number(), -1);
        // SAFETY: null is allowed.
        assert!(unsafe { Wanted::read(ptr::null()) }.unwrap().user.is_none());
    }

    #[test]
    fn what_no_phone_can_do_is_refused_before_one_is_fetched() {
        let mut place = ptr::null_mut();
        // SAFETY: as OpenSSH calls it.
        let made = unsafe {
            sk_enroll(
                1,
                b"c".as_ptr(),
                1,
                c"ssh:".as_ptr(),
                1,
                ptr::null(),
                ptr::null(),
                &raw mut place,
            )
        };
        assert_eq!((made, place.is_null()), (-2, true));
        let listed =
            sk_load_resident_keys(ptr::null(), ptr::null(), ptr::null_mut(), ptr::null_mut());
        assert_eq!((listed, sk_api_version()), (-2, 0x000a_0000));
    }
}
