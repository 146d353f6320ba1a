//! `/dev/uhid`, through which a program can be a USB security key for browsers.
//!
//! Depends on the findings. A phone can be used without such a key, so nothing here is worse than a note.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use super::finding::{Area, Finding, Severity};

const AREA: Area = Area::VirtualKey;

/// Opens the device and closes it again; a key exists only after more than that.
pub(super) fn examine(device: &Path) -> Finding {
    judge(OpenOptions::new().read(true).write(true).open(device).err())
}

fn judge(error: Option<io::Error>) -> Finding {
    let Some(error) = error else {
        return Finding::ok(AREA, "/dev/uhid can be used");
    };
    let (cause, fix) = match error.kind() {
        io::ErrorKind::NotFound => (
            "there is no /dev/uhid, so that --uhid cannot make a virtual FIDO2 key",
            "if you want one: sudo modprobe uhid",
        ),
        _ => (
            "this user may not use /dev/uhid, so that --uhid cannot make a virtual FIDO2 key",
            "if you want one, a udev rule: KERNEL==\"uhid\", SUBSYSTEM==\"misc\", TAG+=\"uaccess\"",
        ),
    };
    Finding::new(Severity::Note, AREA, cause, fix).seen(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_forbidden_are_told_apart() {
        let missing = examine(Path::new("/nonexistent/uhid"));
        assert_eq!(missing.severity, Severity::Note);
        assert!(missing.cause.contains("there is no") && missing.fix.unwrap().contains("modprobe"));
        let denied = judge(Some(io::ErrorKind::PermissionDenied.into()));
        assert!(denied.cause.contains("may not use") && denied.fix.unwrap().contains("uaccess"));
        assert_eq!(judge(None).severity, Severity::Ok);
    }

    #[test]
    fn a_device_that_opens_is_fine() {
        assert_eq!(examine(Path::new("/dev/null")).severity, Severity::Ok);
    }
}
