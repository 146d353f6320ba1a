use super::*;

fn config(servers: &[&str]) -> ClusterConfig {
    let servers = servers.iter().map(|server| (*server).to_owned()).collect();
    ClusterConfig { servers, ..ClusterConfig::default() }
}

fn with_file(text: &str, identity: fn(PathBuf) -> ClusterIdentity) -> Result<Access, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, text).unwrap();
    let config = ClusterConfig { identity: identity(file), ..config(&["nats://h"]) };
    Access::new(&config)
}

/// All that an error says.
fn words(error: &Error) -> String {
    format!("{error} {error:?} {:?}", error.source().map(ToString::to_string))
}

#[test]
fn what_is_secret_in_a_url_is_taken_out_of_it_and_used() {
    let access = Access::new(&config(&["nats://h:1", "tls://us%40er:s3cr%2Fet@[::1]:2"])).unwrap();
    let servers: Vec<_> = access.servers().iter().map(|s| s.as_url_str().to_owned()).collect();
    assert_eq!(servers, ["nats://h:1", "tls://[::1]:2"]);
    let Identity::Password(user, password) = &access.identity else { panic!("no password") };
    assert_eq!((user.as_str(), password.as_str()), ("us@er", "s3cr/et"));
    let access = Access::new(&config(&["nats://t0ken@h"])).unwrap();
    assert!(matches!(&access.identity, Identity::Token(token) if token.as_str() == "t0ken"));
    assert_eq!(access.servers()[0].as_url_str(), "nats://h");
    assert!(matches!(Access::new(&config(&["h:1"])).unwrap().identity, Identity::Nobody));
}

#[test]
fn urls_that_cannot_be_used_are_refused_without_being_repeated() {
    for url in
        ["http://u:s3cret@h", "nats://u:s3cret@", "ws://u:s3cret@h", "nats://u:s3cret@h:99999"]
    {
        let error = Access::new(&config(&[url])).map(drop).unwrap_err();
        assert!(matches!(error, Error::Servers(_)), "{url}: {error:?}");
        assert!(!words(&error).contains("s3cret"), "{error:?}");
    }
}

#[test]
fn files_with_secrets_are_checked_and_never_repeated() {
    let seed = KeyPair::new_user().seed().unwrap();
    let access = with_file(&format!(" {seed}\n\n"), ClusterIdentity::Key).unwrap();
    assert!(matches!(&access.identity, Identity::Key(kept) if **kept == seed));
    let password = |file| ClusterIdentity::Password { user: "node".to_owned(), file };
    let access = with_file("a pass word\n", password).unwrap();
    assert!(
        matches!(&access.identity, Identity::Password(_, kept) if kept.as_str() == "a pass word")
    );

    let account = KeyPair::new_account().seed().unwrap();
    let other = if &seed[20..21] == "A" { 'B' } else { 'A' };
    let broken = format!("{}{other}{}", &seed[..20], &seed[21..]);
    let public = KeyPair::from_seed(&seed).unwrap().public_key();
    for (text, identity, why) in [
        (account.as_str(), ClusterIdentity::Key as fn(PathBuf) -> _, "the key of no user"),
        (&broken, ClusterIdentity::Key, "no nkey"),
        (&public, ClusterIdentity::Key, "no nkey"),
        (&seed, ClusterIdentity::Credentials, "no JWT and seed"),
        (" \n", password, "it is empty"),
    ] {
        let error = with_file(text, identity).map(drop).unwrap_err();
        let words = words(&error);
        assert!(words.contains(why), "{words}");
        assert!(text.trim().is_empty() || !words.contains(&text.trim()[..12]), "{words}");
    }
    let missing = ClusterIdentity::Key("/nowhere/nkey".into());
    let missing = ClusterConfig { identity: missing, ..config(&["h"]) };
    assert!(words(&Access::new(&missing).map(drop).unwrap_err()).contains("/nowhere/nkey"));
}

#[test]
fn what_keeps_a_node_out_is_told_apart() {
    let of = |error: rustls::Error| {
        let io = io::Error::new(io::ErrorKind::InvalidData, error);
        obstacle(&ConnectError::from(io))
    };
    assert_eq!(of(CertificateError::UnknownIssuer.into()), UNKNOWN);
    assert_eq!(of(CertificateError::NotValidForName.into()), MISNAMED);
    assert_eq!(of(CertificateError::Expired.into()), EXPIRED);
    assert_eq!(of(CertificateError::BadSignature.into()), BAD_CERTIFICATE);
    assert_eq!(
        of(rustls::Error::AlertReceived(rustls::AlertDescription::BadCertificate)),
        ANONYMOUS
    );
    assert_eq!(of(rustls::Error::DecryptError), NO_TLS);
    let refused = ConnectError::new(ConnectErrorKind::AuthorizationViolation);
    assert_eq!(obstacle(&refused), REFUSED);
    assert_eq!(obstacle_again(&refused.kind().to_string()), REFUSED);
    assert_eq!(obstacle_again("IO error"), AWAY);
    assert_eq!(obstacle(&io::Error::from(io::ErrorKind::ConnectionRefused).into()), AWAY);
}
