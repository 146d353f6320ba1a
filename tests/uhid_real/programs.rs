//! Programs of others, as Debian has them: libfido2's tools and OpenSSH.

use crate::world::{Key, LIBFIDO2, REQUESTS};

/// Makes two keys.
pub(crate) const SSH_KEYGEN: &str = "umask 077
    ssh-keygen -q -t ecdsa-sk -N '' -f id
    ssh-keygen -q -t ecdsa-sk -O resident -O verify-required -N '' -f resident
";

/// A server of this machine's that takes all keys of the folder.
pub(crate) const SSHD: &str = "umask 077
    cat *.pub >authorized
    ssh-keygen -q -t ed25519 -N '' -f host
    mkdir -p /run/sshd
    printf '%s\\n' 'Port 2222' 'ListenAddress 127.0.0.1' \"HostKey $PWD/host\" \
        \"AuthorizedKeysFile $PWD/authorized\" 'StrictModes no' 'UsePAM no' \
        'PermitRootLogin yes' \"PidFile $PWD/sshd.pid\" >sshd_config
    /usr/sbin/sshd -f sshd_config
    log_in() {
        ssh -F none -p 2222 -i \"$1\" -o IdentitiesOnly=yes -o BatchMode=yes \
            -o KexAlgorithms=curve25519-sha256 -o StrictHostKeyChecking=no \
            -o UserKnownHostsFile=/dev/null root@127.0.0.1 echo logged in
    }
";

/// After [`SSHD`]: logs in with both.
pub(crate) const SSH: &str = "
    [ \"$(log_in id)\" = 'logged in' ]
    [ \"$(log_in resident)\" = 'logged in' ]
    kill \"$(cat sshd.pid)\"";

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn libfido2_finds_it() {
    let key = Key::new().await;
    let listed = key.script("fido2-token -L").out;
    let [line] = &listed[..] else { panic!("{listed:?}") };
    assert!(line.starts_with(&format!("{}: vendor=0xf1d0", key.node.display())), "{line}");
    let info = key.script("fido2-token -I \"$KEY\"").out.join("\n");
    for wanted in ["nomsg", "FIDO_2_0", "FIDO_2_1", "credProtect", "es256", "uv"] {
        assert!(info.contains(wanted), "{wanted}: {info}");
    }
    key.stops();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn libfido2_registers_and_signs_in() {
    let mut key = Key::new().await;
    key.script(&format!("{REQUESTS}{LIBFIDO2}"));
    key.tells("Saved a passkey.");
    key.tells("Signed in.");
    key.stops();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn libfido2_uses_a_passkey_that_nobody_names() {
    let mut key = Key::new().await;
    key.script(&format!(
        "{REQUESTS}
        fido2-cred -M -r -i registration -o made \"$KEY\"
        fido2-cred -V -i made -o known
        tail -n +2 known >public.pem
        {{ random 32; echo passkeys.example; }} >sign-in
        fido2-assert -G -r -i sign-in -o signed \"$KEY\"
        head -n 4 signed | fido2-assert -V -p public.pem es256"
    ));
    key.tells("Signed in.");
    key.stops();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn a_silent_look_tells_the_truth_and_no_more() {
    let key = Key::new().await;
    key.script(&format!(
        "{REQUESTS}
        fido2-cred -M -i registration -o made \"$KEY\"
        fido2-cred -V -i made -o known
        tail -n +2 known >public.pem
        {{ random 32; echo passkeys.example; head -n 1 known; }} >look
        fido2-assert -G -t up=false -i look -o looked \"$KEY\"
        fido2-assert -V -i looked public.pem es256
        fails fido2-assert -V -p -i looked public.pem es256
        {{ random 32; echo elsewhere.example; head -n 1 known; }} >other
        fails fido2-assert -G -t up=false -i other -o nothing \"$KEY\""
    ));
    key.stops();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn ssh_makes_keys_and_logs_in() {
    let mut key = Key::new().await;
    key.script(&format!("{SSH_KEYGEN}{SSHD}{SSH}"));
    key.tells("Signed in.");
    key.tells("Signed in.");
    key.stops();
}
