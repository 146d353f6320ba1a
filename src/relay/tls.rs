//! The server side of TLS: certificate and key from PEM files, TLS 1.2 and 1.3.
//!
//! Depends on rustls with the AWS-LC provider, chosen here and not installed for the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::validity::Validity;

/// Where the relay's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those of its intermediate authorities, in PEM form.
    pub certificate: PathBuf,
    /// The private key in PEM form: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate file holds no certificate.
    #[error("{path} holds no certificate in PEM form")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file holds no private key.
    #[error("{path} holds no private key in PEM form")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that cannot be used.
    #[error("certificate and key cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// Certificate and key, ready for connections.
pub(super) struct Pair {
    pub(super) acceptor: TlsAcceptor,
    /// Of the certificate; unknown if it has a form that only rustls can read.
    pub(super) validity: Option<Validity>,
}

impl Pair {
    /// Reads both.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Self::of(read_certificates(&files.certificate)?, read_key(&files.key)?)
    }

    /// Both from one text.
    #[cfg(feature = "acme")]
    pub(super) fn parse(pem: &[u8]) -> Result<Self, pem::Error> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        Self::of(certificates?, PrivateKeyDer::from_pem_slice(pem)?)
            .map_err(|_| pem::Error::NoItemsFound)
    }

    fn of(
        certificates: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let validity = certificates.first().and_then(|certificate| Validity::of(certificate));
        Ok(Self { acceptor: acceptor(certificates, key)?, validity })
    }
}

fn acceptor(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key));
    let mut config = config.map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Whether these files would do for a client: whom it believes, and who it is.
#[cfg(feature = "cluster")]
pub(super) fn check_client(
    authority: Option<&Path>,
    identity: Option<&TlsFiles>,
) -> Result<(), TlsError> {
    let believed = authority.map_or_else(|| Ok(rustls::RootCertStore::empty()), authorities)?;
    let Some(TlsFiles { certificate, key }) = identity else { return Ok(()) };
    let (certificates, key) = (read_certificates(certificate)?, read_key(key)?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_root_certificates(believed).with_client_auth_cert(certificates, key)
        });
    config.map(drop).map_err(TlsError::Pair)
}

/// The authorities in a file.
#[cfg(any(feature = "acme", feature = "cluster"))]
pub(super) fn authorities(path: &Path) -> Result<rustls::RootCertStore, TlsError> {
    let mut believed = rustls::RootCertStore::empty();
    for certificate in read_certificates(path)? {
        let missing = |_| TlsError::NoCertificate { path: path.to_owned() };
        believed.add(certificate).map_err(missing)?;
    }
    Ok(believed)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsError::NoCertificate { path: path.to_owned() };
    let text = read(path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(missing)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = zeroize::Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let make = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (ours, other) = (make(), make());
        let certificate = write("cert.pem", &ours.cert.pem());
        let key = write("key.pem", &ours.signing_key.serialize_pem());
        let strange = write("strange.pem", &other.signing_key.serialize_pem());
        let empty = write("empty.pem", "");
        let with = |certificate: &Path, key: &Path| {
            Pair::read(&TlsFiles { certificate: certificate.into(), key: key.into() }).map(|_| ())
        };
        assert!(with(&certificate, &key).is_ok());
        assert!(matches!(with(&certificate, &strange), Err(TlsError::Pair(_))));
        assert!(matches!(with(&empty, &key), Err(TlsError::NoCertificate { .. })));
        assert!(matches!(with(&certificate, &empty), Err(TlsError::NoKey { .. })));
        #[cfg(feature = "cluster")]
        {
            let client = |authority: &Path, certificate: &Path, key: &Path| {
                let files = TlsFiles { certificate: certificate.into(), key: key.into() };
                check_client(Some(authority), Some(&files))
            };
            assert!(client(&certificate, &certificate, &key).is_ok());
            assert!(matches!(client(&certificate, &certificate, &strange), Err(TlsError::Pair(_))));
            assert!(matches!(
                client(&key, &certificate, &key),
                Err(TlsError::NoCertificate { path }) if path == key
            ));
        }
        let missing = folder.path().join("missing.pem");
        assert!(
            matches!(with(&missing, &key), Err(TlsError::File { path, .. }) if path == missing)
        );
    }
}
