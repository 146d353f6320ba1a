//! Whole ceremonies of our laptop and phone through HAProxy as it is documented.

use cabled::authenticator::store::KdfCost;
use cabled::channel::DataChannel;
use cabled::hybrid::qr::Hint;
use cabled::hybrid::tunnel::TunnelId;
use rand_core::OsRng;

use crate::people::{Approves, Devices, NOW, People, register, registration};
use crate::world::{Cluster, end_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_hashes_on_the_tunnel_avoids_the_hop() {
    let mut cluster = Cluster::start().await;
    let url = cluster.balance("as documented").await.url;
    let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
    let mut people = People::new(Devices::meet_at(&url, cost), Approves);
    for number in 0..5 {
        let (handle, _progress, contents) = people.begin(Hint::MakeCredential).await;
        let (never, rng) = (std::future::pending(), &mut OsRng);
        let phone = people.phone.answer(contents, never, || NOW, rng, |_| {});
        let registration = registration(number);
        let (laptop, phone) = tokio::join!(register(handle, registration), phone);
        laptop.unwrap();
        phone.unwrap();
    }
    let mut open = Vec::new();
    for id in 0..60 {
        let id = TunnelId::new([id; 16]);
        let (phone, routing) = cluster.connector.open_tunnel(&url, id).await.unwrap();
        let mut laptop = cluster.connector.join_tunnel(&url, routing, id).await.unwrap();
        laptop.send(b"hello").await.unwrap();
        open.push((phone, laptop));
    }
    assert_eq!((cluster.count("links_total"), cluster.count("passages")), (0, 0));
    let shares: Vec<u64> =
        cluster.nodes.iter().map(|node| node.count("tunnels{state=\"joined\"}")).collect();
    println!("60 tunnels stand at the nodes as {shares:?}");
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    assert_eq!(shares.iter().sum::<u64>(), 60);

    // Of those that are open when a node is killed, that node's end and no others.
    cluster.nodes[0].program.kill();
    let mut lost = 0_u64;
    for (mut phone, mut laptop) in open {
        // What was said before may still be read; what is said now arrives only if the node lives.
        let said = laptop.send(b"again").await.is_ok();
        let mut heard = phone.recv().await;
        if heard.as_ref().is_ok_and(|message| message == b"hello") {
            heard = tokio::time::timeout(crate::world::PATIENCE, phone.recv()).await.unwrap();
        }
        match heard {
            Ok(message) => assert!(said && message == b"again"),
            Err(_) => {
                end_of(&mut laptop).await;
                lost += 1;
            }
        }
    }
    assert_eq!(lost, shares[0], "more or fewer were lost than the node had");
    println!("{lost} of 60 tunnels were lost with a node");
}
