//! HTTP proxies: how one is named, which connections go around it, and why one did not serve.
//!
//! Depends on `hybrid::tunnel` for hosts and ports. Reads no environment: whoever makes a connector
//! says what is to be used.

mod around;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub use around::Around;

use crate::hybrid::tunnel::ServiceUrl;

/// A proxy that opens connections to other machines with CONNECT.
///
/// Read from `http://[USER:PASSWORD@]HOST[:PORT]`, or `https://` for a proxy that is itself reached
/// through TLS; without a scheme `http` is meant. User and password may be percent-encoded. They
/// are a secret: `Debug` and `Display` leave them out.
#[derive(Clone)]
pub struct Proxy {
    /// With the schemes of a tunnel service in place of `http` and `https`.
    address: ServiceUrl,
    /// What follows `Basic`.
    credentials: Option<Zeroizing<String>>,
}

impl Proxy {
    pub(super) fn address(&self) -> &ServiceUrl {
        &self.address
    }

    /// Value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<Zeroizing<String>> {
        self.credentials.as_ref().map(|basic| Zeroizing::new(format!("Basic {}", **basic)))
    }

    /// Whether it is given a user and a password.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.address.is_secure() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.has_credentials() { ", credentials redacted" } else { "" };
        write!(f, "Proxy({self}{hidden})")
    }
}

/// Why a text names no proxy. Never shows the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Something else than `http://` and `https://`, such as `socks5://`.
    #[error("only http:// and https:// proxies can be used")]
    Scheme,
    /// The host or the port is missing or malformed, or a path follows.
    #[error("the proxy's URL has no valid host and port")]
    Address,
    /// User and password cannot be sent: broken percent-encoding, control characters, or a colon
    /// in the user's name.
    #[error("the user or the password in the proxy's URL is malformed")]
    Credentials,
}

impl FromStr for Proxy {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws",
            "https" => "wss",
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A password may hold an @, a host cannot.
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        if host.contains(['/', '?', '#']) {
            return Err(UrlError::Address);
        }
        let address = format!("{scheme}://{host}").parse().map_err(|_| UrlError::Address)?;
        Ok(Self { address, credentials: user.map(basic).transpose()? })
    }
}

/// User and password as `Basic` wants them (RFC 7617).
fn basic(user: &str) -> Result<Zeroizing<String>, UrlError> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (user, password) = (decoded(user)?, decoded(password)?);
    if user.contains(&b':') {
        return Err(UrlError::Credentials);
    }
    let both = Zeroizing::new([&user[..], b":", &password[..]].concat());
    Ok(Zeroizing::new(STANDARD.encode(&*both)))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, UrlError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => hex(rest.next())? << 4 | hex(rest.next())?,
            other => other,
        };
        if byte.is_ascii_control() {
            return Err(UrlError::Credentials);
        }
        bytes.push(byte);
    }
    Ok(bytes)
}

fn hex(digit: Option<u8>) -> Result<u8, UrlError> {
    let value = digit.and_then(|digit| char::from(digit).to_digit(16));
    value.and_then(|value| u8::try_from(value).ok()).ok_or(UrlError::Credentials)
}

/// Why a proxy did not connect to a tunnel service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The proxy itself cannot be reached: its address, the connection to it, or TLS with it.
    #[error(transparent)]
    Unreachable(Box<super::Error>),
    /// It refused: 407 wants other credentials, 403 forbids, 502 to 504 could not get through, ...
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// What it answered is not what an HTTP proxy says.
    #[error("its answer is not that of an HTTP proxy")]
    Answer,
}

/// Which connections go through which proxy. Connections to this machine itself never do.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    proxy: Option<Proxy>,
    around: Around,
}

impl Proxies {
    /// Sends everything through `proxy` but what goes `around` it.
    #[must_use]
    pub fn new(proxy: Proxy, around: Around) -> Self {
        Self { proxy: Some(proxy), around }
    }

    /// The proxy, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy to use for a service.
    #[must_use]
    pub fn of(&self, service: &ServiceUrl) -> Option<&Proxy> {
        let direct = around::is_this_machine(service.host())
            || self.around.covers(service.host(), service.port());
        self.proxy.as_ref().filter(|_| !direct)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn authorization(url: &str) -> Option<String> {
        let proxy: Proxy = url.parse().unwrap();
        proxy.authorization().map(|value| value.to_string())
    }

    #[test]
    fn proxies_are_read_as_people_write_them() {
        for (url, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("HTTPS://Proxy.Example/", "https://proxy.example"),
            ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
            ("http://me:pass@proxy.example", "http://proxy.example"),
        ] {
            assert_eq!(url.parse::<Proxy>().unwrap().to_string(), shown);
        }
        let wrong = |url: &str| url.parse::<Proxy>().unwrap_err();
        assert_eq!(wrong("socks5://proxy.example:1080"), UrlError::Scheme);
        for url in ["", "http://", "http://proxy:0", "http://proxy/path", "http://a b", "http://a@"]
        {
            assert_eq!(wrong(url), UrlError::Address, "{url}");
        }
        for user in ["a%3ab", "a:%0d%0aX", "%", "%4", "%zz", "a:b\u{7f}"] {
            assert_eq!(wrong(&format!("http://{user}@proxy")), UrlError::Credentials, "{user}");
        }
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        // The example of RFC 7617, section 2.
        let sent = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
        assert_eq!(authorization("http://Aladdin:open%20sesame@proxy:1"), sent);
        assert_eq!(authorization("http://Aladdin:open sesame@proxy:1"), sent);
        assert_eq!(authorization("http://a:b@c:d@proxy:1").unwrap(), "Basic YTpiQGM6ZA==");
        assert_eq!(authorization("http://a@proxy").unwrap(), "Basic YTo=");
        assert_eq!(authorization("http://proxy"), None);
        let proxies =
            Proxies::new("http://Aladdin:sesame@proxy:1".parse().unwrap(), Around::default());
        let shown = format!("{proxies:?}");
        assert!(shown.contains("http://proxy:1, credentials redacted"), "{shown}");
        assert!(!shown.contains("Aladdin") && !shown.contains("sesame"), "{shown}");
    }

    #[test]
    fn this_machine_is_never_asked_for_through_a_proxy() {
        let proxies = Proxies::new("proxy:3128".parse().unwrap(), "corp.example".parse().unwrap());
        let uses = |url: &str| proxies.of(&url.parse().unwrap()).is_some();
        assert!(uses("wss://cable.ua5v.com") && uses("wss://[2001:db8::1]") && uses("wss://127.a"));
        for own in ["ws://localhost:1", "ws://a.localhost", "ws://127.9.9.9", "ws://[::1]:80"] {
            assert!(!uses(own), "{own}");
        }
        assert!(!uses("wss://relay.corp.example") && !uses("ws://[::ffff:127.0.0.1]"));
        assert!(Proxies::default().of(&"wss://cable.ua5v.com".parse().unwrap()).is_none());
    }

    proptest! {
        /// Whatever a URL holds, the header stays one header and the text shows no credentials.
        #[test]
        fn no_text_breaks_out(user in "[ -~]{0,20}", host in "[a-z:/@.]{0,12}") {
            let text = format!("http://{user}@{host}");
            if let Ok(proxy) = text.parse::<Proxy>() {
                let value = proxy.authorization().unwrap();
                prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
                prop_assert!(!proxy.to_string().contains('@'));
            }
        }
    }
}
