//! Bluetooth alone: no relay at all, and what happens when only one half of it works.

use std::time::Duration;

use cabled::authenticator::{self, State};
use cabled::ble::memory::MemoryRadio;
use cabled::ble::{
    self, Advertiser as _, Conditions, Link, Linker as _, Listener as _, Outgoing, Radio,
    RadioAdvertisement, RadioListener, Scan as _, Scanner as _, Sighting,
};
use cabled::channel::DataChannel as _;
use cabled::channel::l2cap::{Framing, L2capChannel};
use cabled::client::{self, Progress, ProgressStream, TransactionHandle, Unreachable};
use cabled::hybrid::advert::Psm;
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::ServiceUrl;
use cabled::hybrid::{self, Waiting};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::failures::{SHORT, answering, nobody};
use crate::world::{
    Answer, NOW, Scanning, Told, World, links, options_for, register, request_for, rng, sign_in,
    soon,
};

/// Both devices without internet.
async fn offline(script: &[Answer]) -> World {
    let mut world = World::new(script).await;
    world.l2cap = Some(Framing::LengthPrefix);
    (world.laptop_url, world.phone_url) = (nobody().await, nobody().await);
    world
}

fn by_bluetooth(told: &Told) -> bool {
    matches!(told, Told::Connected(ChannelKind::L2cap))
}

fn by_tunnel(told: &Told) -> bool {
    matches!(told, Told::Connected(ChannelKind::Tunnel))
}

/// Whether it fell back before it was connected, and over which channel it is.
async fn connected(progress: &mut ProgressStream) -> (bool, ChannelKind) {
    let mut fell_back = false;
    loop {
        match soon("a connection", progress.next()).await.unwrap() {
            Progress::Connected { via } => return (fell_back, via),
            Progress::FallingBack => fell_back = true,
            _ => {}
        }
    }
}

/// CR LF may stand inside of a sealed message by chance (one message in some 250), which that older form
/// cannot tell from its end: it has three tries, each in a runtime of its own.
#[test]
fn a_passkey_is_made_and_used_without_any_internet() {
    for (framing, tries) in [(Framing::LengthPrefix, 1), (Framing::CrLf, 3)] {
        let went_well = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(without_any_internet(framing));
        };
        let tried = (0..tries).any(|_| std::panic::catch_unwind(went_well).is_ok());
        assert!(tried, "{framing:?}");
    }
}

async fn without_any_internet(framing: Framing) {
    let mut world = offline(&[]).await;
    world.l2cap = Some(framing);
    let (handle, info, mut phone) = world.meet(Hint::MakeCredential).await;
    phone.tells(|told| *told == Told::WithoutTunnel).await;
    phone.tells(by_bluetooth).await;
    let made = register(handle, &info, &options_for("anna", json!({}))).await.unwrap();
    phone.ends().await.unwrap();
    assert_eq!(world.only_state(), State::Delivered);
    let (handle, info, phone) = world.meet(Hint::GetAssertion).await;
    let request = request_for(&[&made.id.0], json!({}));
    sign_in(handle, &info, &request, 0).await.unwrap();
    phone.ends().await.unwrap();
    assert_eq!(world.only_state(), State::Used);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_tunnel_that_hangs_holds_nobody_up() {
    let mut world = offline(&[]).await;
    world.phone_url = answering("").await;
    world.phone_deadlines.tunnel_beside_l2cap = SHORT;
    let (handle, info, mut phone) = world.meet(Hint::MakeCredential).await;
    phone.tells(by_bluetooth).await;
    register(handle, &info, &options_for("anna", json!({}))).await.unwrap();
    phone.ends().await.unwrap();
    world.leaves_nothing().await;
}

/// Stands before the relay and tells when a connection through it has ended.
async fn watched(world: &World) -> (ServiceUrl, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (tell, ended) = oneshot::channel();
    let relay = world.relay.address;
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(relay).await.unwrap();
        let _either_way = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        let _nobody_waits = tell.send(());
    });
    (url, ended)
}

#[tokio::test]
async fn of_two_channels_one_is_used_and_the_other_given_up() {
    let mut world = World::new(&[]).await;
    world.l2cap = Some(Framing::LengthPrefix);
    let (url, tunnel_ended) = watched(&world).await;
    world.phone_url = url;
    let (mut handle, mut progress) = world.begin(Hint::MakeCredential);
    let mut phone = world.scan(handle.qr_text().unwrap());
    soon("the meeting", handle.ready()).await.unwrap();
    assert_eq!(connected(&mut progress).await, (false, ChannelKind::L2cap));
    phone.tells(by_bluetooth).await;
    soon("the tunnel's end", tunnel_ended).await.unwrap();
    handle.finish().await.unwrap();
    phone.ends().await.unwrap();
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_laptop_that_does_not_offer_it_gets_the_tunnel_and_no_door() {
    let world = World::new(&[]).await;
    let (mut handle, mut progress) = world.begin(Hint::MakeCredential);
    let mut phone = world.scan(handle.qr_text().unwrap());
    phone.tells(|told| *told == Told::Advertising).await;
    assert_eq!(links(&world.folder.path().join("air")), 0);
    soon("the meeting", handle.ready()).await.unwrap();
    assert_eq!(connected(&mut progress).await, (false, ChannelKind::Tunnel));
    handle.finish().await.unwrap();
    phone.tells(by_tunnel).await;
    phone.ends().await.unwrap();
    world.leaves_nothing().await;
}

/// A laptop that hears its phone through somebody in between, who may change what it hears.
struct Overheard {
    handle: TransactionHandle,
    progress: ProgressStream,
    phone: Scanning,
    /// What the laptop hears.
    _copy: RadioAdvertisement,
}

async fn overheard(world: &mut World, change: impl AsyncFnOnce(&mut Vec<u8>, &Radio)) -> Overheard {
    let near_phone = world.radio();
    world.air = Some(world.folder.path().join("elsewhere"));
    let near_laptop = world.radio();
    let (handle, progress) = world.begin(Hint::MakeCredential);
    world.air = None;
    let mut scan = near_phone.scan().await.unwrap();
    let phone = world.scan(handle.qr_text().unwrap());
    let mut data = soon("an advert", scan.next()).await.unwrap().service_data;
    change(&mut data, &near_laptop).await;
    let copy = near_laptop.advertise(Outgoing { connectable: true, ..Outgoing::new(&data) });
    let _copy = copy.await.unwrap();
    Overheard { handle, progress, phone, _copy }
}

impl Overheard {
    async fn meets_in_the_tunnel(mut self) {
        soon("the meeting", self.handle.ready()).await.unwrap();
        assert_eq!(connected(&mut self.progress).await, (true, ChannelKind::Tunnel));
        self.phone.tells(by_tunnel).await;
        self.handle.finish().await.unwrap();
        self.phone.ends().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_fails_falls_back_to_the_tunnel() {
    let mut world = World::new(&[]).await;
    world.l2cap = Some(Framing::LengthPrefix);
    // Where the laptop is, nobody listens at the port that the advert names.
    overheard(&mut world, async |_, _| ()).await.meets_in_the_tunnel().await;
    world.leaves_nothing().await;
}

/// Somebody else who takes a connection, and what comes of it.
#[derive(Clone, Copy, Debug)]
enum Stranger {
    HangsUp,
    TalksNonsense,
    IsSilent,
}

async fn receive(mut door: RadioListener, stranger: Stranger) {
    let mut channel = L2capChannel::detecting(door.accept().await.unwrap());
    if let Stranger::HangsUp = stranger {
        return;
    }
    assert_eq!(channel.recv().await.unwrap().len(), 81);
    if let Stranger::TalksNonsense = stranger {
        channel.send(&[4; 81]).await.unwrap();
    }
    assert!(channel.recv().await.is_err());
}

#[tokio::test]
async fn a_copied_advert_with_another_port_leads_to_the_tunnel() {
    for stranger in [Stranger::HangsUp, Stranger::TalksNonsense, Stranger::IsSilent] {
        let mut world = World::new(&[]).await;
        world.l2cap = Some(Framing::LengthPrefix);
        world.laptop_deadlines.l2cap = Duration::from_millis(500);
        let change = async |data: &mut Vec<u8>, near_laptop: &Radio| {
            let door = near_laptop.listen().await.unwrap();
            *data.last_mut().unwrap() = door.psm().0.try_into().unwrap();
            tokio::spawn(receive(door, stranger));
        };
        overheard(&mut world, change).await.meets_in_the_tunnel().await;
        world.leaves_nothing().await;
    }
}

/// A laptop and a phone in airs of their own, and somebody with a radio in each.
struct Apart {
    near_laptop: Radio,
    near_phone: Radio,
    handle: TransactionHandle,
    progress: ProgressStream,
    phone: Scanning,
    /// The phone's, as it is heard where the phone is.
    advert: Sighting,
}

async fn apart(world: &mut World) -> Apart {
    world.air = Some(world.folder.path().join("elsewhere"));
    let near_laptop = world.radio();
    let (handle, progress) = world.begin(Hint::MakeCredential);
    world.air = None;
    let near_phone = world.radio();
    let mut scan = near_phone.scan().await.unwrap();
    let phone = world.scan(handle.qr_text().unwrap());
    let advert = soon("an advert", scan.next()).await.unwrap();
    Apart { near_laptop, near_phone, handle, progress, phone, advert }
}

impl Apart {
    /// A connection to the phone's door.
    async fn knock(&self) -> Link {
        let psm = Psm((*self.advert.service_data.last().unwrap()).into());
        self.near_phone.connect(self.advert.address, psm).await.unwrap()
    }

    /// A copy of the advert where the laptop is, and the door that it names.
    async fn passage(&self) -> (RadioListener, RadioAdvertisement) {
        let door = self.near_laptop.listen().await.unwrap();
        let mut data = self.advert.service_data.clone();
        *data.last_mut().unwrap() = door.psm().0.try_into().unwrap();
        let copy = Outgoing { connectable: true, ..Outgoing::new(&data) };
        (door, self.near_laptop.advertise(copy).await.unwrap())
    }
}

fn carried(mut near: Link, mut far: Link) -> JoinHandle<()> {
    tokio::spawn(async move {
        let _either_way = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    })
}

#[tokio::test]
async fn strangers_at_the_phones_door_keep_nobody_out() {
    let mut world = offline(&[]).await;
    let mut apart = apart(&mut world).await;
    // Three who say nothing, and two whose nonsense ends nothing but their own connections.
    let _silent = (apart.knock().await, apart.knock().await, apart.knock().await);
    for nonsense in [&b"\0\0\0\x03no!"[..], b"\x04 neither\r\n"] {
        let mut stranger = apart.knock().await;
        stranger.write_all(nonsense).await.unwrap();
        let mut rest = Vec::new();
        soon("the door", stranger.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }
    // The laptop's air gets a passage to the phone's.
    let (mut passage, _copy) = apart.passage().await;
    let near = soon("the laptop", passage.accept()).await.unwrap();
    let carried = carried(near, apart.knock().await);
    soon("the meeting", apart.handle.ready()).await.unwrap();
    assert_eq!(connected(&mut apart.progress).await, (false, ChannelKind::L2cap));
    apart.handle.finish().await.unwrap();
    apart.phone.ends().await.unwrap();
    soon("the passage's end", carried).await.unwrap();
}

#[tokio::test]
async fn a_first_connection_that_comes_to_nothing_is_followed_by_a_second() {
    let mut world = offline(&[]).await;
    let mut apart = apart(&mut world).await;
    let (mut passage, _copy) = apart.passage().await;
    drop(soon("the laptop", passage.accept()).await.unwrap());
    let near = soon("the laptop again", passage.accept()).await.unwrap();
    let carried = carried(near, apart.knock().await);
    soon("the meeting", apart.handle.ready()).await.unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Progress::Connected { .. })) {
        seen.push(soon("progress", apart.progress.next()).await.unwrap());
    }
    let via = ChannelKind::L2cap;
    let end = [Progress::FallingBack, Progress::TryingAgain, Progress::Connected { via }];
    assert!(seen.ends_with(&end), "{seen:?}");
    apart.handle.finish().await.unwrap();
    apart.phone.ends().await.unwrap();
    soon("the passage's end", carried).await.unwrap();
}

#[tokio::test]
async fn a_laptop_that_walks_away_withdraws_the_question() {
    for says_so in [true, false] {
        let world = offline(&[Answer::Think]).await;
        let (mut handle, info, phone) = world.meet(Hint::MakeCredential).await;
        let pending = crate::world::creation(&options_for("anna", json!({}))).request(&info);
        {
            let mut call = std::pin::pin!(handle.call(pending.unwrap().message()));
            tokio::select! {
                reply = &mut call => panic!("{reply:?}"),
                () = world.user.is_asked() => {}
            }
        }
        if says_so {
            handle.cancel().await;
        } else {
            drop(handle);
        }
        let error = phone.ends().await.unwrap_err();
        assert!(withdrawn(&error), "{error:?}");
        assert_eq!(world.user.withdrawn(), 1);
        assert!(world.passkeys().is_empty());
        world.leaves_nothing().await;
    }
}

fn withdrawn(error: &authenticator::Error) -> bool {
    use hybrid::Error as E;
    let waiting = match error {
        authenticator::Error::Broken { via: ChannelKind::L2cap, waiting, .. } => waiting,
        authenticator::Error::Protocol(E::PeerClosed(waiting)) => waiting,
        _ => return false,
    };
    *waiting == Waiting::Response
}

#[tokio::test]
async fn a_phone_that_dies_is_missed() {
    let world = offline(&[Answer::Think]).await;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let laptop = tokio::spawn(async move {
        register(handle, &info, &options_for("anna", json!({}))).await.unwrap_err().transaction()
    });
    world.user.is_asked().await;
    phone.dies().await;
    let error = soon("the laptop's end", laptop).await.unwrap();
    let via = ChannelKind::L2cap;
    assert!(
        matches!(&error, client::Error::Broken { via: v, waiting: Waiting::Response, .. } if *v == via),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("the connection over Bluetooth broke"), "{error}");
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn when_nothing_works_both_halves_are_named() {
    let mut world = offline(&[]).await;
    world.phone_deadlines.client = SHORT;
    let Overheard { mut handle, phone, .. } = overheard(&mut world, async |_, _| ()).await;
    let error = soon("the laptop's end", handle.ready()).await.unwrap_err();
    let client::Error::Neither { bluetooth, service, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(bluetooth, Unreachable::Radio(_)), "{bluetooth:?}");
    assert_eq!(**service, world.laptop_url);
    assert!(error.to_string().contains("Bluetooth") && error.to_string().contains("tunnel"));
    let error = phone.ends().await.unwrap_err();
    assert!(matches!(error, authenticator::Error::Neither { bluetooth: None, .. }), "{error:?}");
    assert!(error.to_string().contains("Bluetooth") && error.to_string().contains("tunnel"));
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_code_that_offers_no_tunnel_opens_none() {
    let world = offline(&[]).await;
    let offer = hybrid::client::QrOffer::new(&mut rng(5), Hint::GetAssertion, 0, false, true);
    let mut contents = offer.contents;
    contents.channels = Some(vec![ChannelKind::L2cap]);
    let mut phone = world.scan(&contents.encode());
    let first = phone.tells(|_| true).await;
    assert_eq!(first, Told::Advertising);
    assert_eq!(links(&world.folder.path().join("air")), 1);
    phone.cancel();
    let error = phone.ends().await.unwrap_err();
    assert!(matches!(error, authenticator::Error::Protocol(hybrid::Error::Cancelled)), "{error:?}");
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_radio_that_takes_no_connections_leaves_the_tunnel() {
    let radio = MemoryRadio::new(Conditions::default()).unwrap();
    let mut taken = Vec::new();
    while let Ok(listener) = radio.listen().await {
        taken.push(listener);
    }
    let radio = Radio::Memory(radio);
    let offer = hybrid::client::QrOffer::new(&mut rng(6), Hint::GetAssertion, 0, false, true);
    let mut world = offline(&[]).await;
    let answer = async |world: &World, contents| {
        let (mut phone, mut rng) = (world.phone_over(radio.clone()), rng(7));
        let answered = phone.answer(contents, std::future::pending(), || NOW, &mut rng, |_| {});
        soon("the phone's end", answered).await.unwrap_err()
    };
    let error = answer(&world, offer.contents.clone()).await;
    let authenticator::Error::Neither { bluetooth: Some(why), .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(why, ble::Error::NoFreePort) && error.to_string().contains("tunnel"));
    // With a tunnel it is as if the laptop had not asked.
    world.phone_url = world.relay.url.clone();
    world.phone_deadlines.client = SHORT;
    let error = answer(&world, offer.contents.clone()).await;
    let expected = hybrid::Error::TimedOut(Waiting::Client);
    assert!(matches!(error, authenticator::Error::Protocol(e) if e == expected), "{error:?}");
    let contents = QrContents { channels: Some(vec![ChannelKind::L2cap]), ..offer.contents };
    let error = answer(&world, contents).await;
    assert!(matches!(error, authenticator::Error::Bluetooth(_)), "{error:?}");
    world.leaves_nothing_running().await;
}
