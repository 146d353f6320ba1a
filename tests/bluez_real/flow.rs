//! The command line over real Bluetooth: what works, and what is said when it does not.

use cabled::cli::relying_party::Account;

use crate::world::{LAPTOP, PHONE, World, in_order, site};

/// A registration and a sign-in, with these further options of the laptop; both see these lines.
async fn flow(world: World, more: &[&str], connected: &str) {
    let mut site = site();
    let (options, ceremony) = site.begin_registration().unwrap();
    let mut laptop = world.laptop(&[&["register"], more].concat(), &options, LAPTOP);
    let phone = world.phone(&laptop.begins("FIDO:/"));
    let laptop = laptop.end().succeeded();
    assert!(site.finish_registration(ceremony, &laptop.out[0]).unwrap().user_verified);
    in_order(&laptop, &["Connecting to your phone", "Passkey saved"]);
    in_order(&phone.end().succeeded(), &["Showing this phone", connected, "got"]);

    let (options, ceremony) = site.begin_sign_in(Account::FromPasskey).unwrap();
    let mut laptop = world.laptop(&[&["sign-in"], more].concat(), &options, LAPTOP);
    let phone = world.phone(&laptop.begins("FIDO:/"));
    let laptop = laptop.end().succeeded();
    assert!(site.finish_sign_in(ceremony, &laptop.out[0]).unwrap().user_verified);
    in_order(&phone.end().succeeded(), &[connected, "Signed in to passkeys.example", "got"]);
    world.ends_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn a_registration_and_a_sign_in_through_the_relay() {
    flow(World::new().await, &[], "Connected to the laptop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn a_registration_and_a_sign_in_over_l2cap() {
    let world = World::without_internet().await;
    flow(world, &["--offline"], "Connected to the laptop over Bluetooth.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn bluetooth_goes_off_while_the_laptop_listens() {
    let world = World::new().await;
    let (options, _) = site().begin_registration().unwrap();
    let mut laptop = world.laptop(&["register"], &options, LAPTOP);
    laptop.begins("FIDO:/");
    world.bluez.listening(LAPTOP, true).await;
    world.bluez.switch(LAPTOP, false).await;
    let (error, hint) = laptop.end().failed(3);
    assert_eq!(error, "the Bluetooth adapter is switched off");
    assert!(hint.contains("bluetoothctl power on"), "{hint}");
    let found_off = world.laptop(&["register"], &options, LAPTOP).end().failed(3);
    assert_eq!(found_off, (error, hint));
    world.bluez.switch(LAPTOP, true).await;
    world.ends_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn bluetooth_goes_off_while_the_phone_advertises() {
    let world = World::new().await;
    let (options, _) = site().begin_registration().unwrap();
    // On the phone's own adapter nobody hears the advert, so that it stays on the air.
    let mut laptop = world.laptop(&["register"], &options, PHONE);
    let phone = world.phone(&laptop.begins("FIDO:/"));
    world.bluez.on_air(PHONE, 1).await;
    world.bluez.switch(PHONE, false).await;
    let said = "the Bluetooth adapter is switched off";
    for program in [laptop, phone] {
        let (error, hint) = program.end().failed(3);
        assert_eq!(error, said);
        assert!(hint.contains("bluetoothctl power on"), "{hint}");
    }
    world.bluez.switch(PHONE, true).await;
    world.ends_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn sudden_death_leaves_nothing_on_the_air() {
    let world = World::new().await;
    let (options, _) = site().begin_registration().unwrap();
    let mut laptop = world.laptop(&["register"], &options, PHONE);
    let phone = world.phone(&laptop.begins("FIDO:/"));
    world.bluez.on_air(PHONE, 1).await;
    world.bluez.listening(PHONE, true).await;
    phone.signal("KILL");
    world.bluez.on_air(PHONE, 0).await;
    laptop.signal("KILL");
    world.ends_quiet().await;
}
