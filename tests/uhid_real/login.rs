//! Logins of this machine with the key: pam_u2f, asked by pamtester as a login program would ask it, and by the
//! program `login` itself.

use crate::world::{Key, REQUESTS};

/// Two people, and a login that takes nothing but a key. The guest forgets them.
pub(crate) const MACHINE: &str = "
    for name in anna berta; do id \"$name\" >/dev/null 2>&1 || useradd \"$name\"; done
    echo \"auth required pam_u2f.so authfile=$PWD/mapping\" >/etc/pam.d/with-a-key
";

/// `docs/virtual-key.md` has the same recipe: a line of pam_u2f's file, with libfido2's tools.
pub(crate) const MAPPING: &str = r#"
    maps() {
        { random 32; echo "pam://$(hostname)"; echo "$1"; random 32; } |
            fido2-cred -M "$KEY" | fido2-cred -V -o "$1"
        public=$(sed '1d; /^--/d' "$1" | base64 -d | tail -c 64 | base64 -w 0)
        handle=$(head -n 1 "$1")
    }
"#;

/// Logs in, and says how it went in one word.
pub(crate) const LOG_IN: &str = "pamtester with-a-key anna authenticate && echo in || echo out";

/// Debian's own `login` on a terminal. It gives up after a minute, which an emulated processor may need.
pub(crate) const TERMINAL: &str = r#"
    sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 300/' /etc/login.defs
    : That is where the documentation puts its line.
    before_the_password() {
        sed -i -e '/ # ours$/d' -e "/^@include common-auth/i auth sufficient $1 # ours" /etc/pam.d/login
        grep -q ' # ours$' /etc/pam.d/login
    }
    sits_down() {
        rm -f typed terminal
        mkfifo typed
        SHELL=/bin/sh script -qefc 'exec login anna' terminal <typed >/dev/null &
        seat=$!
        exec 3>typed
        until [ -e terminal ]; do sleep 0.1; done
    }
    : Whoever gets no shell is asked for the password that nobody has.
    how_it_went() {
        until grep -qaE '^(\$ |Password: )' terminal; do
            kill -0 $seat || { cat terminal >&2; exit 1; }
            sleep 0.1
        done
        if grep -qa '^Password: ' terminal; then
            kill $seat
            echo out
        else
            echo 'echo "It is $(id -un)."; exit' >&3
            wait $seat
            grep -qa '^It is anna\.' terminal
            echo in
        fi
    }
"#;

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn the_owner_agrees_to_a_login_or_declines() {
    let mut key = Key::asking().await;
    let making = key.begin(&format!(
        "{REQUESTS} {MACHINE} {MAPPING}
        maps anna
        echo \"anna:$handle,$public,es256,+presence\" >mapping"
    ));
    key.asks();
    key.owner(&["approve"]).succeeded();
    making.end().succeeded();
    for (answer, verdict) in [("approve", "in"), ("decline", "out"), ("approve", "in")] {
        let login = key.begin(LOG_IN);
        let question = key.asks();
        key.owner(&[answer, &question.to_string()]).succeeded();
        assert_eq!(login.end().succeeded().out.last().unwrap(), verdict);
        assert_eq!(key.owner(&["pending"]).succeeded().err, ["No question waits for an answer."]);
    }
    key.keeps(1);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn the_mapping_of_one_lets_nobody_else_in() {
    let key = Key::new().await;
    let told = key.script(&format!(
        "{REQUESTS} {MACHINE} {MAPPING}
        maps berta
        hers=$public
        maps anna
        try() {{ echo \"$1\" >mapping; {LOG_IN}; }}
        try \"anna:$handle,$public,es256,+presence\"
        : Only berta has a line, and the key could sign for it.
        try \"berta:$handle,$public,es256,+presence\"
        : A passkey that this phone does not have.
        try \"anna:$(random 32),$public,es256,+presence\"
        : What the key signs is not what the file knows.
        try \"anna:$handle,$hers,es256,+presence\""
    ));
    let verdicts: Vec<_> =
        told.out.iter().filter(|line| ["in", "out"].contains(&line.as_str())).collect();
    assert_eq!(verdicts, ["in", "out", "out", "out"], "{told:?}");
    let told = key.keeps(2);
    // Two registrations, the login that is right, and the one with the wrong public key.
    let asked = told.iter().filter(|line| line.contains("Did you start this?")).count();
    assert_eq!(asked, 4, "{told:?}");
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn pamu2fcfg_writes_the_mapping() {
    // 1.1.0, which Debian 12 has, takes no attestation without a certificate, and has made the passkey by then.
    let mut key = Key::new().await;
    key.script(
        "case $(pamu2fcfg --version) in
            *' 1.1.0')
                fails pamu2fcfg -u anna >mapping 2>told
                grep -q FIDO_ERR_INVALID_ARGUMENT told
                [ ! -s mapping ]
                ;;
            *) pamu2fcfg -u anna >mapping ;;
        esac",
    );
    key.tells("Saved a passkey.");
    key.keeps(1);

    let mut key = Key::certified().await;
    key.script(&format!(
        "{REQUESTS} {MACHINE}
        pamu2fcfg -u anna >mapping
        grep -q '^anna:.*,es256,+presence$' mapping
        [ \"$({{ {LOG_IN}; }} | tail -n 1)\" = in ]
        : libfido2 verifies the attestation, too.
        {MAPPING}
        maps berta"
    ));
    key.tells("Saved a passkey.");
    key.keeps(2);
}
