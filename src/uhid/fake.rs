//! A device without a kernel, for tests: its other end plays the programs.
//!
//! Depends on siblings only.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Device, Error, Event, Report};

/// The end that a driver holds.
pub(crate) struct Fake {
    events: UnboundedReceiver<Event>,
    reports: UnboundedSender<Report>,
}

/// The programs' end.
pub(crate) struct Programs {
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) reports: UnboundedReceiver<Report>,
}

pub(crate) fn pair() -> (Fake, Programs) {
    let ((to_key, events), (reports, from_key)) = (unbounded_channel(), unbounded_channel());
    (Fake { events, reports }, Programs { events: to_key, reports: from_key })
}

fn gone() -> Error {
    Error::Broken(std::io::ErrorKind::BrokenPipe.into())
}

impl Device for Fake {
    async fn next(&mut self) -> Result<Event, Error> {
        self.events.recv().await.ok_or_else(gone)
    }

    fn send(&mut self, report: &Report) -> Result<(), Error> {
        self.reports.send(*report).map_err(|_| gone())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::conformance::{self, Program};
    use super::*;

    fn end() -> io::Error {
        io::ErrorKind::BrokenPipe.into()
    }

    impl Program for Programs {
        async fn open(&mut self) -> io::Result<()> {
            while self.reports.try_recv().is_ok() {}
            self.events.send(Event::Opened).map_err(|_| end())
        }

        async fn close(&mut self) -> io::Result<()> {
            self.events.send(Event::Closed).map_err(|_| end())
        }

        async fn write(&mut self, report: &Report) -> io::Result<()> {
            self.events.send(Event::Report(*report)).map_err(|_| end())
        }

        async fn read(&mut self) -> io::Result<Report> {
            self.reports.recv().await.ok_or_else(end)
        }
    }

    #[tokio::test]
    async fn it_obeys_the_rules() {
        let (device, programs) = pair();
        conformance::run(device, programs).await.unwrap();
    }
}
