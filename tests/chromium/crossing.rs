//! A tunnel service of three nodes: Chromium comes by another one than holds the tunnel.
//!
//! The name of the tunnel service leads Chromium to one node; the phone is told another, or the same.

use crate::ceremonies::{enter, leave, register, signs_in};
use crate::desk::Desk;
use crate::my_turn;
use crate::phone::InProcess;
use crate::world::{Cluster, PAGES_APART, until};

/// Where Chromium comes in.
const BROWSERS: usize = 1;

/// How many clients of other nodes each node has taken in, and how many each has let pass to the end.
async fn crossed(cluster: &Cluster, taken_in: [u64; 3], passed: u64) {
    let count = |name: &str| cluster.nodes.iter().map(|node| node.count(name)).collect::<Vec<_>>();
    let over = || count("passages_total{result=\"over\"}");
    until("the links are over", || count("passages").iter().sum::<u64>() == 0).await;
    assert_eq!(count("links_total"), taken_in);
    assert_eq!(over(), [0, passed, 0]);
    assert_eq!(count("passages_total{result=\"lost\"}"), [0; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_comes_by_another_node_than_holds_the_tunnel() {
    let _turn = my_turn().await;
    let mut started = None;
    let mut desk = Desk::around("crossing", async |folder, alone| {
        let path = |name: &str| folder.join(name).display().to_string();
        let [certificate, key] = [("cert", "cert.pem"), ("key", "key.pem")]
            .map(|(what, name)| format!("--tls-{what}={}", path(name)));
        let cluster = Cluster::with(&[PAGES_APART, &certificate, &key]).await;
        alone.elsewhere(cluster.nodes[BROWSERS].address.port());
        started = Some(cluster);
    })
    .await;
    let cluster = started.unwrap();
    let port = |node: usize| cluster.nodes[node].address.port();

    desk.phone_comes_to(port(0));
    let mut phone = InProcess::new(&desk);
    enter(&mut desk, "anna@example.com").await;
    register(&mut desk, &mut phone).await;
    desk.keep_screen("registered-through-node-1-at-node-0");
    crossed(&cluster, [1, 0, 0], 1).await;

    leave(&mut desk).await;
    desk.phone_comes_to(port(2));
    let mut phone = phone.moved(&desk);
    let words = signs_in(&mut desk, &mut phone, None).await;
    assert_eq!(words, "anna@example.com, with the passkey \"My phone\".");
    desk.keep_screen("signed-in-through-node-1-at-node-2");
    crossed(&cluster, [1, 0, 1], 2).await;

    // Nothing crosses that need not.
    leave(&mut desk).await;
    desk.phone_comes_to(port(BROWSERS));
    let mut phone = phone.moved(&desk);
    signs_in(&mut desk, &mut phone, None).await;
    crossed(&cluster, [1, 0, 1], 2).await;
}
