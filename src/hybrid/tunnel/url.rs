//! URLs of tunnel services: `wss://` by domain, `ws://` or `wss://` as given, redirect targets.
//!
//! Depends on the paths beside it. Takes the few shapes that a tunnel service has, not all that the
//! URL standard knows: no user, no fragment, ASCII host.

use std::fmt;
use std::str::FromStr;

use super::{Endpoint, Error, TunnelServiceId};

/// Where a tunnel service is: scheme, host, port and perhaps a path prefix.
///
/// `Display` gives it back in one canonical form, for example `ws://127.0.0.1:1234`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    secure: bool,
    /// Without the brackets of an IPv6 address; lower case.
    host: String,
    port: u16,
    /// Empty, or `/...` without a slash at its end.
    prefix: String,
}

impl ServiceUrl {
    /// Gives `wss://` and the domain of an assigned or hashed service.
    ///
    /// # Errors
    ///
    /// [`Error::UnassignedService`] for 2..=255.
    pub fn for_service(service: TunnelServiceId) -> Result<Self, Error> {
        Ok(Self { secure: true, host: service.domain()?, port: 443, prefix: String::new() })
    }

    /// Whether the service is reached through TLS (`wss`).
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host to resolve and to check the certificate against; an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port, 443 or 80 if the URL named none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is one of the services that the phones of this world use, by an assigned name.
    #[must_use]
    pub fn is_public(&self) -> bool {
        let assigned = (0..TunnelServiceId::ASSIGNED).map(TunnelServiceId::new);
        assigned.filter_map(|service| service.domain().ok()).any(|domain| domain == self.host)
    }

    /// The number that an advert names this service by: assigned, or hashed to exactly this host
    /// name. `None` for any other host.
    ///
    /// Tries all 65,280 hashed names, some 10 ms, if the host looks like one.
    #[must_use]
    pub fn service_id(&self) -> Option<TunnelServiceId> {
        let named = |id: &TunnelServiceId| id.domain().is_ok_and(|domain| domain == self.host);
        self.host
            .starts_with("cable.")
            .then(|| (0..=u16::MAX).map(TunnelServiceId::new).find(named))?
    }

    /// Value of the `Host` header: host, and the port unless it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let full = self.host_and_port();
        let host = full.rsplit_once(':').map_or("", |(host, _)| host);
        if self.port == default_port(self.secure) { host.to_owned() } else { full }
    }

    /// Host and port, the scheme's own too: what a proxy is asked to connect to.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Value of the `Origin` header that tunnel services expect: the service itself.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "wss" } else { "ws" }, self.authority())
    }

    /// Gives the URL of one endpoint of this service.
    #[must_use]
    pub fn endpoint(&self, endpoint: &Endpoint) -> TunnelUrl {
        let target = format!("{}{}", self.prefix, endpoint.path());
        TunnelUrl { service: Self { prefix: String::new(), ..self.clone() }, target }
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.prefix)
    }
}

impl FromStr for ServiceUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        let (secure, rest) = match (strip_scheme(url, "wss"), strip_scheme(url, "ws")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(Error::Scheme),
        };
        let (service, target) = split_authority(secure, rest)?;
        if target.contains('?') {
            return Err(Error::UrlPath);
        }
        Ok(Self { prefix: target.trim_end_matches('/').to_owned(), ..service })
    }
}

/// The full URL of one request: a service and a path.
///
/// The path holds a tunnel or contact id, so `Debug` shows the service only, and there is no
/// `Display`; [`expose`](Self::expose) writes it out.
#[derive(Clone, PartialEq, Eq)]
pub struct TunnelUrl {
    service: ServiceUrl,
    target: String,
}

impl TunnelUrl {
    /// The service, without any path.
    #[must_use]
    pub fn service(&self) -> &ServiceUrl {
        &self.service
    }

    /// The request target: path and query. Holds the id.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Writes the whole URL, with the id. Named so that every use can be found and judged.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{}{}", self.service.origin(), self.target)
    }

    /// Resolves the `Location` of a redirect: absolute (`wss`, `ws`, and the `https`, `http` that
    /// HTTP servers write), or an absolute path on the same service.
    ///
    /// Whether the target may be followed is the caller's decision.
    ///
    /// # Errors
    ///
    /// [`Error::Scheme`], [`Error::Authority`] or [`Error::UrlPath`] if it is neither.
    pub fn redirect(&self, location: &str) -> Result<Self, Error> {
        if let Some(authority) = location.strip_prefix("//") {
            return Self::parse(self.service.secure, authority);
        }
        if location.starts_with('/') {
            return Ok(Self { service: self.service.clone(), target: check_target(location)? });
        }
        let schemes = [("wss", true), ("https", true), ("ws", false), ("http", false)];
        let found = schemes.iter().find_map(|(scheme, secure)| {
            strip_scheme(location, scheme).map(|rest| (*secure, rest))
        });
        let (secure, rest) = found.ok_or(Error::Scheme)?;
        Self::parse(secure, rest)
    }

    fn parse(secure: bool, rest: &str) -> Result<Self, Error> {
        let (service, target) = split_authority(secure, rest)?;
        let target = if target.is_empty() { "/".to_owned() } else { target };
        Ok(Self { service, target })
    }
}

impl fmt::Debug for TunnelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TunnelUrl({}, path redacted)", self.service)
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = url.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn split_authority(secure: bool, rest: &str) -> Result<(ServiceUrl, String), Error> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).ok_or(Error::Authority)?;
    let (host, port) = split_port(authority)?;
    let port = port.map_or(Ok(default_port(secure)), parse_port)?;
    let service = ServiceUrl { secure, host: check_host(host)?, port, prefix: String::new() };
    Ok((service, check_target(target)?))
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), Error> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(Error::Authority)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| Error::Authority)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(Error::Authority),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(Error::Authority),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, Error> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(Error::Authority)
}

/// At most the 253 characters of a domain name; letters, digits, `-`, `.`, and the `:` that only a
/// bracketed address can still have here.
fn check_host(host: &str) -> Result<String, Error> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b':' | b'_');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(legal) {
        return Err(Error::Authority);
    }
    Ok(host.to_ascii_lowercase())
}

/// Nothing that could end the request line, and no fragment.
fn check_target(target: &str) -> Result<String, Error> {
    let legal = target.bytes().all(|c| c.is_ascii_graphic() && c != b'#');
    let rooted = target.is_empty() || target.starts_with('/');
    if legal && rooted { Ok(target.to_owned()) } else { Err(Error::UrlPath) }
}
