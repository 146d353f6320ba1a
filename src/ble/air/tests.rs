use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::ble::conformance::{Suite, links};
use crate::ble::{Address, AddressType, FolderProblem, Linker as _, Listener as _, Scan as _};
use crate::hybrid::advert::Psm;

const PATIENCE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn radio(folder: &Path, conditions: Conditions) -> AirRadio {
    AirRadio::new(folder, conditions).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn hear(scan: &mut AirScan, data: &[u8]) -> Sighting {
    let search = async {
        loop {
            let sighting = scan.next().await.unwrap();
            if sighting.service_data == data {
                return sighting;
            }
        }
    };
    timeout(PATIENCE, search).await.expect("not heard in time")
}

#[tokio::test]
async fn conforms_on_good_air() {
    let dir = TempDir::new().unwrap();
    let radio = radio(&dir.path().join("air"), Conditions::default());
    Suite::new(&radio, &radio, PATIENCE, 1000, 0).run().await.unwrap();
    assert_eq!(names(&dir.path().join("air")), Vec::<String>::new());
}

#[tokio::test]
async fn conforms_on_bad_air() {
    let dir = TempDir::new().unwrap();
    let conditions = Conditions {
        interval: Duration::from_millis(1),
        loss: 0.3,
        delay: Duration::from_millis(5),
        foreign: 1000,
        replay: false,
        seed: Some(3),
    };
    let radio = radio(&dir.path().join("air"), conditions);
    Suite::new(&radio, &radio, PATIENCE, 50, 0).run().await.unwrap();
}

#[tokio::test]
async fn the_folder_is_made_for_us_alone() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("new/air");
    let radio = radio(&folder, Conditions::default());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let scan = radio.scan().await.unwrap();
    let socket = folder.join(&names(&folder)[0]);
    assert_eq!(fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
    drop(scan);
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_others_can_write_is_refused() {
    let dir = TempDir::new().unwrap();
    let radio = radio(dir.path(), Conditions::default());
    for mode in [0o770, 0o702, 0o1777] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let advert = radio.advertise(Outgoing::new(&[1; 20])).await.map(drop);
        let all = [
            AirRadio::new(dir.path(), Conditions::default()).map(drop),
            radio.scan().await.map(drop),
            advert,
        ];
        for result in all {
            let problem = match result {
                Err(Error::UnsafeFolder { problem, .. }) => problem,
                other => panic!("{mode:o}: {other:?}"),
            };
            assert_eq!(problem, FolderProblem::WritableByOthers);
        }
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    radio.scan().await.map(drop).unwrap();
}

#[tokio::test]
async fn files_links_and_foreign_folders_are_refused() {
    let dir = TempDir::new().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "").unwrap();
    symlink(dir.path(), &link).unwrap();
    for path in [&file, &link] {
        let result = AirRadio::new(path, Conditions::default());
        let problem = FolderProblem::NotAFolder;
        assert!(matches!(result, Err(Error::UnsafeFolder { problem: p, .. }) if p == problem));
    }
    // Root can give a folder away; for everybody else root's own folders are foreign.
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    let ours = fs::metadata(&foreign).unwrap().uid();
    let given_away = chown(&foreign, Some(ours + 1), None).is_ok();
    let foreign = if given_away { foreign.as_path() } else { Path::new("/usr") };
    assert_ne!(fs::metadata(foreign).unwrap().uid(), ours);
    let result = AirRadio::new(foreign, Conditions::default());
    let problem = FolderProblem::ForeignOwner;
    assert!(matches!(result, Err(Error::UnsafeFolder { problem: p, .. }) if p == problem));
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_said_to_be_so() {
    let dir = TempDir::new().unwrap();
    let padding = |len: usize| dir.path().join("x".repeat(len - dir.path().as_os_str().len() - 1));
    let radio = radio(&padding(85), Conditions::default());
    radio.scan().await.map(drop).unwrap();
    let long = AirRadio::new(padding(86), Conditions::default());
    assert!(matches!(long, Err(Error::PathTooLong { len: 86, max: 85, .. })), "{long:?}");
    assert!(!padding(86).exists());
}

#[tokio::test]
async fn dead_sockets_are_removed_and_all_else_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let radio = radio(dir.path(), Conditions::default());
    let mut scan = radio.scan().await.unwrap();
    drop(BlockingDatagram::bind(dir.path().join("0123456789abcdef.scan")).unwrap());
    drop(BlockingDatagram::bind(dir.path().join("other.sock")).unwrap());
    fs::write(dir.path().join("file.scan"), "precious").unwrap();
    symlink(dir.path().join("other.sock"), dir.path().join("link.scan")).unwrap();
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear(&mut scan, &[1; 20]).await;
    let names = names(dir.path());
    assert!(!names.contains(&"0123456789abcdef.scan".to_owned()), "{names:?}");
    for kept in ["other.sock", "file.scan", "link.scan"] {
        assert!(names.contains(&kept.to_owned()), "{kept} of {names:?}");
    }
}

#[tokio::test]
async fn strange_datagrams_are_skipped() {
    let dir = TempDir::new().unwrap();
    let radio = radio(dir.path(), Conditions { interval: DAY, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    let socket = dir.path().join(&names(dir.path())[0]);
    let stranger = BlockingDatagram::unbound().unwrap();
    let long = [&b"cab1\x01\x01\x02\x03\x04\x05\x06\xff\xf9"[..], &[0; 5000]].concat();
    for datagram in [&b""[..], b"hello", &long] {
        stranger.send_to(datagram, &socket).unwrap();
    }
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    let heard = timeout(PATIENCE, scan.next()).await.unwrap().unwrap();
    assert_eq!(heard.service_data, [1; 20]);
}

#[tokio::test]
async fn a_full_socket_loses_adverts_and_stops_nobody() {
    let dir = TempDir::new().unwrap();
    let radio = radio(dir.path(), Conditions { interval: DAY, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    for round in 0..5_000_u32 {
        let data = [&round.to_be_bytes()[..], &[0; 16]].concat();
        drop(radio.advertise(Outgoing::new(&data)).await.unwrap());
    }
    let mut waiting = 0;
    while let Ok(sighting) = timeout(Duration::from_millis(1), scan.next()).await {
        sighting.unwrap();
        waiting += 1;
    }
    assert!((1..5_000).contains(&waiting), "{waiting} adverts were kept");
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear(&mut scan, &[1; 20]).await;
}

#[tokio::test]
async fn a_cancelled_next_loses_no_reception() {
    let dir = TempDir::new().unwrap();
    let radio = radio(dir.path(), Conditions { interval: DAY, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    for round in 0..200 {
        let glance = tokio::select! {
            biased;
            heard = scan.next() => Some(heard),
            () = std::future::ready(()) => None,
        };
        assert!(glance.is_none());
        let _advert = radio.advertise(Outgoing::new(&[round; 20])).await.unwrap();
        hear(&mut scan, &[round; 20]).await;
    }
}

#[tokio::test]
async fn replay_outlives_the_scan_that_heard() {
    let dir = TempDir::new().unwrap();
    let good = radio(dir.path(), Conditions::default());
    let bad = radio(dir.path(), Conditions { replay: true, ..Conditions::default() });
    for round in 0..20 {
        let advert = good.advertise(Outgoing::new(&[round; 20])).await.unwrap();
        hear(&mut bad.scan().await.unwrap(), &[round; 20]).await;
        drop(advert);
    }
    fs::write(dir.path().join("zz.heard"), vec![0; 100_000]).unwrap();
    let kept = names(dir.path()).into_iter().filter(|name| name.ends_with(".heard")).count();
    assert!(kept <= 17, "{kept}");
    hear(&mut bad.scan().await.unwrap(), &[19; 20]).await;
}

const ANYWHERE: Address = Address { bytes: [1; 6], kind: AddressType::Random };

#[tokio::test]
async fn connections_conform_and_leave_nothing() {
    let dir = TempDir::new().unwrap();
    let (laptop, phone) =
        (radio(dir.path(), Conditions::default()), radio(dir.path(), Conditions::default()));
    links(&laptop, &phone, ANYWHERE, PATIENCE, NonZeroU32::MIN).await.unwrap();
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_port_is_its_owners_alone() {
    let dir = TempDir::new().unwrap();
    let listener = radio(dir.path(), Conditions::default()).listen().await.unwrap();
    let name = format!("{:04x}.l2cap", listener.psm().0);
    assert_eq!(names(dir.path()), std::slice::from_ref(&name));
    assert_eq!(fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn ports_of_the_dead_are_taken_over_and_the_last_one_too() {
    let dir = TempDir::new().unwrap();
    let radio = radio(dir.path(), Conditions::default());
    for psm in crate::ble::DYNAMIC_PSMS {
        // Dropping a listener of the standard library leaves its socket behind.
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(format!("{psm:04x}.l2cap"))));
    }
    let refused = radio.connect(ANYWHERE, Psm(0x80)).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))));
    let mut all = Vec::new();
    for _ in crate::ble::DYNAMIC_PSMS {
        all.push(radio.listen().await.unwrap());
    }
    assert!(matches!(radio.listen().await, Err(Error::NoFreePort)));
    let last = all.pop().unwrap().psm();
    assert_eq!(radio.listen().await.unwrap().psm(), last);
}
