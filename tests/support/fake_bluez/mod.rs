//! A fake `org.bluez` for tests: real Bluetooth code runs against it without hardware.
//!
//! It stands between a D-Bus and a simulated radio. What a client registers with
//! `LEAdvertisingManager1` is sent on that radio, what the radio hears shows up as `Device1`
//! objects while a client has discovery on. With `air:DIR` as the radio, programs that use
//! Bluetooth and programs that use the simulated radio meet.
//!
//! ```text
//!   program ──D-Bus──> FakeBluez ──> Radio (memory, air:DIR) <── other programs, other FakeBluez
//! ```
//!
//! Start a [`PrivateBus`], a [`FakeBluez`] on it, and the program under test with
//! `DBUS_SYSTEM_BUS_ADDRESS` set to [`PrivateBus::address`]. Needs `dbus-daemon` (Debian: dbus).
//!
//! What it does as bluetoothd does: discovery and adverts belong to the client's name and end with
//! it; one discovery per client; service data again on each reception only if a client asked for
//! duplicates; nothing for clients that filter by UUID; the 31-byte budget; a limited number of
//! adverts. What it does not do: connections, pairing, caching of devices between discoveries. An
//! adapter hears its own adverts, which hardware does not.

mod advert;
mod bus;
mod device;
mod dispatch;
mod state;

use std::sync::Arc;

use cabled::ble::Radio;
use tokio::task::JoinHandle;
use zbus::{Connection, MessageStream, connection};

pub(crate) use advert::Request;
pub(crate) use bus::PrivateBus;
pub(crate) use state::Counts;
use state::State;

/// A running fake; gone from the bus when dropped.
#[derive(Debug)]
pub(crate) struct FakeBluez {
    state: Arc<State>,
    connection: Connection,
    server: JoinHandle<()>,
}

impl FakeBluez {
    /// Serves the adapters (`hci0`, ...), which all are on `radio`, on the bus at `address`.
    pub(crate) async fn start(
        address: &str,
        radio: Radio,
        adapters: &[&str],
    ) -> Result<Self, zbus::Error> {
        let connection = connection::Builder::address(address)?.build().await?;
        let state = Arc::new(State::new(radio, adapters));
        let calls = MessageStream::from(&connection);
        dispatch::watch_names(&connection).await?;
        let server = tokio::spawn(dispatch::serve(connection.clone(), calls, Arc::clone(&state)));
        connection.request_name("org.bluez").await?;
        Ok(Self { state, connection, server })
    }

    /// Switches an adapter on or off, as `bluetoothctl power` does.
    pub(crate) async fn set_powered(&self, adapter: &str, on: bool) -> Result<(), zbus::Error> {
        dispatch::set_powered(&self.connection, &self.state, &state::path(adapter), on).await
    }

    /// Refuses every call from now on, as D-Bus does to users without the right to Bluetooth.
    pub(crate) fn deny_all(&self) {
        self.state.lock().denied = true;
    }

    /// Lets the controllers refuse the adverts for which `refuses` gives the name of an error.
    pub(crate) fn refuse(
        &self,
        refuses: impl Fn(&Request) -> Option<&'static str> + Send + Sync + 'static,
    ) {
        self.state.lock().refuses = Some(Box::new(refuses));
    }

    /// Tells what clients have done so far and what is on.
    pub(crate) fn counts(&self) -> Counts {
        self.state.counts()
    }
}

impl Drop for FakeBluez {
    fn drop(&mut self) {
        self.server.abort();
        self.state.end();
    }
}
