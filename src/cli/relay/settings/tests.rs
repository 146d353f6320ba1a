//! Which of three sources wins, and what a fault in one of them is told as.

use clap::{Args as _, FromArgMatches as _};

use super::*;
use crate::cli::relay::Relay;

fn program() -> Command {
    Command::new("cabled")
        .arg(Arg::new("json").long("json").global(true).action(ArgAction::SetTrue))
        .subcommand(Relay::augment_args(Command::new("relay")))
        .subcommand(Command::new("other"))
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("relay.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> String {
        self.folder.path().join("relay.toml").to_str().unwrap().to_owned()
    }

    /// Parses with the file, these words and these variables.
    fn relay(&self, words: &[&str], variables: &[(&str, &str)]) -> Result<Relay, Fault> {
        let path = self.path();
        let words = ["cabled", "relay", "--config", &path].into_iter().chain(words.iter().copied());
        let words: Vec<OsString> = words.map(OsString::from).collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let matches = parse(&program(), &words, variable)?;
        Ok(Relay::from_arg_matches(matches.subcommand_matches("relay").unwrap()).unwrap())
    }

    fn failure(&self, variables: &[(&str, &str)]) -> Failure {
        match self.relay(&[], variables) {
            Err(Fault::Settings(failure)) => failure,
            Err(Fault::Usage(error)) => panic!("{error}"),
            Ok(_) => panic!("it was taken"),
        }
    }
}

fn must(relay: Result<Relay, Fault>) -> crate::relay::Config {
    match relay {
        Ok(relay) => relay.options.config().unwrap(),
        Err(Fault::Usage(error)) => panic!("{error}"),
        Err(Fault::Settings(failure)) => panic!("{}", failure.lines()),
    }
}

#[test]
fn options_win_over_the_environment_and_that_over_the_file() {
    let place = Place::with("life = 1\nwaiting = 1\ntunnels = 1\nstrict = true\n");
    let variables = [("CABLED_RELAY_LIFE", "2"), ("CABLED_RELAY_WAITING", "2")];
    let config = must(place.relay(&["--life", "3"], &variables));
    assert_eq!(config.limits.life.as_secs(), 3);
    assert_eq!(config.limits.waiting.as_secs(), 2);
    assert_eq!(config.limits.tunnels, 1);
    assert_eq!(config.limits.messages, 1024, "what nobody says is as ever");
    assert_eq!(config.limits.message_len, 16 << 10);
    let config = must(place.relay(&["--strict=false"], &[("CABLED_RELAY_STRICT", "true")]));
    assert_eq!(config.limits.message_len, 1 << 20);
    let config = must(place.relay(&[], &[("CABLED_RELAY_STRICT", "false")]));
    assert_eq!(config.limits.message_len, 1 << 20);
    // Empty is not said.
    let config = must(place.relay(&[], &[("CABLED_RELAY_LIFE", "")]));
    assert_eq!(config.limits.life.as_secs(), 1);
}

#[test]
fn every_kind_of_value_can_stand_in_a_file() {
    let place = Place::with(
        "# A relay behind a proxy.\nlisten = \"127.0.0.1:4433\"\nallow-plain = true\n\
         routing-id = \"ABCDEF\"\nmessages = 1_000\nbytes = 0x1000\n\
         trusted-proxy = [\"10.0.0.0/8\", \"::1\"]\n",
    );
    let config = must(place.relay(&[], &[]));
    assert_eq!(config.listen.port(), 4433);
    assert!(config.allow_plain && config.routing_id.is_some());
    assert_eq!((config.limits.messages, config.limits.bytes), (1000, 4096));
    assert_eq!(config.trusted_proxies.len(), 2);
    // A list is replaced, not added to.
    let one = must(place.relay(&["--trusted-proxy", "192.0.2.1"], &[]));
    assert_eq!(one.trusted_proxies.len(), 1);
    let two = must(place.relay(&[], &[("CABLED_RELAY_TRUSTED_PROXY", "192.0.2.1,192.0.2.2,::1")]));
    assert_eq!(two.trusted_proxies.len(), 3);
}

#[test]
fn a_certificate_and_its_key_may_come_from_different_places() {
    let place = Place::with("tls-cert = \"/c\"\n");
    let config = must(place.relay(&["--tls-key", "/k"], &[]));
    assert!(config.tls.is_some());
    let Ok(alone) = place.relay(&[], &[]) else { panic!("a certificate alone is read") };
    assert_eq!(alone.options.config().unwrap_err().status, Status::Usage);
}

#[test]
fn faults_of_a_file_name_their_line() {
    for (text, wrong) in [
        ("\n\nlief = 3\n", ":3: there is no setting \"lief\""),
        ("life = 3\nmessage_len = 3\n", ":2: there is no setting \"message_len\""),
        ("config = \"x\"\n", ":1: there is no setting \"config\""),
        ("json = true\n", ":1: there is no setting \"json\""),
        ("life = 3\nlife = 4\n", ":2: duplicate key"),
        ("life = \n", ":1: "),
        ("[limits]\nlife = 3\n", ":1: there is no setting \"limits\""),
        ("[life]\nx = 3\n", ":1: life is a table"),
        ("life = [3]\n", ":1: life takes one value"),
        ("life = 1.5\n", ":1: life takes a text, a whole number"),
        ("trusted-proxy = [[\"::1\"]]\n", ":1: trusted-proxy takes a list of texts"),
        ("\nlife = -1\n", ":2: "),
        ("tunnel-rate = 0\n", ":1: invalid value '0' for '--tunnel-rate <N>'"),
        ("strict = \"perhaps\"\n", ":1: invalid value 'perhaps'"),
        ("trusted-proxy = \"192.0.2.1/24\"\n", "the address has bits set beyond its prefix"),
    ] {
        let place = Place::with(text);
        let failure = place.failure(&[]);
        assert_eq!(failure.status, Status::Usage);
        let wrong = format!("{}{wrong}", if wrong.starts_with(':') { "relay.toml" } else { "" });
        assert!(failure.error.contains(&wrong), "{text:?}: {}", failure.error);
        assert!(!failure.hint.is_empty());
    }
    let close = Place::with("lief = 3\n").failure(&[]).hint;
    assert!(close.starts_with("did you mean life?"), "{close}");
    let close = Place::with("message_len = 3\n").failure(&[]).hint;
    assert!(close.starts_with("did you mean message-len?"), "{close}");
}

#[test]
fn faults_of_the_environment_name_their_variable() {
    let failure = Place::with("").failure(&[("CABLED_RELAY_TUNNEL_RATE", "many")]);
    let wrong = "CABLED_RELAY_TUNNEL_RATE: invalid value 'many' for '--tunnel-rate <N>'";
    assert!(failure.error.starts_with(wrong), "{}", failure.error);
    // What a container manager sets for a service of this name is let be.
    let place = Place::with("");
    must(place.relay(&[], &[("CABLED_RELAY_PORT", "tcp://10.0.0.1:443")]));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let place = Place::with("");
    let path = place.path();
    std::fs::remove_file(&path).unwrap();
    let failure = place.failure(&[]);
    assert_eq!(failure.status, Status::Storage);
    assert!(failure.error.starts_with(&format!("cannot read {path}: ")), "{}", failure.error);
    for text in [vec![b'#'; 65 << 10], b"life = \xff".to_vec()] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(place.failure(&[]).status, Status::Storage);
    }
}

#[test]
fn other_commands_read_neither() {
    let variable = |name: &str| name.starts_with(PREFIX).then(|| OsString::from("nonsense"));
    for words in [&["cabled", "other"][..], &["cabled", "relay", "domain", "266"]] {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        assert!(parse(&program(), &words, variable).is_ok());
    }
}
