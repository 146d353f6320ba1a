//! One tunnel service: which there are, and what its answer means.
//!
//! Depends on the errors of `channel` and on the advice about them.

use std::time::Duration;

use super::finding::{Area, Finding, Severity};
use crate::channel::Error;
use crate::cli::advice;
use crate::cli::failure::causes;
use crate::hybrid::tunnel::{RoutingId, ServiceUrl, TunnelServiceId};

const AREA: Area = Area::Tunnel;

/// A service to ask.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) service: ServiceUrl,
    kind: Kind,
    /// Whether ceremonies depend on it.
    needed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Android phones open their tunnels there in the way that `cabled` knows.
    Google,
    /// iPhones do so in a way that Apple keeps to itself: being there is all that can be seen.
    Apple,
    /// Named with `--relay`.
    Private,
}

impl Target {
    /// Those to ask. With a relay of one's own the public ones matter to nobody here.
    pub(super) fn all(relay: Option<&ServiceUrl>) -> Vec<Self> {
        let public =
            [(Kind::Google, TunnelServiceId::GOOGLE), (Kind::Apple, TunnelServiceId::APPLE)];
        let public = public.into_iter().filter_map(|(kind, id)| {
            let service = ServiceUrl::for_service(id).ok()?;
            Some(Self { service, kind, needed: relay.is_none() })
        });
        let own = relay.cloned().map(|service| Self { service, kind: Kind::Private, needed: true });
        own.into_iter().chain(public).collect()
    }

    /// Its name, and for whom it is.
    fn name(&self) -> String {
        match self.kind {
            Kind::Private => self.service.to_string(),
            Kind::Google => format!("{} (for Android phones)", self.service.authority()),
            Kind::Apple => format!("{} (for iPhones)", self.service.authority()),
        }
    }
}

/// What came of asking one: a tunnel with a routing id, or an error that says how far it went.
pub(super) fn judge(
    target: &Target,
    outcome: &Result<RoutingId, Error>,
    took: Duration,
) -> Finding {
    let (name, took) = (target.name(), took.as_millis());
    let error = match outcome {
        Ok(_) => {
            let found = Finding::ok(AREA, format!("{name} opens tunnels"));
            return found.seen(format!("HTTP status 101 with a routing id, after {took} ms"));
        }
        Err(error) => error,
    };
    let evidence = format!("{}, after {took} ms", causes(error));
    if target.kind == Kind::Apple && answers(error) {
        return Finding::ok(AREA, format!("{name} is reachable")).seen(evidence);
    }
    let cause = format!("{name} {}", stage(error));
    match target.needed {
        true => Finding::new(Severity::Problem, AREA, cause, advice::service(error)),
        false => Finding::note(AREA, format!("{cause}; with --relay nobody needs it")),
    }
    .seen(evidence)
}

/// Whether an HTTP server in good health stands at the other end.
fn answers(error: &Error) -> bool {
    match error {
        Error::Status { status } => *status < 500,
        Error::Subprotocol | Error::RoutingId => true,
        _ => false,
    }
}

/// How far it went.
fn stage(error: &Error) -> &'static str {
    match error {
        Error::Resolve { .. } => "is not found: its name cannot be looked up",
        Error::Connect { .. } => "cannot be connected to",
        Error::Proxy { .. } => "is not reached through the proxy",
        Error::Tls { .. } | Error::Trust(_) => "cannot be spoken to in secret: TLS fails",
        Error::Plain { .. } => "may not be used without encryption",
        Error::TimedOut => "does not answer",
        Error::Lost(_) | Error::Closed { .. } => "hangs up",
        _ => "answers, but opens no tunnel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::tls;

    const TOOK: Duration = Duration::from_millis(42);

    fn status(status: u16) -> Result<RoutingId, Error> {
        Err(Error::Status { status })
    }

    #[test]
    fn a_tunnel_is_the_proof() {
        for target in Target::all(Some(&"ws://127.0.0.1:1".parse().unwrap())) {
            let found = judge(&target, &Ok(RoutingId::new([1, 2, 3])), TOOK);
            assert_eq!((found.severity, found.fix), (Severity::Ok, None));
            assert_eq!(found.evidence, "HTTP status 101 with a routing id, after 42 ms");
        }
    }

    #[test]
    fn apples_service_need_only_be_there() {
        let public = Target::all(None);
        let [google, apple] = &public[..] else { panic!("{public:?}") };
        assert_eq!(judge(apple, &status(404), TOOK).severity, Severity::Ok);
        assert_eq!(judge(apple, &Err(Error::RoutingId), TOOK).severity, Severity::Ok);
        assert_eq!(judge(apple, &status(502), TOOK).severity, Severity::Problem);
        assert_eq!(judge(apple, &Err(Error::TimedOut), TOOK).severity, Severity::Problem);
        assert_eq!(judge(google, &status(404), TOOK).severity, Severity::Problem);
        assert_eq!(judge(google, &Err(Error::RoutingId), TOOK).severity, Severity::Problem);
    }

    #[test]
    fn the_stages_are_told_apart() {
        let source = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let service = || "cable.ua5v.com".to_owned();
        let errors = [
            Error::Resolve { host: service(), source: source() },
            Error::Connect { service: service(), source: source() },
            Error::Tls { service: service(), source: tls::Error::HostName },
            Error::Proxy {
                proxy: "http://proxy".to_owned(),
                source: crate::channel::proxy::Fault::Status(407),
            },
            Error::Status { status: 503 },
            Error::TimedOut,
            Error::Lost(source()),
        ];
        let target = &Target::all(None)[0];
        let found: Vec<_> =
            errors.into_iter().map(|error| judge(target, &Err(error), TOOK)).collect();
        let causes: std::collections::BTreeSet<_> = found.iter().map(|f| &f.cause).collect();
        assert_eq!(causes.len(), found.len(), "{causes:#?}");
        assert!(found.iter().all(|f| f.cause.starts_with("cable.ua5v.com (for Android phones) ")));
        assert!(found.iter().all(|f| f.severity == Severity::Problem && f.fix.is_some()));
    }

    #[test]
    fn with_a_relay_of_ones_own_the_public_ones_do_not_matter() {
        let relay = "wss://relay.example".parse().unwrap();
        let targets = Target::all(Some(&relay));
        let found: Vec<_> =
            targets.iter().map(|t| judge(t, &Err(Error::TimedOut), TOOK).severity).collect();
        assert_eq!(found, [Severity::Problem, Severity::Note, Severity::Note]);
    }
}
