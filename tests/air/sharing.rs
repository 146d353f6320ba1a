//! A machine that shares its radio and hears nothing, for front ends that only have to say so.

use std::path::Path;

use cabled::ble::Radio;
use cabled::ble::remote::RemoteRadio;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// Its radio as the laptop has it, by way of a socket in this folder; it shares until it is aborted.
pub(crate) fn silent_radio(folder: &Path) -> (Radio, JoinHandle<()>) {
    let socket = folder.join("radio");
    let listener = UnixListener::bind(&socket).unwrap();
    let shares = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // A report of three bytes: it listens, with a real radio.
        stream.write_all(&[3, 1, 0, 0]).await.unwrap();
        std::future::pending().await
    });
    (Radio::Remote(RemoteRadio::new(socket)), shares)
}
