//! The relay's options for a cluster: where NATS is, and as whom this node comes to it.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use crate::cli::failure::{Failure, Status};
use crate::relay::{ClusterConfig, ClusterIdentity, TlsFiles};

/// Where the nodes of a cluster meet.
#[derive(Args, Clone, Debug)]
pub(super) struct Cluster {
    /// NATS servers where the nodes of a cluster meet, nats:// or tls://; may be given again. User and password, or a
    /// token, may stand in it, but not on a command line
    #[arg(long, value_name = "URL", value_delimiter = ',', hide_default_value = true)]
    cluster: Vec<ServerUrl>,
    /// This node's user at NATS
    #[arg(long, value_name = "NAME")]
    cluster_user: Option<String>,
    /// Its password, in a file
    #[arg(long, value_name = "FILE")]
    cluster_password_file: Option<PathBuf>,
    /// The seed of this node's nkey at NATS, in a file
    #[arg(long, value_name = "FILE")]
    cluster_nkey: Option<PathBuf>,
    /// Credentials for NATS, a .creds file
    #[arg(long, value_name = "FILE")]
    cluster_credentials: Option<PathBuf>,
    /// The authority that vouches for the NATS servers, PEM, in place of the system's; TLS is required then
    #[arg(long, value_name = "FILE")]
    cluster_tls_ca: Option<PathBuf>,
    /// Certificate of this node for NATS servers that want one, PEM
    #[arg(long, value_name = "FILE")]
    cluster_tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    cluster_tls_key: Option<PathBuf>,
}

/// A URL that may hold a password: taken as it is, so that no complaint repeats it, and not shown.
#[derive(Clone)]
struct ServerUrl(String);

impl ServerUrl {
    /// Whether it names somebody: a token alone is a secret too.
    fn names_somebody(&self) -> bool {
        let place = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        place.split('/').next().is_some_and(|authority| authority.contains('@'))
    }
}

impl std::str::FromStr for ServerUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerUrl(redacted)")
    }
}

/// A complaint if there is a secret on the command line, which everybody on this machine can read.
pub(super) fn exposed(own: &ArgMatches) -> Result<(), Failure> {
    let typed = own.value_source("cluster") == Some(ValueSource::CommandLine);
    let mut urls = own.get_many::<ServerUrl>("cluster").unwrap_or_default();
    if typed && urls.any(ServerUrl::names_somebody) {
        let error =
            "--cluster has a password or token on the command line, where others can read it";
        let hint = "use --cluster-user and --cluster-password-file, or put the URL into the file of --config or into \
            CABLED_RELAY_CLUSTER";
        return Err(Failure::new(Status::Usage, error, hint));
    }
    Ok(())
}

fn usage(error: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(Status::Usage, error.into(), hint.into())
}

impl Cluster {
    /// What the relay is told.
    pub(super) fn config(&self) -> Result<Option<ClusterConfig>, Failure> {
        let config = ClusterConfig {
            servers: self.cluster.iter().map(|server| server.0.clone()).collect(),
            identity: self.identity()?,
            authority: self.cluster_tls_ca.clone(),
            certificate: self.certificate()?,
        };
        if !config.servers.is_empty() {
            return Ok(Some(config));
        }
        match config == ClusterConfig::default() {
            true => Ok(None),
            false => Err(usage("there are settings for NATS and no server", "give --cluster too")),
        }
    }

    fn identity(&self) -> Result<ClusterIdentity, Failure> {
        let password = match (self.cluster_user.clone(), self.cluster_password_file.clone()) {
            (Some(user), Some(file)) => Some(ClusterIdentity::Password { user, file }),
            (None, None) => None,
            (Some(_), None) => return Err(half("a user", "--cluster-password-file")),
            (None, Some(_)) => return Err(half("a password", "--cluster-user")),
        };
        let key = self.cluster_nkey.clone().map(ClusterIdentity::Key);
        let credentials = self.cluster_credentials.clone().map(ClusterIdentity::Credentials);
        let urls =
            self.cluster.iter().any(ServerUrl::names_somebody).then(ClusterIdentity::default);
        let mut all = [password, key, credentials, urls].into_iter().flatten();
        match (all.next(), all.next()) {
            (None, _) => Ok(ClusterIdentity::Urls),
            (Some(identity), None) => Ok(identity),
            (Some(_), Some(_)) => Err(usage(
                "NATS is to know this node by two things at once",
                "give one of --cluster-user, --cluster-nkey, --cluster-credentials, and names in the URLs",
            )),
        }
    }

    fn certificate(&self) -> Result<Option<TlsFiles>, Failure> {
        match (self.cluster_tls_cert.clone(), self.cluster_tls_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half("a certificate", "--cluster-tls-key")),
            (None, Some(_)) => Err(half("a key", "--cluster-tls-cert")),
        }
    }
}

/// One of two that belong together.
fn half(there: &str, missing: &str) -> Failure {
    usage(
        format!("there is {there} for NATS and not what belongs to it"),
        format!("give {missing} too"),
    )
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn told(args: &[&str]) -> Result<Option<ClusterConfig>, Failure> {
        let command = Cluster::augment_args(clap::Command::new("relay").no_binary_name(true));
        let matches = command.try_get_matches_from(args).unwrap();
        exposed(&matches)?;
        Cluster::from_arg_matches(&matches).unwrap().config()
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        for url in ["nats://u:s3cret@h", "tls://s3cret@h:1/x", "s3cret@h"] {
            let failure = told(&["--cluster", "nats://g", "--cluster", url]).unwrap_err();
            assert_eq!(failure.status, Status::Usage);
            assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
        }
        let config = told(&["--cluster", "nats://h:4222,tls://g/@"]).unwrap().unwrap();
        assert_eq!(config.servers, ["nats://h:4222", "tls://g/@"]);
        assert_eq!(config.identity, ClusterIdentity::Urls);
    }

    #[test]
    fn a_node_is_known_by_one_thing() {
        let node = ["--cluster=h", "--cluster-user=u", "--cluster-password-file=f"];
        let identity = told(&node).unwrap().unwrap().identity;
        let password = ClusterIdentity::Password { user: "u".to_owned(), file: "f".into() };
        assert_eq!(identity, password);
        for (option, identity) in [
            ("--cluster-nkey=f", ClusterIdentity::Key("f".into())),
            ("--cluster-credentials=f", ClusterIdentity::Credentials("f".into())),
        ] {
            assert_eq!(told(&["--cluster=h", option]).unwrap().unwrap().identity, identity);
            assert_eq!(told(&[&node[..], &[option]].concat()).unwrap_err().status, Status::Usage);
        }
        let both = ["--cluster=h", "--cluster-nkey=f", "--cluster-credentials=f"];
        assert_eq!(told(&both).unwrap_err().status, Status::Usage);
    }

    #[test]
    fn what_belongs_together_is_asked_for() {
        assert_eq!(told(&[]).unwrap(), None);
        for args in [
            &["--cluster-nkey=f"][..],
            &["--cluster-tls-ca=f"],
            &["--cluster=h", "--cluster-tls-cert=f"],
            &["--cluster=h", "--cluster-tls-key=f"],
        ] {
            assert_eq!(told(args).unwrap_err().status, Status::Usage, "{args:?}");
        }
        let args =
            ["--cluster=h", "--cluster-tls-ca=a", "--cluster-tls-cert=c", "--cluster-tls-key=k"];
        let config = told(&args).unwrap().unwrap();
        let files = TlsFiles { certificate: "c".into(), key: "k".into() };
        assert_eq!((config.authority, config.certificate), (Some("a".into()), Some(files)));
    }
}
