//! A node that is killed while ceremonies are under way: who fails, in which words, and who does not.
//!
//! Which node a tunnel is at is read in the advert, which node a laptop came by in what HAProxy tells.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cabled::authenticator::service::Listening;
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{self, Consent, ConsentRequest, Decision};
use cabled::ble::{Scan, Scanner};
use cabled::channel;
use cabled::client;
use cabled::hybrid::Waiting;
use cabled::hybrid::advert::trial_open;
use cabled::hybrid::qr::Hint;
use cabled::hybrid::tunnel::{RoutingId, TunnelId};
use futures_util::future::join_all;
use rand_core::{OsRng, RngCore};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::linked::Linked;
use crate::people::{Approves, Devices, Failure, NOW, People, register, registration};
use crate::world::{Balancer, Cluster, PATIENCE, until};

/// How many are in a ceremony at any time.
const PAIRS: u32 = 24;
/// Of them, who agrees at once when the others wait: one in so many.
const QUICK: u32 = 4;
const PHONES: usize = 6;
/// Within which both ends have to know: a link is dead after 5 seconds of silence, a node that does not answer after 6.
const KNOWN: Duration = Duration::from_secs(15);
/// After which a ceremony that begins is to succeed.
const RECOVERED: Duration = Duration::from_secs(2);
/// After which a phone that listens is to come.
const RUNG: Duration = Duration::from_secs(5);

fn ceremonies() -> u32 {
    if std::env::var_os("CABLED_FULL").is_some_and(|full| !full.is_empty()) { 1000 } else { 100 }
}

/// Whether users take their time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// They agree at once.
    Quick,
    /// Most of them think.
    Slow,
    /// Those who think go on with it.
    Killed,
    /// They are done.
    Done,
}

/// A user who may think, so that a ceremony is under way for as long as a test wants.
struct Thinks {
    pace: watch::Receiver<Pace>,
    may: bool,
    /// Of whose ceremony it is.
    tunnel: Arc<Mutex<String>>,
    thinking: Arc<Mutex<BTreeSet<String>>>,
}

impl Consent for Thinks {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        let mut pace = self.pace.clone();
        if self.may && *pace.borrow() == Pace::Slow {
            let tunnel = self.tunnel.lock().unwrap().clone();
            self.thinking.lock().unwrap().insert(tunnel);
            pace.wait_for(|pace| *pace == Pace::Done).await.unwrap();
        }
        Approves.ask(request).await
    }
}

/// How one ceremony went.
#[derive(Debug)]
struct Story {
    tunnel: String,
    began: Instant,
    /// The nodes of the phone's tunnels, as the adverts name them.
    adverts: Vec<RoutingId>,
    laptop: Option<client::Error>,
    ended: Instant,
    /// How the scans ended that failed, and when the first did.
    scans: Vec<authenticator::Error>,
    scanned: Option<Instant>,
}

impl Story {
    fn is_good(&self) -> bool {
        self.laptop.is_none() && self.scans.is_empty()
    }
}

type Pair = People<Thinks>;

/// A registration, from the code to the acknowledgement. A phone that failed scans again while the code is shown.
async fn ceremony(pair: &mut Pair, tunnel: &Mutex<String>, user: u32) -> Story {
    let registration = registration(user % 4);
    let (handle, _progress, contents) = pair.begin(Hint::MakeCredential).await;
    let began = Instant::now();
    let name: String =
        contents.secret.tunnel_id().expose().iter().map(|byte| format!("{byte:02x}")).collect();
    name.clone_into(&mut tunnel.lock().unwrap());
    let (key, radio) = (contents.secret.eid_key(), pair.radio.clone());
    let mut adverts = Vec::new();
    let overheard = async {
        let mut scan = radio.scan().await.unwrap();
        loop {
            let sighting = scan.next().await.unwrap();
            if let Some(advert) = trial_open(&key, &sighting.service_data) {
                adverts.push(advert.plaintext.routing_id());
            }
        }
    };
    let mut scans = Vec::new();
    let (mut scanned, mut ended) = (None, None);
    let told = async {
        let mut laptop = pin!(register(handle, registration));
        loop {
            assert!(scans.len() < 10, "the phone does not get through: {scans:?}");
            let (never, rng) = (std::future::pending(), &mut OsRng);
            let phone = pair.phone.answer(contents.clone(), never, || NOW, rng, |_| {});
            let mut phone = pin!(phone);
            tokio::select! {
                said = &mut laptop => {
                    ended = Some(Instant::now());
                    // The laptop does not come to a scan that began when it had heard of an earlier one.
                    if said.is_ok() || scans.is_empty() {
                        let end = timeout(PATIENCE, phone).await;
                        let end = end.unwrap_or_else(|_| panic!("the phone hangs; the laptop: {said:?}"));
                        scans.extend(end.err());
                        scanned = scanned.or(Some(Instant::now()));
                    }
                    return said;
                }
                answered = &mut phone => match answered {
                    Ok(()) => return laptop.await,
                    Err(error) => {
                        let agreed = error.cause() == "unconfirmed";
                        scans.push(error);
                        scanned = scanned.or(Some(Instant::now()));
                        if agreed {
                            // The laptop may have the answer.
                            return laptop.await;
                        }
                    }
                },
            }
        }
    };
    let said: Result<(), Failure> = tokio::select! {
        () = overheard => unreachable!("it hears on and on"),
        said = timeout(2 * PATIENCE, told) => said.expect("the laptop hangs"),
    };
    let laptop = said.err().map(|error| match error.downcast::<client::Error>() {
        Ok(error) => *error,
        Err(other) => panic!("no end of a ceremony: {other}"),
    });
    let ended = ended.unwrap_or_else(Instant::now);
    Story { tunnel: name, began, adverts, laptop, ended, scans, scanned }
}

/// A crowd of pairs that have ceremonies until so many were begun.
struct Crowd {
    pace: watch::Sender<Pace>,
    thinking: Arc<Mutex<BTreeSet<String>>>,
    begun: Arc<AtomicU32>,
    stories: Arc<Mutex<Vec<Story>>>,
    running: JoinSet<()>,
}

impl Crowd {
    fn gather(balancer: &Balancer, count: u32) -> Self {
        let (pace, thinking) = (watch::channel(Pace::Quick).0, Arc::default());
        let (begun, stories) = (Arc::new(AtomicU32::new(0)), Arc::default());
        let mut crowd = Self { pace, thinking, begun, stories, running: JoinSet::new() };
        for number in 0..PAIRS {
            let tunnel = Arc::default();
            let user = Thinks {
                pace: crowd.pace.subscribe(),
                may: number % QUICK != 0,
                tunnel: Arc::clone(&tunnel),
                thinking: Arc::clone(&crowd.thinking),
            };
            let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
            let mut pair = People::new(Devices::meet_at(&balancer.url, cost), user);
            let (begun, stories) = (Arc::clone(&crowd.begun), Arc::clone(&crowd.stories));
            crowd.running.spawn(async move {
                loop {
                    let user = begun.fetch_add(1, Ordering::SeqCst);
                    if user >= count {
                        return;
                    }
                    let story = ceremony(&mut pair, &tunnel, user).await;
                    stories.lock().unwrap().push(story);
                }
            });
        }
        crowd
    }

    async fn ends(mut self) -> Vec<Story> {
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.stories.lock().unwrap())
    }
}

/// Whether the tunnel, or the client's connection, is at that node.
fn is_at(balancer: &Balancer, node: usize, tunnel: &str) -> bool {
    balancer.taken(tunnel).iter().any(|taken| taken.node == Some(node))
}

/// The error and its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

/// A tunnel broke, and the words say so.
fn broke(source: &channel::Error) -> bool {
    matches!(source, channel::Error::Closed { code: Some(1001) | None } | channel::Error::Lost(_))
}

/// Both ends of a ceremony whose user was thinking know that the tunnel broke, and what they waited for.
fn both_say_that_it_broke(story: &Story) {
    let Some(client::Error::Broken { waiting: Waiting::Response, source, .. }) = &story.laptop
    else {
        panic!("the laptop says: {:?}", story.laptop)
    };
    assert!(broke(source), "{source}");
    let laptop = words(story.laptop.as_ref().unwrap());
    assert!(
        laptop.starts_with("the tunnel broke while waiting for the phone's answer: "),
        "{laptop}"
    );
    let authenticator::Error::Broken { waiting, source, .. } = &story.scans[0] else {
        panic!("the phone says: {:?}", story.scans)
    };
    assert!(broke(source), "{source}");
    let phone = words(&story.scans[0]);
    assert!(
        phone.starts_with(&format!("the tunnel broke while waiting for {waiting}: ")),
        "{phone}"
    );
    for said in [laptop, phone] {
        assert!(
            said.ends_with("is gone)")
                || said.contains("the connection was lost")
                || said.ends_with("by the other side"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_killed_during_ceremonies_and_only_what_was_at_it_fails() {
    let mut cluster = Cluster::start().await;
    let balancer = cluster.balance("roundrobin").await;
    let mut numbers = Vec::new();
    for node in 0..3 {
        numbers.push(cluster.phone(node, node as u8).await.unwrap().1);
    }
    let victim = OsRng.next_u32() as usize % 3;
    let mut phones = Vec::new();
    for number in 0..PHONES {
        phones.push(Linked::at(&balancer.url).await);
        // Each has made three requests; with one more they do not all listen at one node.
        let id = TunnelId::new([100 + number as u8; 16]);
        cluster.connector.open_tunnel(&balancer.url, id).await.unwrap();
    }
    let count = ceremonies();
    let started = Instant::now();
    let crowd = Crowd::gather(&balancer, count);
    until("half of them have begun", || crowd.begun.load(Ordering::SeqCst) >= count / 2).await;

    // A random point, at which many are under way.
    let enough = (PAIRS / 3 + OsRng.next_u32() % (PAIRS / 3)) as usize;
    crowd.pace.send_replace(Pace::Slow);
    let thinking = || crowd.thinking.lock().unwrap().clone();
    until("many users think", || thinking().len() >= enough).await;
    let listened = cluster.nodes[victim].count("listeners");
    let tunnels = cluster.nodes[victim].count("tunnels{state=\"joined\"}");
    let passing = cluster.nodes[victim].count("passages");
    assert!(listened > 0 && listened < PHONES as u64, "{listened} phones listen at the node");
    crowd.pace.send_replace(Pace::Killed);
    let mut left: Vec<_> = phones.iter().map(Linked::listening).collect();
    left.iter_mut().for_each(|state| drop(state.borrow_and_update()));
    let killed = cluster.nodes[victim].kill();

    // Those who still think are released when all have failed that are to fail.
    let thinking = thinking();
    let at_it: BTreeSet<&String> =
        thinking.iter().filter(|tunnel| is_at(&balancer, victim, tunnel)).collect();
    assert!(
        !at_it.is_empty() && at_it.len() < thinking.len(),
        "{} of {}",
        at_it.len(),
        thinking.len()
    );
    let ended =
        |tunnel: &str| crowd.stories.lock().unwrap().iter().any(|story| story.tunnel == tunnel);
    let know = || at_it.iter().all(|tunnel| ended(tunnel));
    let (_, came) = tokio::join!(
        until("both ends of what was at the node know", know),
        join_all(phones.iter().map(Linked::comes))
    );
    let lost = left.iter().map(|state| state.has_changed().unwrap());
    let came: Vec<_> = lost.zip(came.iter().map(|came| *came - killed)).collect();
    assert!(phones.iter().all(|phone| *phone.listening().borrow() == Listening::Yes));
    assert!(thinking.iter().all(|tunnel| at_it.contains(tunnel) || !ended(tunnel)));
    crowd.pace.send_replace(Pace::Done);
    let stories = crowd.ends().await;
    let took = started.elapsed();

    assert_eq!(came.iter().filter(|(lost, _)| *lost).count() as u64, listened, "{came:?}");
    assert!(came.iter().all(|(_, after)| *after < RUNG), "{came:?}");
    let failed: Vec<&Story> = stories.iter().filter(|story| !story.is_good()).collect();
    report(&stories, &failed, killed, took);
    println!(
        "the node had {tunnels} joined tunnels, {passing} clients of others, {listened} of {PHONES} \
         phones; rung again after {:?}",
        came.iter().filter(|(lost, _)| *lost).map(|(_, after)| *after).collect::<Vec<_>>()
    );
    assert_eq!(stories.len(), count as usize);
    for story in &stories {
        judge(story, &balancer, &numbers, (victim, killed), thinking.contains(&story.tunnel));
    }
    for story in failed.iter().filter(|story| thinking.contains(&story.tunnel)) {
        both_say_that_it_broke(story);
    }
}

fn judge(
    story: &Story,
    balancer: &Balancer,
    numbers: &[RoutingId],
    (victim, killed): (usize, Instant),
    thought: bool,
) {
    let taken = balancer.taken(&story.tunnel);
    let opened = taken.iter().filter(|taken| taken.path.contains("/new/"));
    let opened: Vec<Option<usize>> = opened.map(|taken| taken.node).collect();
    // What the balancer tells and what the adverts say is the same.
    for routing in &story.adverts {
        let node = numbers.iter().position(|number| number == routing).unwrap();
        assert!(opened.contains(&Some(node)), "{story:?}: {taken:?}");
    }
    let at_it = is_at(balancer, victim, &story.tunnel) || story.adverts.contains(&numbers[victim]);
    // A node may have let a laptop in at the tunnel's node and died before it said so. The laptop is sent on then.
    let passed_by = taken.iter().any(|taken| taken.again);
    if thought {
        assert_eq!(story.is_good(), !at_it, "{story:?}: {taken:?}");
    }
    if story.is_good() {
        return;
    }
    assert!((at_it || passed_by) && story.began < killed + RECOVERED, "{story:?}: {taken:?}");
    assert!(story.ended < killed + KNOWN && story.scanned.unwrap() < killed + KNOWN, "{story:?}");
    // No riddles: each end says what broke or who refused, and nobody waited until time was over.
    if let Some(error) = &story.laptop {
        assert!(["broken", "tunnel"].contains(&error.cause()), "{error:?}");
        let starts =
            ["the tunnel broke while waiting for the ", "cannot use the tunnel service ws://"];
        assert!(starts.iter().any(|start| words(error).starts_with(start)), "{error}");
        assert!(!story.scans.is_empty(), "the phone does not know: {story:?}");
    }
    for error in &story.scans {
        assert!(["broken", "tunnel", "unconfirmed"].contains(&error.cause()), "{error:?}");
        let starts = [
            "the tunnel broke while waiting for ",
            "cannot open a tunnel at ws://",
            "a passkey was saved, but the laptop did not confirm that it has it: the tunnel broke ",
        ];
        assert!(starts.iter().any(|start| words(error).starts_with(start)), "{error}");
    }
}

fn report(stories: &[Story], failed: &[&Story], killed: Instant, took: Duration) {
    let good = stories.len() - failed.len();
    println!("{good} of {} ceremonies of {PAIRS} pairs at a time in {took:?}", stories.len());
    for story in failed {
        let after = |at: Instant| at.saturating_duration_since(killed);
        println!(
            "  laptop after {:?}: {}\n  phone after {:?}: {}",
            after(story.ended),
            story.laptop.as_ref().map_or("succeeded".to_owned(), |error| words(error)),
            story.scanned.map(after),
            story.scans.iter().map(|error| words(error)).collect::<Vec<_>>().join("; then ")
        );
    }
    let later = stories.iter().filter(|story| story.began > killed);
    let bad = failed.iter().filter(|story| story.began > killed).count();
    let good = later.clone().filter(|story| story.is_good());
    let first = good.map(|story| story.ended - killed).min().unwrap();
    println!(
        "{} began after the kill, {bad} of them failed; the first was over after {first:?}",
        later.count()
    );
}
