//! What the driver knows, put into the error that the protocol makes of it.

use rand_core::{CryptoRng, RngCore};

use super::Driver;
use crate::authenticator::engine::Outcome;
use crate::authenticator::phone::Progress;
use crate::authenticator::{Consent, Error, PasskeyStore, Timestamp};
use crate::channel;
use crate::hybrid::{self, Waiting};

impl<S, C, K, R, P> Driver<'_, S, C, K, R, P>
where
    S: PasskeyStore + Send + Sync,
    C: Consent + Send + Sync,
    K: Fn() -> Timestamp + Send + Sync,
    R: RngCore + CryptoRng + Send,
    P: FnMut(Progress<'_>) + Send,
{
    /// Explains what ended the transaction.
    pub(super) fn explain(&mut self, error: hybrid::Error) -> Error {
        if let Some(why) = self.off_air.take() {
            return Error::Radio(why);
        }
        use hybrid::Error as E;
        let no_tunnel = match error {
            E::TimedOut(Waiting::Channel) => Some(Box::new(channel::Error::TimedOut)),
            E::ChannelFailed | E::TimedOut(Waiting::Client) | E::PeerClosed(Waiting::Client) => {
                self.failure.take()
            }
            _ => None,
        };
        let error = match (error, no_tunnel, self.broken.take()) {
            (error, Some(source), _) => self.no_tunnel(error, source),
            (E::PeerClosed(waiting), _, Some((via, source))) => {
                Error::Broken { via, waiting, source }
            }
            (error, ..) => Error::Protocol(error),
        };
        match self.unacknowledged.take() {
            Some(Outcome::Saved { credential }) => {
                Error::Unconfirmed { credential, source: Box::new(error) }
            }
            _ => error,
        }
    }

    /// The tunnel service cannot be used, and if Bluetooth could have done, nothing came of that.
    fn no_tunnel(&mut self, error: hybrid::Error, source: Box<channel::Error>) -> Error {
        let service = Box::new(self.phone.config.relay.clone());
        let waited = matches!(
            error,
            hybrid::Error::TimedOut(Waiting::Client) | hybrid::Error::PeerClosed(Waiting::Client)
        );
        match self.no_door.take() {
            None if !waited => Error::Tunnel { service, source },
            bluetooth => Error::Neither { bluetooth, service, source },
        }
    }
}
