//! Programs of others, with ways of their own.

use std::collections::HashMap;
use std::time::Duration;

use cabled::ble::{Advertiser as _, Outgoing, Scan as _, Scanner as _};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use zbus::message::Type;
use zbus::zvariant::{ObjectPath, Value};
use zbus::{Connection, MessageStream};

use crate::world::{PATIENCE, World, memory};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_on_btleplug_hear_too() {
    let world = World::with(memory(Duration::from_millis(20)), &["hci0"]).await;
    world.fake.set_powered("hci0", false).await.unwrap();
    let _phone = world.radio.advertise(Outgoing::new(&[7; 20])).await.unwrap();
    world.passes("child_hears_through_btleplug").await;
    world.until(|now| now.discovering == 0).await;
}

/// An advert as bluer describes it, but for what it leaves empty.
fn advert() -> HashMap<&'static str, Value<'static>> {
    let uuid = "0000fff9-0000-1000-8000-00805f9b34fb";
    let data = HashMap::from([(uuid, Value::from(vec![5_u8; 20]))]);
    HashMap::from([("Type", Value::from("broadcast")), ("ServiceData", Value::from(data))])
}

/// Answers the questions about an advert, but for the first.
async fn answer_late(connection: Connection, mut questions: MessageStream) {
    let mut asked = 0;
    while let Some(Ok(message)) = questions.next().await {
        if message.message_type() == Type::MethodCall {
            asked += 1;
            if asked > 1 {
                connection.reply(&message.header(), &advert()).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_leaves_the_first_question_lying_is_asked_again() {
    let world = World::with(memory(Duration::from_millis(20)), &["hci0"]).await;
    let client = zbus::connection::Builder::address(world.bus.address()).unwrap();
    let client = client.build().await.unwrap();
    tokio::spawn(answer_late(client.clone(), MessageStream::from(&client)));
    let mut laptop = world.radio.scan().await.unwrap();
    let object = ObjectPath::try_from("/advert").unwrap();
    let body = (object, HashMap::<&str, Value<'_>>::new());
    let (bluez, manager) = ("org.bluez", "org.bluez.LEAdvertisingManager1");
    let registered = client.call_method(
        Some(bluez),
        "/org/bluez/hci0",
        Some(manager),
        "RegisterAdvertisement",
        &body,
    );
    timeout(PATIENCE, registered).await.unwrap().unwrap();
    let search = async { while laptop.next().await.unwrap().service_data != [5; 20] {} };
    timeout(PATIENCE, search).await.unwrap();
    client.close().await.unwrap();
    world.until(|now| now.on_air == 0).await;
}
