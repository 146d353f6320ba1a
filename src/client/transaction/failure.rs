//! What the driver knows, put into the error that the protocol makes of it.

use super::Driver;
use crate::client::Error;
use crate::hybrid;

impl Driver {
    /// Explains what ended the transaction.
    pub(super) fn explain(&mut self, error: hybrid::Error) -> Error {
        use hybrid::Error as E;
        let no_tunnel = self.failure.take().filter(|_| error != E::Cancelled);
        match (error, self.service.take(), no_tunnel, self.broken.take(), self.bluetooth.take()) {
            (_, Some(service), Some(source), _, Some(bluetooth)) => {
                Error::Neither { bluetooth, service: Box::new(service), source }
            }
            (_, Some(service), Some(source), ..) if self.transaction.qr_text().is_none() => {
                Error::Ring { service: Box::new(service), source }
            }
            (_, Some(service), Some(source), ..) => {
                Error::Tunnel { service: Box::new(service), source }
            }
            (E::ChannelFailed | E::TimedOut(_) | E::PeerClosed(_), None, _, _, Some(why)) => {
                Error::Bluetooth(why)
            }
            (E::PeerClosed(waiting), _, _, Some(source), _) => {
                Error::Broken { via: self.via, waiting, source }
            }
            (error, ..) => Error::Protocol(error),
        }
    }
}
