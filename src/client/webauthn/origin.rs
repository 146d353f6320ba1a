//! Which web site may use which relying party id: the rules that bind a passkey to its site.
//!
//! Pure: the public suffix list is compiled in, beside this.
//!
//! Specification: WebAuthn Level 3, sections 5.1.3 and 5.1.4 (rp.id against the effective domain);
//! HTML, "is a registrable domain suffix of or is equal to".

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use super::error::OriginError;
use super::public_suffix::public_suffix;

/// The origin of a web site that may use WebAuthn: https, or http on this machine.
///
/// Printed in its serialized form (`https://example.com`, `http://localhost:8080`), which is what
/// `clientDataJSON` carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    serialized: String,
    host: Host<String>,
}

/// The id of a relying party, a domain name; a passkey answers only to the one it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpId(String);

impl Origin {
    /// The serialized form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.serialized
    }

    /// Gives the relying party id that this origin may use: the claimed one, or its own host.
    ///
    /// # Errors
    ///
    /// An [`OriginError`] if the claim is neither the host nor a registrable suffix of it, or if
    /// the host is an IP address: passkeys are bound to names.
    pub fn rp_id(&self, claimed: Option<&str>) -> Result<RpId, OriginError> {
        let Host::Domain(host) = &self.host else {
            return Err(OriginError::IpAddress(self.serialized.clone()));
        };
        let claimed = claimed.unwrap_or(host);
        check_domain(claimed)?;
        if claimed == host || is_registrable_suffix(claimed, host)? {
            return Ok(RpId(claimed.to_owned()));
        }
        Err(OriginError::Unrelated { rp_id: claimed.to_owned(), host: host.clone() })
    }
}

impl RpId {
    /// The domain name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    /// Reads an origin; one trailing slash is forgiven, any other path is not.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(OriginError::NotAnOrigin)?;
        let host = url.host().ok_or(OriginError::Insecure)?.to_owned();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::MoreThanAnOrigin);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(&host) => {}
            _ => return Err(OriginError::Insecure),
        }
        Ok(Self { serialized: url.origin().ascii_serialization(), host })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.serialized)
    }
}

impl fmt::Display for RpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hosts that browsers trust over plain http, as their packets never leave the machine.
fn is_this_machine(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The id is hashed as it stands, so only the one canonical spelling of a domain will do.
fn check_domain(rp_id: &str) -> Result<(), OriginError> {
    match Host::parse(rp_id) {
        Ok(Host::Domain(canonical)) if canonical == rp_id => Ok(()),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err(OriginError::IpAddress(rp_id.to_owned())),
        _ => Err(OriginError::NotADomain(rp_id.to_owned())),
    }
}

fn is_registrable_suffix(suffix: &str, host: &str) -> Result<bool, OriginError> {
    let below = |name: &str| name.strip_suffix(suffix).is_some_and(|head| head.ends_with('.'));
    if !below(host) {
        return Ok(false);
    }
    if public_suffix(suffix) == suffix || below(public_suffix(host)) {
        return Err(OriginError::PublicSuffix(suffix.to_owned()));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rp_id(origin: &str, claimed: &str) -> Result<RpId, OriginError> {
        origin.parse::<Origin>().unwrap().rp_id(Some(claimed))
    }

    #[test]
    fn origins_are_serialized_as_browsers_do() {
        let cases = [
            ("https://Example.com/", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("https://example.com:8443", "https://example.com:8443"),
            ("http://localhost:80", "http://localhost"),
            ("http://a.localhost:8080", "http://a.localhost:8080"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
        ];
        for (text, serialized) in cases {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), serialized);
        }
    }

    #[test]
    fn what_is_no_secure_origin_is_refused() {
        let cases = [
            "example.com",
            "",
            "http://example.com",
            "http://localhost.example",
            "ftp://localhost",
            "https://example.com/login",
            "https://example.com/?q",
            "https://example.com/#f",
            "https://user@example.com",
            "https://:pw@example.com",
            "data:text/html,x",
            "file:///etc/passwd",
        ];
        for text in cases {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_host_and_its_registrable_suffixes_are_allowed() {
        let cases = [
            ("https://example.com", "example.com"),
            ("https://login.example.com", "example.com"),
            ("https://a.b.example.co.uk", "b.example.co.uk"),
            ("https://a.b.example.co.uk", "example.co.uk"),
            ("http://localhost:1", "localhost"),
            ("https://intranet", "intranet"),
            ("https://me.github.io", "me.github.io"),
        ];
        for (origin, claimed) in cases {
            assert_eq!(rp_id(origin, claimed).unwrap().as_str(), claimed);
        }
        let own = "https://login.example.com:8443".parse::<Origin>().unwrap().rp_id(None);
        assert_eq!(own.unwrap().as_str(), "login.example.com");
    }

    #[test]
    fn other_names_are_refused() {
        let cases = [
            ("https://example.com", "login.example.com"),
            ("https://example.com", "ample.com"),
            ("https://notexample.com", "example.com"),
            ("https://example.com", "example.org"),
            ("https://example.com", ""),
            ("https://example.com", ".com"),
            ("https://example.com", "EXAMPLE.com"),
            ("https://example.com", "example.com."),
            ("https://example.com", "https://example.com"),
            ("https://example.com:8443", "example.com:8443"),
        ];
        for (origin, claimed) in cases {
            assert!(rp_id(origin, claimed).is_err(), "{origin} {claimed}");
        }
    }

    #[test]
    fn other_spellings_of_the_right_name_are_told_apart() {
        for claimed in ["EXAMPLE.com", "example.com/", "", "b\u{fc}cher.example"] {
            let error = rp_id("https://example.com", claimed).unwrap_err();
            assert!(matches!(error, OriginError::NotADomain(_)), "{claimed}: {error}");
        }
    }

    #[test]
    fn public_suffixes_are_refused() {
        let cases = [
            ("https://example.com", "com"),
            ("https://example.co.uk", "co.uk"),
            ("https://example.co.uk", "uk"),
            ("https://me.github.io", "github.io"),
            ("http://a.localhost", "localhost"),
            // Not a suffix itself, but every name right below it is one.
            ("https://x.y.kawasaki.jp", "kawasaki.jp"),
        ];
        for (origin, claimed) in cases {
            let error = rp_id(origin, claimed).unwrap_err();
            assert!(matches!(error, OriginError::PublicSuffix(_)), "{origin} {claimed}: {error}");
        }
    }

    #[test]
    fn addresses_are_no_relying_party_ids() {
        let error = "http://127.0.0.1:8080".parse::<Origin>().unwrap().rp_id(None).unwrap_err();
        assert!(matches!(error, OriginError::IpAddress(_)));
        assert!(matches!(
            rp_id("https://example.com", "127.0.0.1"),
            Err(OriginError::IpAddress(_))
        ));
    }
}
