//! The demo's output: who did what, and when.

use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;
use tokio::sync::oneshot;

use super::verdict_json;
use crate::ble::Proximity;
use crate::cli::ceremony::{Audience, by};
use crate::cli::failure::Failure;
use crate::cli::qr::{self, Glyphs};
use crate::cli::ui::{Ui, event_line, print};
use crate::hybrid::qr::ChannelKind;

/// Prints each step with the time since the start, on standard output: here the steps are the
/// result.
pub(super) struct Stopwatch {
    ui: Ui,
    started: Instant,
    /// The first line that standard output did not take ends the demo in the verdict.
    broken: OnceLock<Failure>,
}

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "a stop-watch reads the clock")]
    fn now() -> Instant {
        Instant::now()
    }

    pub(super) fn start(ui: Ui) -> Self {
        Self { ui, started: Self::now(), broken: OnceLock::new() }
    }

    fn milliseconds(&self) -> f64 {
        (Self::now() - self.started).as_secs_f64() * 1e3
    }

    fn line(&self, text: &str) {
        if let Err(failure) = print(text) {
            let _first_one_counts = self.broken.set(failure);
        }
    }

    pub(super) fn headline(&self, text: &str) {
        if !self.ui.is_json() {
            self.line(&format!("\n{text}"));
        }
    }

    pub(super) fn step(&self, who: &str, event: &str, words: &str) {
        let ms = self.milliseconds();
        self.line(&match self.ui.is_json() {
            true => {
                let ms = (ms * 1e3).round() / 1e3;
                event_line(event, json!({ "who": who, "text": words, "ms": ms })).to_string()
            }
            false => format!("{ms:9.1} ms  {who:<6} {words}"),
        });
    }

    /// The last line. A lost line is a failure of its own.
    pub(super) fn verdict(self, result: &Result<(), Failure>) -> Result<(), Failure> {
        let passed = result.is_ok();
        let ms = self.milliseconds();
        match (self.ui.is_json(), passed) {
            (true, _) => self.line(&verdict_json(passed, ms as u128).to_string()),
            (false, true) => self.line(&format!(
                "\nPASSED: the site verified a registration and a sign-in, in {ms:.0} ms."
            )),
            (false, false) => self.line("\nFAILED: not everything was verified."),
        }
        self.broken.into_inner().map_or(Ok(()), Err)
    }
}

/// The laptop's screen, and the camera that is held before it.
pub(super) struct Laptop<'a> {
    watch: &'a Stopwatch,
    draw: bool,
    camera: Option<oneshot::Sender<String>>,
}

impl<'a> Laptop<'a> {
    pub(super) fn new(watch: &'a Stopwatch, draw: bool) -> Self {
        Self { watch, draw, camera: None }
    }

    /// What the phone's camera will see.
    pub(super) fn camera(&mut self) -> oneshot::Receiver<String> {
        let (camera, scanned) = oneshot::channel();
        self.camera = Some(camera);
        scanned
    }
}

impl Audience for Laptop<'_> {
    fn qr(&mut self, text: &str) -> Result<(), Failure> {
        self.watch.step("laptop", "qr", "shows a QR code");
        if self.draw && !self.watch.ui.is_json() {
            let glyphs = Glyphs::from_locale(|name| std::env::var(name).ok());
            if let Ok(drawing) = qr::terminal(text, glyphs) {
                self.watch.line(drawing.trim_end_matches('\n'));
            }
        }
        if let Some(camera) = self.camera.take() {
            let _nobody_scans = camera.send(text.to_owned());
        }
        Ok(())
    }

    fn step(&mut self, event: &'static str, words: &str) {
        self.watch.step("laptop", event, &format!("says: {words}"));
    }

    fn listens(&mut self, event: &'static str, words: &str, _: Proximity) {
        // The first sentence is for somebody with a phone in the hand.
        if event != "listening" {
            self.step(event, words);
        }
    }

    fn connected(&mut self, via: ChannelKind) {
        let (how, _) = by(via);
        self.watch.step("laptop", "connected", &format!("says: Connected to your phone {how}."));
    }

    fn note(&mut self, words: &str) {
        self.watch.step("laptop", "note", &format!("notes: {words}"));
    }
}
