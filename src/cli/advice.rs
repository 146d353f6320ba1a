//! What to do about each error: from the library's typed errors to a [`Failure`] with a hint.

mod laptop;
mod nearby;
mod remote;
mod tunnel;

use super::failure::{Failure, Status};
use super::image::ImageError;
use super::screen::ScreenError;
use crate::hybrid::qr::{self, ChannelKind};
#[cfg(target_os = "linux")]
use crate::testbed;
use crate::{authenticator, ble, channel, client, hybrid};

pub(crate) use self::laptop::{begin, ceremony, phones, receipts, webauthn};
pub(crate) use self::remote::remote;
use self::tunnel::{Side, broken, tunnel};

/// The radio: this is the Bluetooth half.
pub(crate) fn radio(error: &ble::Error) -> Failure {
    use ble::Error as E;
    let hint = match error {
        E::NoAdapter => "plug in or enable a Bluetooth adapter; both devices need Bluetooth",
        E::PoweredOff => "switch Bluetooth on, for example with: bluetoothctl power on",
        E::AdapterGone => "plug the adapter in again, or name another one: bluez:hci1",
        E::ServiceGone => "run the command again; if it stays: systemctl status bluetooth",
        E::PermissionDenied => "ask for the right to use Bluetooth, often the group \"bluetooth\"",
        E::SimulatedOnly => "use --radio air:DIR with the same DIR on both sides",
        E::UnsafeFolder { .. } => "choose a folder of your own that nobody else may write to",
        E::PathTooLong { .. } => "choose a folder with a shorter path, such as /tmp/air",
        E::Air { .. } => "check that the folder can be made and written to",
        #[cfg(feature = "bluetooth")]
        E::NoFreeSlot { .. } => "end another program that advertises over Bluetooth",
        #[cfg(feature = "bluetooth")]
        E::Refused { .. } | E::ReceivesOnly => "try another Bluetooth adapter: --adapter hci1",
        E::TooLong { .. } => "leave out the L2CAP offer, which makes the advert longer",
        E::Shared(why) => return radio(why),
        _ => remote::radio(error).unwrap_or("find out what is wrong with: cabled doctor"),
    };
    Failure::because(Status::Radio, error, hint)
}

/// What ended a transaction of the laptop.
pub(crate) fn client(error: &client::Error) -> Failure {
    use client::Error as E;
    match error {
        E::Radio(why) => radio(why),
        E::Tunnel { source, .. } => tunnel(error, source, Side::Laptop),
        E::Ring { source, .. } => ring(error, source),
        E::Bluetooth(why) => nearby::unreachable(error, why, false),
        E::Neither { bluetooth, .. } => nearby::unreachable(error, bluetooth, true),
        E::Broken { via: ChannelKind::L2cap, source, .. } => {
            nearby::broken(error, source, Side::Laptop)
        }
        E::Broken { source, .. } => broken(error, source, Side::Laptop),
        E::Protocol(why) => laptop_protocol(why),
        E::SimulatedRadio => simulated(error),
        E::CannotLink => Failure::because(Status::Usage, error, "leave out --offline"),
        _ => Failure::because(Status::Failure, error, "run the command again"),
    }
}

/// A linked phone that did not come.
fn ring(error: &client::Error, source: &channel::Error) -> Failure {
    use channel::Error as E;
    let said = |text: &str, hint| Failure::new(Status::NotHeard, text, hint);
    match source {
        E::Status { status: 410 } => said(
            "the phone does not know this computer any more",
            "scan a code instead, and have the phone remembered again with --remember",
        ),
        E::Status { status: 404 | 504 } => said(
            "the phone does not listen now",
            "unlock it, see that it is on and has internet, or leave out --phone and scan a code",
        ),
        E::Status { status: 429 } => said(
            "the phone was rung too often, or has too much to do",
            "wait half a minute, or leave out --phone and scan a code",
        ),
        source => tunnel(error, source, Side::Laptop),
    }
}

/// What ended a transaction of the phone.
pub(crate) fn authenticator(error: &authenticator::Error) -> Failure {
    use authenticator::Error as E;
    match error {
        E::Radio(why) => radio(why),
        E::Tunnel { source, .. } => tunnel(error, source, Side::Phone),
        E::Bluetooth(why) => nearby::no_door(error, why),
        E::Neither { bluetooth, .. } => nearby::nobody_came(error, bluetooth.is_none()),
        E::Broken { via: ChannelKind::L2cap, source, .. } => {
            nearby::broken(error, source, Side::Phone)
        }
        E::Broken { source, .. } => broken(error, source, Side::Phone),
        E::Unconfirmed { source, .. } => {
            let hint = "look at: cabled phone passkeys list; if the site does not offer the new \
                        passkey at the next sign-in, delete it and register again";
            Failure::because(authenticator(source).status, error, hint)
        }
        E::Protocol(why) => phone_protocol(why),
        E::Store(why) => store(why),
        E::SimulatedRadio => simulated(error),
    }
}

/// What to do about a tunnel service that did not serve a look at it.
pub(crate) fn service(error: &channel::Error) -> String {
    tunnel(error, error, Side::Phone).hint
}

fn simulated(error: &dyn std::error::Error) -> Failure {
    let hint =
        "name a relay of your own with --relay, or say --simulated-with-public if you mean it";
    Failure::because(Status::Usage, error, hint)
}

fn laptop_protocol(error: &hybrid::Error) -> Failure {
    use hybrid::{Error as E, Waiting as W};
    let (status, hint) = match error {
        E::NoAdvert(heard) if heard.unassigned_service.is_some() => (
            Status::Protocol,
            "the phone was heard, but named a tunnel service that does not exist; update its software",
        ),
        E::NoAdvert(_) => (
            Status::NotHeard,
            "scan the code with the phone's camera, switch Bluetooth on in the phone, hold it near \
             this computer, and check that the phone has internet",
        ),
        E::TimedOut(W::Response) | E::PeerClosed(W::Response) => (
            Status::NotHeard,
            "look at the phone, then try again; if it now has a passkey that the site does not \
             know, delete that passkey there",
        ),
        E::TimedOut(W::Channel) => {
            (Status::Network, "check the internet connection; a firewall may swallow the packets")
        }
        E::TimedOut(_) | E::PeerClosed(_) => (
            Status::NotHeard,
            "keep the phone on and near, check its internet, and scan a new code",
        ),
        E::ChannelFailed => (Status::Network, "check the internet connection of both devices"),
        E::Handshake(_) => (
            Status::Protocol,
            "scan a new code, with one phone only; if it stays, somebody may be in between",
        ),
        E::Frame(_) | E::PostHandshake(_) | E::OutOfTurn => {
            (Status::Protocol, "scan a new code; if it stays, the phone's software is to blame")
        }
        E::NotOffered => (Status::Refused, "use a phone that offers passkeys"),
        E::Cancelled => (Status::Interrupted, "run the command again when you are ready"),
        _ => (Status::Failure, "run the command again"),
    };
    Failure::because(status, error, hint)
}

fn phone_protocol(error: &hybrid::Error) -> Failure {
    use hybrid::{Error as E, Waiting as W};
    let (status, hint) = match error {
        E::TimedOut(W::Client) | E::PeerClosed(W::Client) => (
            Status::NotHeard,
            "check that the laptop still shows the code, has Bluetooth and internet, and is near",
        ),
        E::TimedOut(W::Acknowledgement) | E::PeerClosed(W::Acknowledgement) => (
            Status::NotHeard,
            "the laptop may not have got the answer; if it says so, show and scan a new code there",
        ),
        E::TimedOut(W::Channel) => {
            (Status::Network, "check the internet connection; a firewall may swallow the packets")
        }
        E::TimedOut(_) | E::PeerClosed(_) => {
            (Status::NotHeard, "the laptop gave up; show and scan a new code there")
        }
        E::ChannelFailed => (Status::Network, "check the internet connection"),
        E::NoCommonChannel => (Status::Radio, "let the laptop offer the tunnel too"),
        E::Handshake(_) | E::Frame(_) | E::OutOfTurn => {
            (Status::Protocol, "scan the code again, once; if it stays, somebody may be in between")
        }
        E::Cancelled => (Status::Interrupted, "scan a new code when you are ready"),
        _ => (Status::Failure, "scan the code again"),
    };
    Failure::because(status, error, hint)
}

/// Passkey store.
pub(crate) fn store(error: &authenticator::store::Error) -> Failure {
    use authenticator::store::Error as E;
    let (status, hint) = match error {
        E::NotFound => {
            (Status::Storage, "scan a code to make one, or name its folder with --store")
        }
        E::AlreadyExists => (Status::Storage, "use it, or name another folder with --store"),
        E::InUse => (Status::Locked, "wait for the other program, or end it"),
        E::WrongPin { .. } => (Status::Locked, "try again; nothing is lost by wrong PINs"),
        E::LockedOut { .. } => {
            (Status::Locked, "wait; nothing is lost, and the right PIN works then")
        }
        E::NewerSchema { .. } => (Status::Storage, "use the newer version of cabled that wrote it"),
        E::Corrupt => (Status::Storage, "keep a copy of the file, then restore a backup"),
        E::DiskFull(_) => (Status::Storage, "free some space and try again; nothing was changed"),
        E::Permission(_) => (Status::Storage, "check who owns the folder named by --store"),
        E::NoSuchPasskey => (Status::Usage, "see: cabled phone passkeys list"),
        E::TooLarge => (Status::Refused, "use shorter names"),
        _ => (Status::Storage, "check the disk that holds the folder named by --store"),
    };
    Failure::because(status, error, hint)
}

/// The virtual key's device.
#[cfg(target_os = "linux")]
pub(crate) fn uhid(error: &crate::uhid::Error) -> Failure {
    use crate::uhid::Error as E;
    let (status, hint) = match error {
        E::NoModule(_) => (Status::Failure, "load it as root: modprobe uhid"),
        E::NotAllowed(_) => {
            (Status::Failure, "let your user make keys with packaging/udev/70-cabled-uhid.rules")
        }
        _ => (Status::Failure, "run it again with -v"),
    };
    Failure::because(status, error, hint)
}

/// The test tools.
#[cfg(target_os = "linux")]
pub(crate) fn testbed(error: &testbed::Error) -> Failure {
    use testbed::Error as E;
    let (status, hint) = match error {
        E::NoDaemon => (Status::Failure, "install it; on Debian: apt install dbus"),
        E::NoDisplay => (Status::Failure, "install Xvfb; on Debian: apt install xvfb"),
        E::BadAdapter(_) => (Status::Usage, "name the adapters as Linux does: --adapter hci0"),
        E::Folder(_) => (Status::Storage, "name a folder that you may write to in TMPDIR"),
        E::Lingering(_) => (
            Status::Storage,
            "its folder, cabled-bus-*, may still be there: look in TMPDIR or /tmp",
        ),
        _ => (
            Status::Failure,
            "run it again; if it stays, try: dbus-daemon --session --print-address",
        ),
    };
    Failure::because(status, error, hint)
}

/// A text that should have been a QR's.
pub(crate) fn qr(error: &qr::Error) -> Failure {
    let hint = match error {
        qr::Error::Scheme => "scan the code of a passkey request; its text begins with FIDO:/",
        qr::Error::TooLong => "pass the text of one code and nothing else, some 180 characters",
        qr::Error::Digits(_) => {
            "scan the code again, or copy its whole text: no digit may be missing"
        }
        qr::Error::Member(0) => {
            "member 0 is the laptop's public key, 33 bytes; whoever made it erred"
        }
        qr::Error::Member(1) => {
            "member 1 is the secret of the code, 16 bytes; whoever made it erred"
        }
        qr::Error::Member(2) => "member 2 is a number of tunnel services; whoever made it erred",
        qr::Error::Member(3) => "member 3 is a time in seconds; whoever made it erred",
        qr::Error::Member(4) => "member 4 is true or false (linking); whoever made it erred",
        qr::Error::Member(5) => "member 5 is a text (the hint); whoever made it erred",
        _ => "scan the code again; if it stays, the software that made it is to blame",
    };
    Failure::because(Status::Usage, error, hint)
}

/// A picture without a code for us.
pub(crate) fn image(error: &ImageError) -> Failure {
    use ImageError as E;
    let (status, hint) = match error {
        E::Read(_) => (Status::Storage, "name a file that you may read with --image"),
        E::FileTooLarge | E::TooManyPixels => {
            (Status::Usage, "take a picture of the code alone, or a screenshot")
        }
        E::NotAPicture(_) => (Status::Usage, "name a PNG, JPEG, WebP, BMP or PNM file"),
        E::NotFido => {
            (Status::Usage, "take a picture of the code that the laptop shows for passkeys")
        }
        E::Several => (Status::Usage, "show just one code, the one that you want to answer"),
        _ => (Status::Usage, "take a sharper picture, with all of the code and its white border"),
    };
    Failure::because(status, error, hint)
}

/// A screen that cannot be looked at. Under Wayland no program may look at others.
pub(crate) fn screen(error: &ScreenError, wayland: bool) -> Failure {
    use ScreenError as E;
    let hint = match error {
        _ if wayland => "under Wayland take a screenshot yourself, and name it with --image FILE",
        E::NoDisplay | E::Connect(_) => {
            "run it in the desktop session that shows the code, or name a screenshot with --image"
        }
        _ => "take a screenshot, and name it with --image FILE",
    };
    Failure::because(Status::Failure, error, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_that_several_shared_fails_in_the_words_of_one_alone() {
        let alone =
            || ble::Error::Air { path: "/air".into(), source: std::io::Error::other("full") };
        let [alone, shared] =
            [radio(&alone()), radio(&ble::Error::Shared(std::sync::Arc::new(alone())))];
        assert!(alone.error.contains("/air") && alone.error.contains("full"), "{}", alone.error);
        assert_eq!((shared.error, shared.hint), (alone.error, alone.hint));
    }
}
