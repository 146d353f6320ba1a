//! As whom this node comes to NATS, and what may keep it out.
//!
//! Names and secrets are read once, when the relay is set up; certificates again at each connection, by the client of
//! NATS. Depends on `words` for escapes in URLs, and on `tls` for PEM files.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions, ServerAddr};
use nkeys::{KeyPair, KeyPairType};
use rustls::CertificateError;
use zeroize::Zeroizing;

use super::words::unescape;
use crate::relay::config::{ClusterConfig, ClusterIdentity};
use crate::relay::error::Error;
use crate::relay::tls::{self, TlsFiles};

/// How long a file with a secret may be.
const MAX_SECRET_LEN: u64 = 64 << 10;

/// Why NATS cannot be used, for its operator.
pub(super) const REFUSED: &str = "it refuses this node's user, password, token or key: check what --cluster, \
    --cluster-user and --cluster-password-file, --cluster-nkey or --cluster-credentials say";
const UNKNOWN: &str = "no authority that is believed vouches for the server's certificate: name the one that does with \
    --cluster-tls-ca";
const MISNAMED: &str =
    "the server's certificate is for another name: use a name of that certificate in --cluster";
const EXPIRED: &str = "the server's certificate is not valid now: renew it, or set the clock";
const BAD_CERTIFICATE: &str = "the server's certificate cannot be used";
const ANONYMOUS: &str = "the server does not take this node's certificate, or wants one: check --cluster-tls-cert and \
    --cluster-tls-key";
const NO_TLS: &str = "TLS with it fails: does the server speak TLS at this address?";
const NO_NAME: &str = "its name has no address: check --cluster";
const AWAY: &str =
    "nobody answers as NATS there: is it running, and is the address in --cluster right?";
const SLOW: &str = "it does not answer in time";

enum Identity {
    Nobody,
    Password(String, Zeroizing<String>),
    Token(Zeroizing<String>),
    Key(Zeroizing<String>),
    Credentials(Zeroizing<String>),
}

/// As whom this node comes to NATS, and how.
pub(super) struct Access {
    servers: Vec<ServerAddr>,
    identity: Identity,
    authority: Option<PathBuf>,
    certificate: Option<TlsFiles>,
}

impl Access {
    /// Reads all that there is to read; connects to nobody.
    pub(super) fn new(config: &ClusterConfig) -> Result<Self, Error> {
        let servers: Result<Vec<_>, _> = config.servers.iter().map(|url| server(url)).collect();
        let servers = servers.map_err(Error::Servers)?;
        let identity = match &config.identity {
            ClusterIdentity::Urls => named(&servers),
            ClusterIdentity::Password { user, file } => {
                Identity::Password(user.clone(), secret(file, "password", not_empty)?)
            }
            ClusterIdentity::Key(file) => Identity::Key(secret(file, "nkey", is_seed)?),
            ClusterIdentity::Credentials(file) => {
                Identity::Credentials(secret(file, "credentials", are_credentials)?)
            }
        };
        let (authority, certificate) = (config.authority.clone(), config.certificate.clone());
        tls::check_client(authority.as_deref(), certificate.as_ref()).map_err(Error::ClusterTls)?;
        Ok(Self { servers, identity, authority, certificate })
    }

    /// The servers, without what is secret in their URLs: the client writes those to its log.
    pub(super) fn servers(&self) -> Vec<ServerAddr> {
        self.servers.iter().filter_map(without_names).collect()
    }

    /// What the client of NATS is told.
    pub(super) fn options(&self) -> Result<ConnectOptions, io::Error> {
        let options = ConnectOptions::new();
        let options = match &self.identity {
            Identity::Nobody => options,
            Identity::Password(user, password) => {
                options.user_and_password(user.clone(), password.to_string())
            }
            Identity::Token(token) => options.token(token.to_string()),
            Identity::Key(seed) => options.nkey(seed.to_string()),
            Identity::Credentials(text) => options.credentials(&whole(text))?,
        };
        // Other servers that one of them names have no scheme of their own.
        let encrypted =
            self.authority.is_some() || self.servers.iter().any(ServerAddr::tls_required);
        let options = options.require_tls(encrypted);
        let options = match &self.authority {
            Some(file) => options.add_root_certificates(file.clone()),
            None => options,
        };
        Ok(match &self.certificate {
            Some(TlsFiles { certificate, key }) => {
                options.add_client_certificate(certificate.clone(), key.clone())
            }
            None => options,
        })
    }
}

fn server(url: &str) -> Result<ServerAddr, io::Error> {
    let server: ServerAddr = url.parse()?;
    match server.scheme() {
        "nats" | "tls" if !server.host().is_empty() => Ok(server),
        _ => Err(invalid("it is not nats://HOST:PORT or tls://HOST:PORT")),
    }
}

fn without_names(server: &ServerAddr) -> Option<ServerAddr> {
    let mut url = server.clone().into_inner();
    url.set_password(None).ok()?;
    url.set_username("").ok()?;
    ServerAddr::from_url(url).ok()
}

/// What the first server's URL that has any says: user and password, or a token alone.
fn named(servers: &[ServerAddr]) -> Identity {
    let named = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match named.map(|(user, password)| (unescape(user), password.map(unescape))) {
        Some((user, Some(password))) => Identity::Password(user, password.into()),
        Some((token, None)) => Identity::Token(token.into()),
        None => Identity::Nobody,
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What a file holds, without white space around it; no complaint repeats it.
fn secret(
    path: &Path,
    what: &'static str,
    check: fn(&str) -> Result<(), io::Error>,
) -> Result<Zeroizing<String>, Error> {
    let read = || {
        use std::io::Read as _;
        let mut text = Zeroizing::new(String::new());
        let mut file = std::fs::File::open(path)?.take(MAX_SECRET_LEN + 1);
        if file.read_to_string(&mut text)? as u64 > MAX_SECRET_LEN {
            return Err(invalid("it is longer than 64 KiB"));
        }
        let text = Zeroizing::new(text.trim().to_owned());
        check(&text).map(|()| text)
    };
    read().map_err(|source| Error::Secret { what, path: path.to_owned(), source })
}

fn not_empty(password: &str) -> Result<(), io::Error> {
    if password.is_empty() { Err(invalid("it is empty")) } else { Ok(()) }
}

fn is_seed(seed: &str) -> Result<(), io::Error> {
    match KeyPair::from_seed(seed).map(|pair| pair.key_pair_type()) {
        Ok(KeyPairType::User) => Ok(()),
        Ok(_) => Err(invalid("it is the key of no user: their seeds begin with SU")),
        Err(_) => Err(invalid("it holds no nkey: a line that begins with SU, the seed of a user")),
    }
}

/// Credentials as their reader wants them: its last line has an end.
fn whole(text: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{text}\n"))
}

fn are_credentials(text: &str) -> Result<(), io::Error> {
    // What the client says of it may repeat a part.
    let read = ConnectOptions::with_credentials(&whole(text)).map(drop);
    read.map_err(|_| invalid("it holds no JWT and seed of a user, as a .creds file has them"))
}

/// Why NATS could not be reached, and what to do about it.
pub(super) fn obstacle(error: &ConnectError) -> &'static str {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => REFUSED,
        ConnectErrorKind::Dns => NO_NAME,
        ConnectErrorKind::TimedOut => SLOW,
        kind => match tls_fault(error) {
            Some(fault) => of_tls(fault),
            None if kind == ConnectErrorKind::Tls => NO_TLS,
            None => AWAY,
        },
    }
}

/// The same from the words that are left when a connection could not be made again.
pub(super) fn obstacle_again(words: &str) -> &'static str {
    match words == ConnectErrorKind::AuthorizationViolation.to_string() {
        true => REFUSED,
        false => AWAY,
    }
}

fn of_tls(fault: &rustls::Error) -> &'static str {
    use CertificateError as C;
    match fault {
        rustls::Error::InvalidCertificate(C::UnknownIssuer) => UNKNOWN,
        rustls::Error::InvalidCertificate(
            C::NotValidForName | C::NotValidForNameContext { .. },
        ) => MISNAMED,
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => EXPIRED,
        rustls::Error::InvalidCertificate(_) => BAD_CERTIFICATE,
        rustls::Error::AlertReceived(_) => ANONYMOUS,
        _ => NO_TLS,
    }
}

fn tls_fault<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref() {
            return Some(fault);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;
