//! From btleplug's errors to those of this layer. Depends on btleplug.

use crate::ble::Error;

/// Tells the reasons apart that a user can do something about.
pub(super) fn reason(error: btleplug::Error) -> Error {
    match error {
        btleplug::Error::PermissionDenied => Error::PermissionDenied,
        btleplug::Error::NoAdapterAvailable => Error::NoAdapter,
        btleplug::Error::Other(inner) => by_platform(inner),
        other => Error::Backend(Box::new(other)),
    }
}

type Inner = Box<dyn std::error::Error + Send + Sync>;

#[cfg(not(target_os = "linux"))]
fn by_platform(error: Inner) -> Error {
    Error::Backend(error)
}

#[cfg(target_os = "linux")]
fn by_platform(error: Inner) -> Error {
    use bluez_async::BluetoothError as E;
    let name = match error.downcast_ref::<E>() {
        Some(E::NoBluetoothAdapters) => return Error::NoAdapter,
        Some(E::DbusError(cause)) => cause.name().unwrap_or_default().to_owned(),
        _ => return Error::Backend(error),
    };
    Error::from_dbus(&name, error)
}
