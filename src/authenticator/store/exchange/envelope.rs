//! The encryption of exported files: age, for a passphrase or for X25519 recipients.
//!
//! Depends on the age crate only, which draws its own randomness.

use std::io::{self, Read as _, Write as _};
use std::iter;

use age::secrecy::SecretString;
use age::{Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use zeroize::Zeroizing;

use super::MAX_FILE;

/// log2 of scrypt's cost of what is written: some 256 MiB and a second.
const WORK: u8 = 18;
/// The same of what is read, at most: four times that.
const MAX_WORK: u8 = 20;

/// Who will be able to read a file.
pub enum Lock {
    /// Whoever knows the passphrase.
    Passphrase(Zeroizing<String>),
    /// The owners of these keys, `age1...`; at least one.
    Recipients(Vec<String>),
}

/// With what a file is read.
pub enum Opener {
    /// A passphrase.
    Passphrase(Zeroizing<String>),
    /// The text of a file of identities, `AGE-SECRET-KEY-1...`, as age-keygen writes it.
    Identities(Zeroizing<String>),
}

/// Why a file was not sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No key of that form.
    #[error("that is no age key")]
    NoKey,
    /// The passphrase is wrong, or the file is for other keys.
    #[error("the file does not open with that")]
    WrongKey,
    /// Not an age file, cut short, altered, or too large.
    #[error("the file is not encrypted with age, or damaged")]
    Damaged,
    /// Opening would take more memory than is sensible.
    #[error("the file demands too much work for its passphrase")]
    TooMuchWork,
    /// The encryption failed.
    #[error("the encryption failed")]
    Failed(#[source] io::Error),
}

impl Lock {
    /// The file for this content.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoKey`] for a recipient that is none, or none at all; [`OpenError::Failed`].
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>, OpenError> {
        let recipients: Vec<Box<dyn Recipient>> = match self {
            Self::Passphrase(phrase) => {
                let mut recipient = scrypt::Recipient::new(secret(phrase));
                recipient.set_work_factor(WORK);
                vec![Box::new(recipient)]
            }
            Self::Recipients(keys) => {
                keys.iter().map(|key| recipient(key)).collect::<Result<_, _>>()?
            }
        };
        let encryptor = Encryptor::with_recipients(recipients.iter().map(|r| &**r));
        let encryptor = encryptor.map_err(|_| OpenError::NoKey)?;
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(OpenError::Failed)?;
        writer.write_all(content).map_err(OpenError::Failed)?;
        writer.finish().map_err(OpenError::Failed)?;
        Ok(sealed)
    }
}

fn recipient(key: &str) -> Result<Box<dyn Recipient>, OpenError> {
    let key: x25519::Recipient = key.trim().parse().map_err(|_| OpenError::NoKey)?;
    Ok(Box::new(key))
}

fn secret(text: &Zeroizing<String>) -> SecretString {
    SecretString::from(text.as_str().to_owned())
}

impl Opener {
    /// What is in the file.
    ///
    /// # Errors
    ///
    /// As [`OpenError`] says.
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let decryptor = Decryptor::new_buffered(file).map_err(|_| OpenError::Damaged)?;
        let identities: Vec<Box<dyn Identity>> = match self {
            Self::Passphrase(phrase) => {
                let mut identity = scrypt::Identity::new(secret(phrase));
                identity.set_max_work_factor(MAX_WORK);
                vec![Box::new(identity)]
            }
            Self::Identities(text) => identities(text)?,
        };
        let mut reader = decryptor.decrypt(identities.iter().map(|i| &**i)).map_err(refused)?;
        // With its whole size from the start, so that no copy is left behind by growing.
        let mut content = Zeroizing::new(Vec::with_capacity(file.len()));
        let read = reader.by_ref().take(MAX_FILE).read_to_end(&mut content);
        read.map_err(|_| OpenError::Damaged)?;
        Ok(content)
    }
}

fn identities(text: &str) -> Result<Vec<Box<dyn Identity>>, OpenError> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let key: x25519::Identity = line.parse().map_err(|_| OpenError::NoKey)?;
        Ok(Box::new(key) as Box<dyn Identity>)
    });
    let keys = parsed.collect::<Result<Vec<_>, _>>()?;
    iter::once(keys).find(|keys| !keys.is_empty()).ok_or(OpenError::NoKey)
}

fn refused(error: age::DecryptError) -> OpenError {
    use age::DecryptError as E;
    match error {
        E::ExcessiveWork { .. } => OpenError::TooMuchWork,
        E::DecryptionFailed | E::KeyDecryptionFailed | E::NoMatchingKeys => OpenError::WrongKey,
        _ => OpenError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn sealed_for_a_key_it_opens_with_that_key_only() {
        let (mine, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        let opener = |key: &x25519::Identity| {
            let line = format!("# a comment\n{}\n", key.to_string().expose_secret());
            Opener::Identities(Zeroizing::new(line))
        };
        let sealed = Lock::Recipients(vec![mine.to_public().to_string()]).seal(b"content").unwrap();
        assert_eq!(*opener(&mine).open(&sealed).unwrap(), b"content");
        assert!(matches!(opener(&other).open(&sealed), Err(OpenError::WrongKey)));
        for end in 0..sealed.len() {
            opener(&mine).open(&sealed[..end]).unwrap_err();
        }
        let none = Opener::Identities(Zeroizing::new("# nothing".into()));
        assert!(matches!(none.open(&sealed), Err(OpenError::NoKey)));
        let no_key = Lock::Recipients(vec!["age1nonsense".into()]).seal(b"");
        assert!(matches!(no_key, Err(OpenError::NoKey)));
        assert!(matches!(Lock::Recipients(vec![]).seal(b""), Err(OpenError::NoKey)));
    }

    #[test]
    fn sealed_with_a_passphrase() {
        let phrase = |text: &str| Zeroizing::new(text.to_owned());
        let sealed = Lock::Passphrase(phrase("correct horse")).seal(b"content").unwrap();
        let opened = Opener::Passphrase(phrase("correct horse")).open(&sealed).unwrap();
        assert_eq!(*opened, b"content");
        let wrong = Opener::Passphrase(phrase("battery")).open(&sealed);
        assert!(matches!(wrong, Err(OpenError::WrongKey)));
    }
}
