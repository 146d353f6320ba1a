//! The receipts of this service's passkeys.
//!
//! Depends on siblings in `client` and tokio only.

use super::journal::TransactionId;
use super::{Error, Service};
use crate::client::receipts::{self, Receipt, ReceiptNumber, Receipts};

impl Service {
    /// The passkeys for this relying party that came through this laptop.
    pub(in crate::client) async fn carried(&self, rp_id: &str) -> Vec<Vec<u8>> {
        let rp_id = rp_id.to_owned();
        let carried = self.with_receipts(move |all| all.carried(&rp_id)).await;
        carried.ok().flatten().unwrap_or_default()
    }

    /// The program has the answer to its registration.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTransaction`] if nobody holds it any more, or if nothing was to be taken.
    pub async fn taken(&self, transaction: TransactionId) -> Result<(), Error> {
        let receipt = self.0.list.take(transaction).ok_or(Error::NoSuchTransaction)?;
        let at = (self.0.sources.clock)();
        if let Err(error) = self.with_receipts(move |all| all.taken(receipt, at)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a receipt stays open");
        }
        Ok(())
    }

    /// All receipts, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Receipts::list`].
    pub async fn receipts(&self) -> Result<Vec<(ReceiptNumber, Receipt)>, receipts::Error> {
        Ok(self.with_receipts(Receipts::list).await?.unwrap_or_default())
    }

    /// Receipts of passkeys that no program took, oldest first, without those that one may still take.
    ///
    /// # Errors
    ///
    /// Those of [`Receipts::list`].
    pub async fn orphans(&self) -> Result<Vec<(ReceiptNumber, Receipt)>, receipts::Error> {
        let mut all = self.receipts().await?;
        let held = self.0.list.untaken();
        all.retain(|(number, receipt)| receipt.may_be_orphaned() && !held.contains(number));
        Ok(all)
    }

    /// Removes a receipt.
    ///
    /// # Errors
    ///
    /// Those of [`Receipts::forget`].
    pub async fn forget(&self, receipt: ReceiptNumber) -> Result<(), receipts::Error> {
        let known = self.with_receipts(move |all| all.forget(receipt)).await?;
        known.ok_or(receipts::Error::NoSuchReceipt)
    }

    /// Does something with the receipts, on a thread that may wait for a disk; `None` without any.
    pub(super) async fn with_receipts<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Receipts) -> Result<T, receipts::Error> + Send + 'static,
    ) -> Result<Option<T>, receipts::Error> {
        let Some(receipts) = self.0.receipts.clone() else { return Ok(None) };
        let done = tokio::task::spawn_blocking(move || work(&receipts)).await;
        done.unwrap_or(Err(receipts::Error::Damaged)).map(Some)
    }
}
