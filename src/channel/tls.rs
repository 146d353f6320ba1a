//! Which certificates the client side of TLS believes, and what can be wrong with them.
//!
//! Depends on rustls with the AWS-LC provider, chosen here and not installed for the process.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Whose certificates are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The authorities of this system (or of `SSL_CERT_FILE`, `SSL_CERT_DIR`).
    #[default]
    System,
    /// Those, and the authorities of a PEM file: what `--ca FILE` means.
    SystemAnd(PathBuf),
    /// The authorities of a PEM file and no others.
    Only(PathBuf),
}

/// Why certificates could not be loaded, or those of a peer were not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of authorities cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not PEM, or holds no usable certificate.
    #[error("{path} holds no usable certificate in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
    },
    /// This system trusts nobody: no certificate store was found.
    #[error("this system has no trusted certificate authorities")]
    NoAuthorities,
    /// The peer's certificate was issued by an authority that is not trusted here.
    #[error("the certificate was issued by an unknown authority")]
    UnknownAuthority(#[source] rustls::Error),
    /// The peer's certificate is for another host name.
    #[error("the certificate is for another host name")]
    WrongName(#[source] rustls::Error),
    /// The peer's certificate has expired or is not valid yet.
    #[error("the certificate is not valid at this time")]
    WrongTime(#[source] rustls::Error),
    /// Anything else that TLS refused.
    #[error("the TLS handshake failed")]
    Handshake(#[source] rustls::Error),
    /// The host is neither a DNS name nor an address.
    #[error("the host name cannot be checked against a certificate")]
    HostName,
}

/// Loads the trusted authorities and makes the configuration of the client side.
///
/// Reads files, some milliseconds for a system store. TLS 1.2 and 1.3, ALPN `http/1.1`.
///
/// # Errors
///
/// [`Error::File`], [`Error::Pem`] or [`Error::NoAuthorities`].
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => add_system(&mut roots)?,
        Trust::Only(path) => add_file(&mut roots, path)?,
        Trust::SystemAnd(path) => {
            add_file(&mut roots, path)?;
            match add_system(&mut roots) {
                // The file is enough where the system has no store.
                Ok(()) | Err(Error::NoAuthorities) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Handshake)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_system(roots: &mut RootCertStore) -> Result<(), Error> {
    // Single unreadable certificates do not matter while others are there.
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 { Err(Error::NoAuthorities) } else { Ok(()) }
}

fn add_file(roots: &mut RootCertStore, path: &PathBuf) -> Result<(), Error> {
    let unusable = || Error::Pem { path: path.clone() };
    let text = std::fs::read(path).map_err(|source| Error::File { path: path.clone(), source })?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|_| unusable())?;
    let (added, ignored) = roots.add_parsable_certificates(certificates);
    if added == 0 || ignored > 0 { Err(unusable()) } else { Ok(()) }
}

/// Sorts what a handshake returned; `Err` gives back what is not TLS's fault.
pub(crate) fn classify(error: io::Error) -> Result<Error, io::Error> {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
    cause.map(sort).ok_or(error)
}

fn sort(cause: rustls::Error) -> Error {
    use CertificateError as C;
    match &cause {
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            Error::UnknownAuthority(cause)
        }
        rustls::Error::InvalidCertificate(
            C::NotValidForName | C::NotValidForNameContext { .. },
        ) => Error::WrongName(cause),
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => Error::WrongTime(cause),
        _ => Error::Handshake(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_of_authorities_is_taken() {
        let names = vec!["localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (_folder, path) = file(&made.cert.pem());
        assert!(client_config(&Trust::Only(path.clone())).is_ok());
        assert!(client_config(&Trust::SystemAnd(path)).is_ok());
    }

    #[test]
    fn a_missing_or_useless_file_is_named() {
        let missing = client_config(&Trust::Only("/nonexistent/ca.pem".into()));
        assert!(matches!(missing, Err(Error::File { .. })));
        for text in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
        {
            let (_folder, path) = file(text);
            let useless = client_config(&Trust::SystemAnd(path.clone()));
            assert!(matches!(useless, Err(Error::Pem { path: named }) if named == path));
        }
    }

    #[test]
    fn what_is_not_tls_is_given_back() {
        assert!(classify(io::ErrorKind::ConnectionReset.into()).is_err());
    }
}
