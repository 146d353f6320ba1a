//! From zbus's errors to those of this layer. Depends on zbus.

use crate::ble::Error;

/// Gives what follows `org.bluez.Error.` in the name of an error.
pub(super) fn bluez_error(error: &zbus::Error) -> Option<&str> {
    name(error).strip_prefix("org.bluez.Error.")
}

fn name(error: &zbus::Error) -> &str {
    match error {
        zbus::Error::MethodError(name, ..) => name.as_str(),
        _ => "",
    }
}

/// Tells the reasons apart that a user can do something about.
pub(super) fn reason(error: zbus::Error) -> Error {
    use zbus::Error as E;
    match &error {
        E::InputOutput(cause) | E::Connection(cause, _) if is_denial(cause) => {
            Error::PermissionDenied
        }
        E::InputOutput(_) | E::Connection(..) | E::Address(_) | E::Handshake(_) => {
            Error::NoService(Box::new(error))
        }
        _ => {
            let name = name(&error).to_owned();
            Error::from_dbus(&name, error)
        }
    }
}

fn is_denial(cause: &std::io::Error) -> bool {
    cause.kind() == std::io::ErrorKind::PermissionDenied
}
