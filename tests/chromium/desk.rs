//! A desk of its own for each test: display, Bluetooth, tunnel service, web site, browser. All that is
//! not the browser is ours or a fake; the browser is the distribution's, unmodified.
//!
//! ```text
//!  Xvfb <── chromium ──D-Bus──> FakeBluez ──> air:DIR <── phone
//!              │                                            │
//!              ├── wss (cable.ua5v.com, a flag says where) ─┴─> relay
//!              └── http://localhost ──> examples/relying_party
//! ```

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use cabled::ble::RadioSpec;
use cabled::cli::screen::Screen;
use cabled::hybrid::tunnel::ServiceUrl;
use image::RgbImage;

use crate::alone::{Alone, air};
use crate::devtools::{PATIENCE, Page};
use crate::soon;

/// Whether the page says how it went.
const HAS_RESULT: &str = "document.querySelector('#message').checkVisibility()";

/// Pictures of what was seen, for people to look at.
pub(crate) fn album() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let folder = target.join("chromium");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A program that ends with its test, and what it says.
struct Program(Child);

impl Program {
    /// Starts it and waits for the line that says it is ready.
    fn start(command: &mut Command, errors: bool, ready: impl Fn(&str) -> bool) -> (Self, String) {
        let name = command.get_program().to_string_lossy().into_owned();
        let (out, err) = match errors {
            true => (Stdio::null(), Stdio::piped()),
            false => (Stdio::piped(), Stdio::null()),
        };
        let spawned = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name}: {error}"));
        let stream: Box<dyn std::io::Read + Send> = match errors {
            true => Box::new(child.stderr.take().unwrap()),
            false => Box::new(child.stdout.take().unwrap()),
        };
        let program = Self(child);
        let (sender, lines) = mpsc::channel();
        // Reads on to the end, so that the program never finds its pipe full.
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _nobody_listens_any_more = sender.send(line);
            }
        });
        loop {
            let line = lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{name} did not start"));
            if ready(&line) {
                return (program, line);
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

pub(crate) struct Desk {
    pub(crate) page: Page,
    pub(crate) display: String,
    name: &'static str,
    pictures: usize,
    alone: Alone,
    _browser: Program,
    _site: Program,
    _xvfb: Program,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    /// Everything on, and the page open. `name` is the beginning of its pictures' names.
    pub(crate) async fn new(name: &'static str) -> Self {
        Self::around(name, async |_, _| {}).await
    }

    /// The same, when what the folder has and what is alone here is arranged.
    pub(crate) async fn around(
        name: &'static str,
        arrange: impl AsyncFnOnce(&Path, &mut Alone),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", "1200x900x24", "-noreset"]);
        let (xvfb, display) = Program::start(&mut xvfb, false, |line| line.parse::<u16>().is_ok());
        let display = format!(":{display}");
        let mut alone = Alone::start(folder.path()).await.unwrap();
        arrange(folder.path(), &mut alone).await;
        let mut site = Command::new(example());
        let ready = |line: &str| line.starts_with("listening on ");
        let (site, line) = Program::start(site.args(["--port", "0"]), false, ready);
        let address = line.trim_start_matches("listening on ");
        let mut command = chromium(folder.path(), &alone);
        command.env("DISPLAY", &display);
        let ready = |line: &str| line.starts_with("DevTools listening on ");
        let (browser, line) = Program::start(&mut command, true, ready);
        let mut page = Page::attach(line.trim_start_matches("DevTools listening on ")).await;
        page.go_to(address).await;
        page.shows("#signed-out").await;
        Self {
            page,
            display,
            name,
            pictures: 0,
            alone,
            _browser: browser,
            _site: site,
            _xvfb: xvfb,
            folder,
        }
    }

    /// Where the phone finds the tunnel service.
    #[cfg(feature = "cluster")]
    pub(crate) fn phone_comes_to(&mut self, port: u16) {
        self.alone.phone_port = port;
    }

    pub(crate) fn relay(&self) -> ServiceUrl {
        let arguments = self.alone.phone_arguments();
        arguments[1].parse().unwrap()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn air(&self) -> RadioSpec {
        air(self.folder.path()).parse().unwrap()
    }

    /// A program at this desk, with its display and its Bluetooth.
    pub(crate) fn seat(&self, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.env("DISPLAY", &self.display).envs(self.alone.environment());
        command
    }

    /// What the phone program is told about where things are.
    pub(crate) fn phone_arguments(&self) -> Vec<String> {
        self.alone.phone_arguments()
    }

    /// Keeps what is on the screen, windows and all, under the next name.
    pub(crate) fn keep_screen(&mut self, what: &str) {
        let screen = Screen::open(Some(&self.display)).unwrap();
        let mut looks = 0;
        let mut last = screen.capture().unwrap();
        // Dialogs fade in and out; a blinking cursor must not keep it for ever.
        loop {
            std::thread::yield_now();
            let next = screen.capture().unwrap();
            looks += 1;
            if next == last || looks > 200 {
                return last.save(self.next_picture(what)).unwrap();
            }
            last = next;
        }
    }

    /// Keeps the page alone, in colour.
    pub(crate) async fn keep_page(&mut self, what: &str) {
        let picture = self.page.picture().await;
        std::fs::write(self.next_picture(what), picture).unwrap();
    }

    fn next_picture(&mut self, what: &str) -> PathBuf {
        self.pictures += 1;
        album().join(format!("{}-{:02}-{what}.png", self.name, self.pictures))
    }

    /// The user closes whatever the browser shows in place of a result, if it still does.
    pub(crate) async fn gives_up(&mut self) {
        if self.page.value(HAS_RESULT).await == false {
            self.press("Escape");
        }
        self.page.until(HAS_RESULT).await;
    }

    /// Waits until something is on the screen, windows of the browser's own included.
    /// Waits until the screen is as wanted and stands still: windows come up in steps.
    pub(crate) async fn until_screen(&self, wanted: impl Fn(&RgbImage) -> bool) {
        let screen = Screen::open(Some(&self.display)).unwrap();
        let looking = async {
            let mut before = screen.capture().unwrap();
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let now = screen.capture().unwrap();
                if now == before && wanted(&now) {
                    return;
                }
                before = now;
            }
        };
        soon("what was to be on the screen", looking).await;
    }

    /// Clicks on something in a window of the browser's own, until the page has its result. The browser
    /// takes no click for half a second after such a window has come up or was clicked on, so that
    /// nobody is tricked into one: a user who is too quick clicks again.
    pub(crate) async fn insists_on_clicking(&mut self, (x, y): (u32, u32)) {
        let [x, y] = [x, y].map(|place| place.to_string());
        let trying = async {
            while self.page.value(HAS_RESULT).await == false {
                tokio::time::sleep(Duration::from_millis(600)).await;
                self.xdotool(&["mousemove", &x, &y, "click", "1"]);
            }
        };
        soon("a click that counts", trying).await;
    }

    /// Presses a key in whatever window has the word, which may be the browser's own dialog.
    pub(crate) fn press(&self, key: &str) {
        self.xdotool(&["key", key]);
    }

    fn xdotool(&self, arguments: &[&str]) {
        let mut xdotool = Command::new("xdotool");
        let status = xdotool.args(arguments).env("DISPLAY", &self.display).status();
        assert!(status.expect("xdotool is needed (Debian package: xdotool)").success());
    }
}

/// A test that fails leaves a picture of what it saw last.
impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let picture = Screen::open(Some(&self.display)).and_then(|screen| screen.capture());
            let file = album().join(format!("{}-failed.png", self.name));
            let _best_effort = picture.map(|picture| picture.save(file));
        }
    }
}

/// The built example; `tests/run chromium` builds it.
fn example() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let example = folder.join("examples/relying_party");
    assert!(example.exists(), "build it first: cargo build --example relying_party");
    example
}

/// Chromium as the example tells its users to start it, and what a test needs besides: no sandbox for
/// root, no network of its own accord, a window of known size, DevTools.
fn chromium(folder: &Path, alone: &Alone) -> Command {
    let mut command = Command::new("chromium");
    command.args(alone.browser_arguments()).envs(alone.environment());
    command.args([
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-position=0,0",
        "--window-size=1200,900",
        "--remote-debugging-port=0",
        "about:blank",
    ]);
    command.env("HOME", folder).env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
    command
}
