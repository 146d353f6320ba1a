//! What a laptop's key has around it, when its passkeys are on a phone: relay, phone, daemon, whoever watches
//! it, and somebody who holds the phone before codes, or has done so once.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use cabled::ble::{Advertiser as _, Outgoing, Radio, RadioAdvertisement};

use crate::program::{Program, binary};
use crate::world::of_folder;

/// The laptop has the first controller, which is also the one that its browser takes.
pub(crate) const LAPTOP: &str = "bluez:hci0";
const PHONE: &str = "bluez:hci1";
pub(crate) const OWNER: &str = "Anna's phone";

/// How the laptop finds the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each time by a code that the daemon shows and the phone scans.
    Code,
    /// By ringing a phone that is remembered. Nobody would scan a code.
    Link,
}

/// Scans whatever code the daemon shows, as somebody with a phone in the hand would.
const SCANNER: &str = "
    \"$CABLED\" watch --qr url 2>&1 >/dev/null | while read -r line; do
        case $line in
            FIDO:*) \"$CABLED\" phone scan \"$line\" || : ;;
            *) echo \"$line\" ;;
        esac
    done
";

pub(crate) struct Nearby {
    way: Way,
    pub(crate) url: String,
    pub(crate) phone: Program,
    pub(crate) watcher: Program,
    /// Nobody, once the phone is linked.
    scanner: Option<Program>,
    _relay: Program,
    _stranger: Stranger,
}

/// An advert of somebody else on the phone's controller: the kernel then sends both in turn, so that the
/// phone's is heard again when it was missed. btvirt reports an advert only when it begins.
struct Stranger {
    _radio: Radio,
    _advert: RadioAdvertisement,
}

impl Stranger {
    async fn appear() -> Self {
        let radio = Radio::open(&PHONE.parse().unwrap()).unwrap();
        let advert = radio.advertise(Outgoing::new(&[0; 20])).await.unwrap();
        Self { _radio: radio, _advert: advert }
    }
}

fn cabled(folder: &Path, words: &[&str]) -> Program {
    let mut command = of_folder(binary(), folder);
    command.args(words).env("CABLED_PIN_FILE", folder.join("pin"));
    Program::of(command)
}

fn daemon(folder: &Path, url: &str) -> Program {
    let key = folder.join("phones-key");
    let key = ["--phones-key", key.to_str().unwrap()];
    let link = ["--radio", LAPTOP, "--relay", url];
    let mut daemon = cabled(folder, &[&["daemon", "--uhid"][..], &link, &key].concat());
    daemon.begins("The laptop's service listens");
    daemon
}

fn watcher(folder: &Path) -> Program {
    let mut watcher = cabled(folder, &["watch", "--qr", "none"]);
    watcher.begins("Watching");
    watcher
}

fn scanner(folder: &Path) -> Program {
    let mut scanner = of_folder(Command::new("bash"), folder);
    scanner.args(["-euc", SCANNER]).env("CABLED", binary().get_program()).process_group(0);
    let mut scanner = Program::of(scanner);
    scanner.says(|line| line.starts_with("Watching"));
    scanner
}

impl Nearby {
    /// All of it, with these options of the phone; and the daemon.
    pub(crate) async fn begin(folder: &Path, way: Way, options: &[&str]) -> (Self, Program) {
        let mut relay = cabled(folder, &["relay"]);
        let url = relay.says(|_| true).trim_start_matches("listening on ").to_owned();
        let stranger = Stranger::appear().await;
        let link = ["--radio", PHONE, "--relay", &url, "--name", OWNER];
        let mut phone = cabled(folder, &[&["phone", "run"][..], &link, options].concat());
        phone.begins("The phone's service listens");
        let daemon = daemon(folder, &url);
        let (watcher, scanner) = (watcher(folder), Some(scanner(folder)));
        let mut nearby =
            Self { way, url, phone, watcher, scanner, _relay: relay, _stranger: stranger };
        if way == Way::Link {
            nearby.remember(folder, options.contains(&"--auto-approve"));
        }
        (nearby, daemon)
    }

    /// The one code: after it nobody scans any more.
    fn remember(&mut self, folder: &Path, agrees: bool) {
        let words = ["register", "--rp-id", "link.example", "--user", "anna", "--qr", "none"];
        let register = cabled(folder, &[&words[..], &["--remember"]].concat());
        if !agrees {
            self.phone.begins("Question 1");
            cabled(folder, &["phone", "approve", "1"]).end().succeeded();
        }
        let told = register.end().succeeded().err;
        assert!(told.iter().any(|line| line.contains("is remembered; next time")), "{told:?}");
        self.phone.begins("Computers that this phone remembers can ring it now.");
        if let Some(scanner) = self.scanner.take() {
            scanner.signal_all("KILL");
        }
        self.watcher = watcher(folder);
    }

    /// How many passkeys there are, and how many questions there were, before any program came.
    pub(crate) fn before(&self) -> usize {
        usize::from(self.way == Way::Link)
    }

    /// The daemon again, after one that was killed; and all who speak to it.
    pub(crate) fn again(&mut self, folder: &Path) -> Program {
        let daemon = daemon(folder, &self.url);
        self.watcher = watcher(folder);
        if self.scanner.is_some() {
            self.scanner = Some(scanner(folder));
        }
        daemon
    }

    /// What was shown since the phone is known has to be what the way says. The daemon has ended. Gives how
    /// often the phone was fetched.
    pub(crate) fn ends(&mut self) -> usize {
        let told = self.watcher.all_told();
        let shown = |start: &str| told.iter().filter(|line| line.starts_with(start)).count();
        let (codes, rings) = (shown("Scan this code"), shown("Ringing your phone."));
        match self.way {
            Way::Code => assert_eq!(rings, 0, "{told:#?}"),
            Way::Link => assert!(codes == 0 && rings > 0, "{told:#?}"),
        }
        codes + rings
    }
}
