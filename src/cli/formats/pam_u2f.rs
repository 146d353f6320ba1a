//! pam_u2f's mapping file: a line a user, `user:handle,key,es256,options[:handle,key,es256,options...]`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ctap::Es256PublicKey;

/// What the file says of one key.
pub(crate) struct Mapping<'a> {
    pub(crate) user: &'a str,
    /// The passkey's ID.
    pub(crate) handle: &'a [u8],
    pub(crate) public: Es256PublicKey,
    /// A login takes a PIN, a fingerprint or the like on the phone.
    pub(crate) verification: bool,
}

impl Mapping<'_> {
    /// The line of a file that has nothing else of this user.
    pub(crate) fn line(&self) -> String {
        format!("{}:{}", self.user, self.key())
    }

    fn key(&self) -> String {
        let point = STANDARD.encode([self.public.x, self.public.y].concat());
        let verification = if self.verification { "+verification" } else { "" };
        format!("{},{point},es256,+presence{verification}", STANDARD.encode(self.handle))
    }

    /// The file with this key behind the user's others. pam_u2f heeds one line of a user only, so it
    /// joins the last; everything else stays as it is.
    pub(crate) fn added_to(&self, file: &str) -> String {
        let of_user = |line: &str| line.split_once(':').is_some_and(|(user, _)| user == self.user);
        let last = file.lines().filter(|line| of_user(line)).count();
        let (mut out, mut seen) = (String::new(), 0);
        for line in file.lines() {
            out.push_str(line);
            if of_user(line) {
                seen += 1;
                if seen == last {
                    if !line.ends_with(':') {
                        out.push(':');
                    }
                    out.push_str(&self.key());
                }
            }
            out.push('\n');
        }
        if last == 0 {
            out.push_str(&self.line());
            out.push('\n');
        }
        out
    }
}

/// A key that the file knows of a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) handle: Vec<u8>,
    pub(crate) public: Es256PublicKey,
    /// The phone has to verify who is there.
    pub(crate) verification: bool,
}

impl Known {
    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let (handle, point, kind, options) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let point = STANDARD.decode(point).ok().filter(|_| kind == "es256")?;
        let (x, y) = point.split_at_checked(32)?;
        let public = Es256PublicKey { x: x.try_into().ok()?, y: y.try_into().ok()? };
        let handle = STANDARD.decode(handle).ok().filter(|handle| !handle.is_empty())?;
        // A PIN is one way to verify, and a phone chooses its own.
        let verification =
            options.split('+').any(|option| ["verification", "pin"].contains(&option));
        Some(Self { handle, public, verification })
    }
}

/// The keys of a user that phones can have, from the one line that pam_u2f heeds: the last.
pub(crate) fn known(file: &str, user: &str) -> Vec<Known> {
    let of_user = |line: &str| line.split_once(':').filter(|(name, _)| *name == user).is_some();
    let line = file.lines().rfind(|line| of_user(line)).unwrap_or_default();
    line.split(':').skip(1).filter_map(Known::read).collect()
}

/// Whether this can be a name in the file.
pub(crate) fn is_user(name: &str) -> bool {
    let odd = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    !name.is_empty() && !name.starts_with('#') && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: Es256PublicKey = Es256PublicKey { x: [0; 32], y: [0; 32] };

    fn of(user: &str, verification: bool) -> Mapping<'_> {
        Mapping { user, handle: b"\xff\xff\xff", public: PUBLIC, verification }
    }

    #[test]
    fn a_line_has_what_pam_u2f_reads() {
        let zeros = format!("{}==", "A".repeat(86));
        assert_eq!(of("anna", false).line(), format!("anna:////,{zeros},es256,+presence"));
        assert!(of("anna", true).line().ends_with(",es256,+presence+verification"));
    }

    #[test]
    fn keys_of_one_user_are_on_one_line() {
        let anna = of("anna", false);
        let key = anna.key();
        assert_eq!(anna.added_to(""), format!("anna:{key}\n"));
        // The last line without its end, and names that only begin alike.
        let file = "# mine\nannabel:1\nanna:2\nberta:3";
        let wanted = format!("# mine\nannabel:1\nanna:2:{key}\nberta:3\n");
        assert_eq!(anna.added_to(file), wanted);
        assert_eq!(anna.added_to("anna:"), format!("anna:{key}\n"));
        assert_eq!(anna.added_to("anna:1\nanna:2\n"), format!("anna:1\nanna:2:{key}\n"));
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else() {
        let (plain, verified) = (of("anna", false), of("anna", true));
        let file = verified.added_to(&plain.added_to("# anna:x\nberta:y\n"));
        let read = known(&file, "anna");
        let known_key =
            |verification| Known { handle: b"\xff\xff\xff".to_vec(), public: PUBLIC, verification };
        assert_eq!(read, [known_key(false), known_key(true)]);
        for nobody in ["berta", "ann", "annabel", "", "# anna"] {
            assert_eq!(known(&file, nobody), [], "{nobody:?}");
        }
        // The last line counts, whatever it has.
        assert_eq!(known(&format!("{file}anna:\n"), "anna"), []);
        let key = plain.key();
        for broken in [
            key.replace("es256", "eddsa"),
            key.replace("////", ""),
            key.replace("////", "?"),
            key.replacen('A', "", 4),
            "////,AAAA".to_owned(),
        ] {
            assert_eq!(known(&format!("anna:{broken}"), "anna"), [], "{broken}");
            assert_eq!(known(&format!("anna:{broken}:{key}"), "anna"), [known_key(false)]);
        }
        let pin = key.replace("+presence", "+presence+pin");
        assert_eq!(known(&format!("anna:{pin}"), "anna"), [known_key(true)]);
    }

    #[test]
    fn names_that_would_break_the_file_are_none() {
        assert!(is_user("anna") && is_user("anna.b-c"));
        for name in ["", "a:b", "a b", "a\nb", "#a"] {
            assert!(!is_user(name), "{name:?}");
        }
    }
}
