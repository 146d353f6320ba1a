//! Which proxy the tunnel goes through: what `--proxy` says, or else the environment.
//!
//! Depends on the proxies of `channel`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::failure::{Failure, Status};
use crate::channel::proxy::{Around, Proxies, Proxy, UrlError};

/// Variables that name a proxy; the first that is set decides, also when it is empty.
const NAMING: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Variables that list what goes around it.
const AROUND: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The value of `--proxy`. Not judged by the parser of the command line, whose complaints show
/// what they complain about, and `Debug` hides it: it may hold a password.
#[derive(Clone)]
pub(crate) struct ProxyText(Zeroizing<String>);

impl FromStr for ProxyText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for ProxyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyText(redacted)")
    }
}

/// The proxies to use, and who says so.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) proxies: Proxies,
    /// `--proxy`, or the name of a variable; `None` if nobody says anything.
    pub(crate) source: Option<&'static str>,
}

/// Chooses by the option and, without it, by the environment that `variable` reads.
///
/// # Errors
///
/// [`Status::Usage`] for what names no proxy that can be used. To go without it instead would be
/// against what was asked for.
pub(crate) fn choose(
    option: Option<&ProxyText>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Choice, Failure> {
    let set = |names: &[&'static str]| {
        names.iter().find_map(|name| Some((*name, Zeroizing::new(variable(name)?))))
    };
    let named = option.map(|text| ("--proxy", text.0.clone())).or_else(|| set(&NAMING));
    let Some((source, text)) = named else {
        return Ok(Choice { proxies: Proxies::default(), source: None });
    };
    let none = if option.is_some() { *text == "none" } else { text.is_empty() };
    if none {
        return Ok(Choice { proxies: Proxies::default(), source: Some(source) });
    }
    let proxy: Proxy = text.parse().map_err(|error| unusable(source, &error))?;
    let list = set(&AROUND).filter(|_| option.is_none()).map(|(_, list)| list).unwrap_or_default();
    let Ok(around) = list.parse::<Around>();
    Ok(Choice { proxies: Proxies::new(proxy, around), source: Some(source) })
}

fn unusable(source: &str, error: &UrlError) -> Failure {
    let error = format!("{source} names no proxy that can be used: {error}");
    let hint = "write http://HOST:PORT, with USER:PASSWORD@ before the host if the proxy wants \
                that; --proxy none goes without one";
    Failure::new(Status::Usage, error, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(option: Option<&str>, variables: &[(&str, &str)]) -> Result<Choice, Failure> {
        let option = option.map(|text| text.parse().unwrap());
        choose(option.as_ref(), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    /// The proxy for the public service, and who named it.
    fn used(
        option: Option<&str>,
        variables: &[(&str, &str)],
    ) -> (Option<String>, Option<&'static str>) {
        let choice = chosen(option, variables).unwrap();
        let service = "wss://cable.ua5v.com".parse().unwrap();
        (choice.proxies.of(&service).map(ToString::to_string), choice.source)
    }

    #[test]
    fn the_option_comes_first_then_lower_case_then_the_special_one() {
        let all = [
            ("ALL_PROXY", "http://d"),
            ("all_proxy", "http://c"),
            ("HTTPS_PROXY", "http://b"),
            ("https_proxy", "http://a"),
        ];
        let of = |proxy: &str, source| (Some(proxy.to_owned()), Some(source));
        assert_eq!(used(Some("http://x"), &all), of("http://x", "--proxy"));
        assert_eq!(used(None, &all), of("http://a", "https_proxy"));
        assert_eq!(used(None, &all[..3]), of("http://b", "HTTPS_PROXY"));
        assert_eq!(used(None, &all[..2]), of("http://c", "all_proxy"));
        assert_eq!(used(None, &all[..1]), of("http://d", "ALL_PROXY"));
        assert_eq!(used(None, &[("http_proxy", "http://e")]), (None, None));
        assert_eq!(used(Some("none"), &all), (None, Some("--proxy")));
        let emptied = [("https_proxy", ""), ("ALL_PROXY", "http://d")];
        assert_eq!(used(None, &emptied), (None, Some("https_proxy")));
    }

    #[test]
    fn the_list_of_exceptions_belongs_to_the_environment() {
        let listed = [("https_proxy", "a"), ("no_proxy", "ua5v.com"), ("NO_PROXY", "other")];
        assert_eq!(used(None, &listed).0, None);
        assert!(used(Some("x"), &listed).0.is_some());
        let emptied = [("https_proxy", "a"), ("no_proxy", ""), ("NO_PROXY", "*")];
        assert!(used(None, &emptied).0.is_some());
        assert_eq!(used(None, &[("HTTPS_PROXY", "a"), ("NO_PROXY", "*")]).0, None);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let wrong = "socks5://me:sesame@proxy";
        for failure in [
            chosen(Some(wrong), &[]).unwrap_err(),
            chosen(None, &[("ALL_PROXY", wrong)]).unwrap_err(),
            chosen(Some("http://me:sesame%@proxy"), &[]).unwrap_err(),
        ] {
            assert_eq!(failure.status, Status::Usage);
            assert!(!failure.lines().contains("sesame"), "{}", failure.lines());
        }
        assert!(!format!("{:?}", wrong.parse::<ProxyText>()).contains("sesame"));
    }
}
