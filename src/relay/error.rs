//! Why a relay cannot start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::tls::TlsError;

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Plain `ws://` on an address that others can reach, without being asked for.
    #[error("{address} is reachable from other machines, and there is no certificate for TLS")]
    Plain {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A redirect to HTTPS without TLS.
    #[error("HTTP cannot be sent to HTTPS without a certificate for TLS")]
    NoHttps,
    /// The PROXY protocol without a proxy that may speak it: whoever does could name any address.
    #[error("the PROXY protocol is asked for, and no proxy is named that may speak it")]
    NoProxy,
    /// Certificate or key cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// A certificate by ACME is asked for, and this program was built without.
    #[error("this program was built without the feature `acme`")]
    NoAcme,
    /// There are two places for the certificate.
    #[error("a certificate from files and one by ACME are both asked for")]
    TwoCertificates,
    /// A certificate by ACME without HTTP.
    #[error("a certificate by ACME needs a listener for HTTP, where its server asks for proof")]
    NoHttp,
    /// Nobody agreed to the terms.
    #[error("nobody agreed to the terms of the ACME server")]
    NoTerms,
    /// A setting for ACME cannot be used.
    #[error("the {what} for ACME cannot be used: it is {value:?}")]
    AcmeSetting {
        /// Which.
        what: &'static str,
        /// What it is.
        value: String,
    },
    /// A file or folder for ACME cannot be used.
    #[error("cannot use {path} for ACME")]
    AcmeFile {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What TLS with the ACME server needs cannot be used.
    #[error("cannot set up TLS with the ACME server")]
    AcmeTls(#[source] TlsError),
    /// A cluster is asked for, and this program was built without.
    #[error("this program was built without the feature `cluster`")]
    NoCluster,
    /// A NATS server's URL cannot be read. It is not repeated: it may hold a password.
    #[error("the URL of a NATS server cannot be read")]
    Servers(#[source] io::Error),
    /// A file with a secret for NATS cannot be used. What is in it is not repeated.
    #[error("the {what} for NATS in {path} cannot be used")]
    Secret {
        /// Which: the password, the nkey, the credentials.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What TLS with NATS needs cannot be used.
    #[error("cannot set up TLS with NATS")]
    ClusterTls(#[source] TlsError),
    /// The system gave no random bytes for the routing id.
    #[error("cannot choose a routing id")]
    Random(#[source] rand_core::Error),
}
