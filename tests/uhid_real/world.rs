//! What the cases share: `cabled phone run --uhid` as a process of its own, or `cabled daemon --uhid` with a
//! phone nearby, and where its key is.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cabled::authenticator::store::{KdfCost, Pin, Store};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::Value;

use crate::around::{Nearby, Way};
use crate::device::node;
use crate::program::{Ended, Program, binary};

/// Far beyond what anything here takes, on an emulated processor too: a case that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
const NAME: &str = "cabled virtual FIDO2 key";
const NAME_NEARBY: &str = "cabled: the passkeys on your phone";
pub(crate) const PIN: &str = "314159";

/// How long an owner thinks who takes their time.
pub(crate) const THOUGHT: Duration = Duration::from_secs(20);
/// After this a phone that was rung in vain hears of rings again (`service/ringing.rs`).
pub(crate) const RINGS_REST: Duration = Duration::from_secs(30);

/// Whether `tests/run --full` was asked for.
pub(crate) fn is_full() -> bool {
    std::env::var("CABLED_FULL").is_ok_and(|value| value == "1")
}

/// The shell's own `!` is of no use where each line has to succeed: the script goes on after it either way.
const FAILS: &str = "fails() { ! \"$@\"; }
";

/// What libfido2's tools read: a random challenge, the site, the account.
pub(crate) const REQUESTS: &str = "
    random() { head -c \"$1\" /dev/urandom | base64; }
    { random 32; echo passkeys.example; echo anna; random 16; } >registration
";

/// After [`REQUESTS`]: makes a passkey at `$KEY`, signs in with it and verifies both.
pub(crate) const LIBFIDO2: &str = "
    fido2-cred -M -i registration -o made \"$KEY\"
    fido2-cred -V -i made -o known
    tail -n +2 known >public.pem
    { random 32; echo passkeys.example; head -n 1 known; } >sign-in
    fido2-assert -G -i sign-in -o signed \"$KEY\"
    fido2-assert -V -p -i signed public.pem es256
";

/// Another program, while one waits for the owner. libfido2 locks the node that it opens and would wait for the other
/// one and not for the key: so it has a node of its own, without a lock, as browsers set none.
const BESIDE: &str = "
    [ -e node ] || mknod node c $(stat -c '0x%t 0x%T' \"$KEY\")
    fido2-token -I node >info
    grep -q FIDO_2_1 info
    grep -q credProtect info
    fails timeout 60 fido2-cred -M -i registration -o nothing node
    [ ! -s nothing ]
";

/// Has the laptop forget the one passkey for a site: as if another laptop had made it.
pub(crate) fn forgets(site: &str) -> String {
    format!(
        "\"$CABLED\" receipts forget \"$(\"$CABLED\" receipts list | awk '/  {site}  / {{ print $1 }}')\"
        \"$CABLED\" receipts list >receipts
        fails grep -q '  {site}  ' receipts"
    )
}

/// A key, and a folder for the programs that use it.
pub(crate) struct Key {
    folder: tempfile::TempDir,
    program: Program,
    pub(crate) node: PathBuf,
    nearby: Option<Nearby>,
}

impl Key {
    /// One whose owner agrees to everything.
    pub(crate) async fn new() -> Self {
        Self::plugged_in(&["--auto-approve"]).await
    }

    /// The same, whose passkeys have a certificate.
    pub(crate) async fn certified() -> Self {
        Self::plugged_in(&["--auto-approve", "--attestation", "certificate"]).await
    }

    /// One whose owner is asked.
    pub(crate) async fn asking() -> Self {
        Self::plugged_in(&[]).await
    }

    /// The laptop's, with these options of the phone nearby.
    pub(crate) async fn nearby(way: Way, options: &[&str]) -> Self {
        let folder = Self::furnished();
        let (nearby, program) = Nearby::begin(folder.path(), way, options).await;
        let node = Self::node(NAME_NEARBY).await;
        Self { folder, program, node, nearby: Some(nearby) }
    }

    /// The same with a phone of a test bed, whose person follows this script.
    pub(crate) async fn of_a_bench(script: &str) -> Self {
        let folder = Self::furnished();
        let around = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/testbed/virtual_key.sh");
        let mut command = of_folder(binary(), folder.path());
        command.args([
            "testbed",
            "run",
            "--",
            around,
            "sh",
            "-c",
            "echo ready; exec sleep infinity",
        ]);
        command.env("CABLED", binary().get_program()).env("SCRIPT", script);
        let mut program = Program::of(command);
        program.says(|line| line == "ready");
        let node = Self::node(NAME_NEARBY).await;
        Self { folder, program, node, nearby: None }
    }

    /// Waits for a ceremony of the bench that ended so.
    pub(crate) fn bench_says(&mut self, outcome: &str) {
        self.program.tells(|line| line.contains(outcome));
    }

    /// Ctrl-C at the bench: nothing of it stays.
    pub(crate) fn interrupts(self) {
        self.program.signal("INT");
        assert!(!self.program.end().status.success());
        assert!(!self.node.exists());
    }

    /// The relay of the laptop and of the phone nearby.
    pub(crate) fn relay(&self) -> &str {
        &self.nearby.as_ref().unwrap().url
    }

    /// What happened before any program came: of passkeys and of questions as many.
    pub(crate) fn before(&self) -> usize {
        self.nearby.as_ref().map_or(0, Nearby::before)
    }

    /// The laptop's daemon is killed without a word.
    pub(crate) fn dies(&mut self) {
        self.program.signal("KILL");
    }

    /// It is started anew.
    pub(crate) async fn lives_again(&mut self) {
        assert!(!self.node.exists());
        let nearby = self.nearby.as_mut().unwrap();
        self.program = nearby.again(self.folder.path());
        self.node = Self::node(NAME_NEARBY).await;
    }

    async fn node(name: &str) -> PathBuf {
        let node = tokio::time::timeout(PATIENCE, node(name)).await.unwrap();
        assert!(Command::new("udevadm").arg("settle").status().unwrap().success());
        node
    }

    /// A folder with a PIN and a store.
    fn furnished() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, format!("{PIN}\n")).unwrap();
        std::fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).unwrap();
        // What makes guessing a PIN dear takes an emulated processor three seconds at each look.
        let (cost, rng) =
            (KdfCost { memory_kib: 8, passes: 1, lanes: 1 }, &mut ChaCha20Rng::from_entropy());
        let code = Pin::new(PIN.to_owned()).unwrap();
        drop(Store::create_with_cost(&folder.path().join("store"), &code, cost, rng).unwrap());
        folder
    }

    async fn plugged_in(options: &[&str]) -> Self {
        let folder = Self::furnished();
        let pin = folder.path().join("pin");
        let mut command = of_folder(binary(), folder.path());
        command.args(["phone", "run", "--uhid"]).args(options).env("CABLED_PIN_FILE", &pin);
        let mut program = Program::of(command);
        program.begins("This machine has a security key now.");
        let node = Self::node(NAME).await;
        Self { folder, program, node, nearby: None }
    }

    /// Begins a script of the shell in the folder, each line of which has to succeed, or to fail behind
    /// `fails`. `$KEY` is the key's node, and `$CABLED` speaks to its service.
    pub(crate) fn begin(&self, script: &str) -> Program {
        let mut shell = of_folder(Command::new("bash"), self.folder.path());
        shell.args(["-euc", &format!("{FAILS}{script}")]).env("KEY", &self.node);
        shell.env("CABLED", binary().get_program()).process_group(0);
        Program::of(shell)
    }

    /// Runs such a script to its end.
    pub(crate) fn script(&self, script: &str) -> Ended {
        self.begin(script).end().succeeded()
    }

    /// Another program learns at once what the key can do, and that it is busy.
    pub(crate) fn is_busy_for_another(&self) {
        self.script(&format!("mkdir -p others; cd others {REQUESTS} {BESIDE}"));
    }

    /// Then it is that program's turn: it makes a passkey, and the owner agrees. Gives the question's number.
    pub(crate) fn serves_another(&mut self) -> u64 {
        let other = self.begin(
            "cd others; fido2-cred -M -i registration -o second node; fido2-cred -V -i second",
        );
        let question = self.asks();
        self.owner(&["approve"]).succeeded();
        other.end().succeeded();
        question
    }

    /// Waits for a line that the key tells its owner, or the phone nearby does.
    pub(crate) fn tells(&mut self, start: &str) {
        self.owners().begins(start);
    }

    fn owners(&mut self) -> &mut Program {
        self.nearby.as_mut().map_or(&mut self.program, |nearby| &mut nearby.phone)
    }

    /// Waits for a line of the daemon's own.
    pub(crate) fn says(&mut self, start: &str) {
        self.program.begins(start);
    }

    /// Waits for a line of whoever watches the daemon.
    pub(crate) fn shows(&mut self, start: &str) {
        self.nearby.as_mut().unwrap().watcher.begins(start);
    }

    /// Whether the passkeys are on a phone nearby, and the laptop has receipts.
    pub(crate) fn is_nearby(&self) -> bool {
        self.nearby.is_some()
    }

    /// Waits until the program has asked, if that is told apart from the question to the owner.
    pub(crate) fn is_asked(&mut self) {
        if self.is_nearby() {
            self.shows("A program wants to ");
        }
    }

    /// Waits until a passkey is made.
    pub(crate) fn has_saved(&mut self) {
        match self.nearby {
            Some(_) => self.shows("Your phone has answered."),
            None => self.tells("Saved a passkey."),
        }
    }

    /// Waits until a passkey has signed.
    pub(crate) fn has_signed(&mut self) {
        match self.nearby {
            Some(_) => self.shows("Your phone has answered."),
            None => self.tells("Signed in."),
        }
    }

    /// Waits for the next question; gives its number.
    pub(crate) fn asks(&mut self) -> u64 {
        let words =
            |line: &str| line.starts_with("Question ") && line.contains("id you start this?");
        let line = self.owners().tells(words);
        line.split([' ', ':']).nth(1).unwrap().parse().unwrap()
    }

    /// The owner answers in another terminal, with the PIN from a file.
    pub(crate) fn owner(&self, answer: &[&str]) -> Ended {
        let mut command = of_folder(binary(), self.folder.path());
        command.arg("phone").args(answer).env("CABLED_PIN_FILE", self.folder.path().join("pin"));
        Program::of(command).end()
    }

    /// Ctrl-C, after which there is no key any more.
    pub(crate) fn stops(self) {
        self.stops_with(None, None);
    }

    /// The same, and that many passkeys are kept. Gives all that the owner was told.
    pub(crate) fn keeps(self, passkeys: usize) -> Vec<String> {
        self.stops_with(Some(passkeys), None)
    }

    /// The same, and the phone was fetched that many times.
    pub(crate) fn keeps_after(self, passkeys: usize, fetched: usize) {
        self.stops_with(Some(passkeys), Some(fetched));
    }

    fn stops_with(self, passkeys: Option<usize>, fetched: Option<usize>) -> Vec<String> {
        let Self { program, node, nearby, folder } = self;
        program.signal("INT");
        let told = program.end().succeeded().err;
        assert!(!node.exists());
        let before = nearby.as_ref().map_or(0, Nearby::before);
        // The phone stays for the list.
        let mut nearby = nearby;
        let times: Vec<_> = nearby.iter_mut().map(Nearby::ends).collect();
        assert!(fetched.is_none_or(|fetched| times == [fetched]), "{times:?}");
        let Some(passkeys) = passkeys else { return told };
        let mut command = of_folder(binary(), folder.path());
        command.args(["phone", "passkeys", "list", "--json"]);
        command.env("CABLED_PIN_FILE", folder.path().join("pin"));
        let listed = Program::of(command).end().succeeded().out;
        let listed: Value = serde_json::from_str(listed.last().unwrap()).unwrap();
        assert_eq!(listed["passkeys"].as_array().unwrap().len(), before + passkeys, "{listed}");
        told
    }
}

/// What belongs to this key and no other.
pub(crate) fn of_folder(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env("HOME", folder);
    command.env("CABLED_STORE", folder.join("store"));
    command.env("CABLED_SOCKET", folder.join("run/phone.sock"));
    command.env("CABLED_DAEMON_SOCKET", folder.join("run/laptop.sock"));
    command.env("XDG_STATE_HOME", folder.join("state"));
    command
}
