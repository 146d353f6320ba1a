//! OpenSSH's files of a key of kind `sk-ecdsa-sha2-nistp256@openssh.com`: bytes in, text out.
//!
//! Specification: OpenSSH's PROTOCOL.key and PROTOCOL.u2f.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ctap::Es256PublicKey;

const KIND: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const CURVE: &str = "nistp256";
/// What applications begin with, and the usual one.
pub(crate) const APPLICATION: &str = "ssh:";
/// Bytes that the private part is a multiple of where nothing is encrypted.
const BLOCK: usize = 8;
/// Characters of a line of the private file.
const LINE: usize = 70;

/// What ssh asks of the key that signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) touch: bool,
    pub(crate) verification: bool,
    /// It can be found without the private file.
    pub(crate) resident: bool,
}

impl Needs {
    /// `SSH_SK_USER_PRESENCE_REQD`, `SSH_SK_USER_VERIFICATION_REQD`, `SSH_SK_RESIDENT_KEY`.
    fn flags(self) -> u8 {
        u8::from(self.touch) | u8::from(self.verification) << 2 | u8::from(self.resident) << 5
    }
}

/// A key pair whose private half stays on a phone.
pub(crate) struct KeyPair<'a> {
    pub(crate) public: Es256PublicKey,
    pub(crate) application: &'a str,
    /// The passkey's ID.
    pub(crate) handle: &'a [u8],
    pub(crate) needs: Needs,
    /// On one line.
    pub(crate) comment: &'a str,
}

impl KeyPair<'_> {
    /// The line of the public file, without its end.
    pub(crate) fn public_line(&self) -> String {
        let line = format!("{KIND} {} {}", STANDARD.encode(self.public_blob()), self.comment);
        line.trim_end().to_owned()
    }

    /// The private file, not encrypted: it holds no secret but the name of the passkey. `check` is any
    /// number, by which a reader knows that it decrypted well.
    pub(crate) fn private_file(&self, check: u32) -> String {
        let mut file = Writer(b"openssh-key-v1\0".to_vec());
        file.string(b"none").string(b"none").string(b"").number(1);
        file.string(&self.public_blob()).string(&self.private_part(check));
        let text = STANDARD.encode(file.0);
        let mut out = "-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned();
        for (i, c) in text.chars().enumerate() {
            if i > 0 && i % LINE == 0 {
                out.push('\n');
            }
            out.push(c);
        }
        out.push_str("\n-----END OPENSSH PRIVATE KEY-----\n");
        out
    }

    fn public_blob(&self) -> Vec<u8> {
        let mut blob = Writer(Vec::new());
        self.public_into(&mut blob);
        blob.0
    }

    fn public_into(&self, out: &mut Writer) {
        out.string(KIND.as_bytes()).string(CURVE.as_bytes());
        out.string(&self.public.to_sec1()).string(self.application.as_bytes());
    }

    fn private_part(&self, check: u32) -> Vec<u8> {
        let mut part = Writer(Vec::new());
        part.number(check).number(check);
        self.public_into(&mut part);
        part.0.push(self.needs.flags());
        // The string between handle and comment is reserved.
        part.string(self.handle).string(b"").string(self.comment.as_bytes());
        let missing = part.0.len().next_multiple_of(BLOCK) - part.0.len();
        part.0.extend((1u8..).take(missing));
        part.0
    }
}

/// SSH's encoding.
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Nothing here is near 4 GiB: CTAP's and the command line's bounds are far below.
    fn string(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: Es256PublicKey = Es256PublicKey { x: [7; 32], y: [9; 32] };

    fn pair<'a>(comment: &'a str, handle: &'a [u8]) -> KeyPair<'a> {
        let needs = Needs { touch: true, verification: true, resident: true };
        KeyPair { public: PUBLIC, application: "ssh:work", handle, needs, comment }
    }

    /// Takes the strings of SSH apart again.
    fn string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
        let (len, after) = rest.split_at(4);
        let (found, after) =
            after.split_at(u32::from_be_bytes(len.try_into().unwrap()).try_into().unwrap());
        *rest = after;
        found
    }

    #[test]
    fn the_public_line_has_kind_curve_point_and_application() {
        let line = pair("me@here", b"handle").public_line();
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!((words[0], words[2], words.len()), (KIND, "me@here", 3));
        let blob = STANDARD.decode(words[1]).unwrap();
        let rest = &mut &blob[..];
        let strings = [string(rest), string(rest), string(rest), string(rest)];
        let point = PUBLIC.to_sec1();
        assert_eq!(strings, [KIND.as_bytes(), b"nistp256", &point[..], b"ssh:work"]);
        assert!(rest.is_empty());
        assert_eq!(pair("", b"h").public_line().split(' ').count(), 2);
    }

    #[test]
    fn the_private_file_is_padded_and_has_flags_and_handle() {
        for len in 0..9 {
            let handle = vec![5; len];
            let file = pair("c", &handle).private_file(0x0102_0304);
            let lines: Vec<_> = file.lines().collect();
            assert!(lines.iter().all(|line| line.len() <= LINE), "{file}");
            let bytes = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
            let rest = &mut bytes.strip_prefix(b"openssh-key-v1\0").unwrap();
            assert_eq!([string(rest), string(rest), string(rest)], [b"none", b"none", &b""[..]]);
            *rest = rest.strip_prefix(&[0, 0, 0, 1]).unwrap();
            let _public = string(rest);
            let private = string(rest);
            assert!(rest.is_empty() && private.len().is_multiple_of(BLOCK));
            let rest = &mut private.strip_prefix(&[1, 2, 3, 4, 1, 2, 3, 4]).unwrap();
            let _same = [string(rest), string(rest), string(rest)];
            assert_eq!(string(rest), b"ssh:work");
            *rest = rest.strip_prefix(&[0x25]).unwrap();
            assert_eq!([string(rest), string(rest), string(rest)], [&handle[..], b"", b"c"]);
            assert!(rest.iter().copied().eq((1u8..).take(rest.len())) && rest.len() < BLOCK);
        }
    }
}
