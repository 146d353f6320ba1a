//! The reader, claimed: nobody else can use it until it is given back, which happens on every way out.
//! Depends on the sibling `bus`.

use tokio::runtime::Handle;

use super::{DEVICE, SELF, reason};
use crate::desktop::Error;
use crate::desktop::bus::{Caller, Peer};

/// The reader, ours for now; given back on drop.
pub(super) struct Claim {
    caller: Caller,
    pub(super) device: String,
    scanning: bool,
}

impl Claim {
    pub(super) async fn of(peer: &Peer, device: String) -> Result<Self, Error> {
        // Before the call: dropped while it waits, it may have been granted.
        let claim = Self { caller: peer.caller(), device, scanning: false };
        claim.call("Claim", &SELF).await?;
        Ok(claim)
    }

    pub(super) async fn start(&mut self) -> Result<(), Error> {
        self.scanning = true;
        self.call("VerifyStart", &"any").await
    }

    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        self.scanning = false;
        self.call("VerifyStop", &()).await
    }

    /// Gives the reader back before the user hears how it went, so that the next one finds it free.
    pub(super) async fn end(mut self) {
        give_back(&self.caller, &self.device, self.scanning).await;
        self.device.clear();
    }

    async fn call<B>(&self, method: &str, body: &B) -> Result<(), Error>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType + Sync,
    {
        self.caller.raw(&self.device, DEVICE, method, body).await?.map(drop).map_err(reason)
    }
}

/// What fails here fails for a reader that is gone, or that is not ours.
async fn give_back(caller: &Caller, device: &str, scanning: bool) {
    if scanning {
        let _ = caller.raw(device, DEVICE, "VerifyStop", &()).await;
    }
    let _ = caller.raw(device, DEVICE, "Release", &()).await;
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.device.is_empty() {
            return;
        }
        // Without a runtime the connection ends, which tells fprintd the same.
        let Ok(runtime) = Handle::try_current() else { return };
        let (caller, device, scanning) =
            (self.caller.clone(), std::mem::take(&mut self.device), self.scanning);
        runtime.spawn(async move { give_back(&caller, &device, scanning).await });
    }
}
