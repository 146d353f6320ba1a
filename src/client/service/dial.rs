//! The beginning of a transaction by either way, and its steps as everybody is told.
//!
//! Depends on siblings in `client`.

use tokio::task::JoinHandle;

use super::Service;
use super::journal::{Happened, TransactionId};
use super::way::Way;
use crate::client::ceremony::Error;
use crate::client::{self, Progress, ProgressStream, TransactionHandle};
use crate::hybrid;
use crate::hybrid::linking::LinkedDevice;
use crate::hybrid::qr::Hint;
use crate::printable::printable;

/// Begins to look for the phone, and tells everybody how it goes.
pub(super) fn dial(
    service: &Service,
    id: TransactionId,
    way: &Way,
    hint: Hint,
) -> (TransactionHandle, JoinHandle<()>) {
    let sources = &service.0.sources;
    let (client, rng) = (&service.0.client, &mut (sources.rng)());
    let (handle, progress) = match &way.phone {
        Some(phone) => client.ring(phone.device.clone(), hint, way.patience(), rng),
        None => client.begin_asking(hint, (sources.clock)(), way.remember, rng),
    };
    let rung = way.phone.as_ref().map(|phone| phone.name.clone());
    service.0.list.show(id, handle.qr_text().map(str::to_owned), rung);
    (handle, tokio::spawn(tell(service.clone(), id, progress)))
}

/// Whether another way to the phone is worth a try.
pub(super) fn may_yet_come(error: &Error) -> bool {
    use client::Error as E;
    match error {
        Error::Transaction(E::Radio(_) | E::SimulatedRadio | E::Over) => false,
        Error::Transaction(E::Protocol(hybrid::Error::Cancelled)) => false,
        Error::Transaction(_) => true,
        _ => false,
    }
}

/// Tells the steps until there will be none.
async fn tell(service: Service, id: TransactionId, mut progress: ProgressStream) {
    while let Some(step) = progress.next().await {
        match step {
            Progress::Linked(device) => remember(&service, id, *device).await,
            step => {
                if matches!(step, Progress::Connected { .. }) {
                    service.0.list.show(id, None, None);
                }
                service.note(id, Happened::Step(step));
            }
        }
    }
}

/// A phone that cannot be remembered is a phone all the same: what goes wrong is only told.
async fn remember(service: &Service, id: TransactionId, device: LinkedDevice) {
    let (sources, name) = (&service.0.sources, printable(&device.name));
    let Some(phones) = &service.0.phones else { return };
    let kept = phones.remember(device, (sources.clock)(), &mut *(sources.rng)()).await;
    service.note(
        id,
        match kept {
            Ok(phone) => Happened::Linked(phone.name),
            Err(error) => Happened::Note(format!("{name} agreed to be remembered, but {error}")),
        },
    );
}
