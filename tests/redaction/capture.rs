//! Everything that is logged or printed, in one place.

use std::fmt::{Debug, Display, Write as _};
use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::format::FmtSpan;

/// What was said, as text; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<String>>);

impl Tape {
    /// Takes every `tracing` event and span and every `log` record of this process.
    pub(crate) fn record_logs(&self) {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log::set_boxed_logger(Box::new(self.clone())).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }

    /// Takes what `{:?}` and `{:#?}` make of it.
    pub(crate) fn debug(&self, value: &dyn Debug) {
        self.add(&format!("{value:?}\n{value:#?}\n"));
    }

    /// Takes what `{}` makes of it, too.
    pub(crate) fn error(&self, value: &(impl std::error::Error + ?Sized)) {
        self.debug(&value);
        self.display(&value);
        let mut source = value.source();
        while let Some(cause) = source {
            self.display(&cause);
            source = cause.source();
        }
    }

    pub(crate) fn display(&self, value: &dyn Display) {
        self.add(&format!("{value}\n"));
    }

    pub(crate) fn add(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl io::Write for Tape {
    /// Each byte becomes the character of its number, so that none is lost.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.lock().unwrap();
        text.extend(bytes.iter().copied().map(char::from));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl log::Log for Tape {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut text = self.0.lock().unwrap();
        writeln!(text, "LOG {} {}", record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}
