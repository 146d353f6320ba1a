//! Whether what the operator says about ACME can be used. Pure.

use hyper::Uri;

use super::challenges::MOST;
use crate::relay::config::AcmeConfig;
use crate::relay::error::Error;

/// How long a URL may be.
const LONGEST_URL: usize = 512;

/// The settings, with names as their server and clients write them.
pub(super) fn checked(config: &AcmeConfig) -> Result<AcmeConfig, Error> {
    let domains: Vec<String> =
        config.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
    let odd = domains.iter().find(|domain| !is_name(domain));
    if let Some(odd) = odd {
        return Err(unusable("domain name", odd));
    }
    if domains.is_empty() || domains.len() > MOST {
        return Err(unusable("number of domain names", &domains.len().to_string()));
    }
    if config.directory.len() > LONGEST_URL || !is_https(&config.directory) {
        // It may hold a password.
        let shown = if config.directory.contains('@') { "not shown" } else { &config.directory };
        return Err(unusable("directory's URL", shown));
    }
    if let Some(contact) = config.contact.as_deref().filter(|contact| !is_mail(contact)) {
        return Err(unusable("contact", contact));
    }
    if !config.terms_agreed {
        return Err(Error::NoTerms);
    }
    Ok(AcmeConfig { domains, ..config.clone() })
}

fn unusable(what: &'static str, value: &str) -> Error {
    Error::AcmeSetting { what, value: value.to_owned() }
}

/// A name of the DNS. No address, and none with `*`: for those there is no proof over HTTP.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(label) && !number
}

fn is_https(url: &str) -> bool {
    url.parse().is_ok_and(|url| names_host(&url))
}

/// Whether a URL is one to which requests go: https, a host, and nobody's name before it.
pub(super) fn names_host(url: &Uri) -> bool {
    let host = url.authority().filter(|authority| !authority.as_str().contains('@'));
    url.scheme_str() == Some("https") && host.is_some_and(|host| !host.host().is_empty())
}

/// One address, and nothing that a mailto URL could hold beside it.
fn is_mail(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_graphic() && !b",?&%/:<>\"".contains(&byte);
    let parts = text.split_once('@');
    text.len() <= 254
        && text.bytes().all(legal)
        && parts.is_some_and(|(user, host)| !user.is_empty() && is_name(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AcmeConfig {
        AcmeConfig {
            domains: vec!["Relay.Example".to_owned(), "cable.ua5v.com".to_owned()],
            contact: Some("ops@relay.example".to_owned()),
            folder: "/nonexistent".into(),
            directory: AcmeConfig::LETS_ENCRYPT.to_owned(),
            authority: None,
            terms_agreed: true,
        }
    }

    #[test]
    fn names_are_written_small() {
        assert_eq!(checked(&config()).unwrap().domains, ["relay.example", "cable.ua5v.com"]);
        let local = AcmeConfig { domains: vec!["localhost".to_owned()], contact: None, ..config() };
        assert_eq!(checked(&local).unwrap(), local);
    }

    #[test]
    fn what_no_server_takes_is_refused_before_it_is_asked() {
        let long = format!("{}.example", "a".repeat(64));
        for domain in
            ["", "*.example", "192.0.2.1", "[::1]", "a..b", "-a.example", "a b", "é.example", &long]
        {
            let odd = AcmeConfig { domains: vec![domain.to_owned()], ..config() };
            assert!(
                matches!(checked(&odd), Err(Error::AcmeSetting { what, value })
                if what == "domain name" && value == domain),
                "{domain}"
            );
        }
        for domains in [vec![], vec!["relay.example".to_owned(); MOST + 1]] {
            assert!(checked(&AcmeConfig { domains, ..config() }).is_err());
        }
        for contact in
            ["", "ops", "@a.example", "a@b@c.example", "a@b.example,c@d.example", "a@b.example?x"]
        {
            let odd = AcmeConfig { contact: Some(contact.to_owned()), ..config() };
            assert!(
                matches!(checked(&odd), Err(Error::AcmeSetting { what: "contact", .. })),
                "{contact}"
            );
        }
        let silent = AcmeConfig { terms_agreed: false, ..config() };
        assert!(matches!(checked(&silent), Err(Error::NoTerms)));
    }

    #[test]
    fn a_directory_is_https_and_its_password_is_not_repeated() {
        for url in [
            "",
            "acme.example",
            "http://acme.example/dir",
            "https://",
            "https:///dir",
            "https://u:s3cret@a.example/",
        ] {
            let odd = AcmeConfig { directory: url.to_owned(), ..config() };
            let error = checked(&odd).unwrap_err();
            assert!(matches!(error, Error::AcmeSetting { what: "directory's URL", .. }), "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
        for url in ["https://localhost:14000/dir", "https://[::1]:14000/dir"] {
            assert!(
                checked(&AcmeConfig { directory: url.to_owned(), ..config() }).is_ok(),
                "{url}"
            );
        }
    }
}
