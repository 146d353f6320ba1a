//! Nodes and NATS that go away.

use std::time::Instant;

use cabled::channel::Error;

use crate::world::{Cluster, end_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_takes_its_own_tunnels_with_it_and_no_others() {
    let mut cluster = Cluster::start().await;
    let mut held = cluster.pair(0, 1, 1).await;
    let mut through = cluster.pair(1, 0, 2).await;
    let mut others = [cluster.pair(1, 2, 3).await, cluster.pair(2, 2, 4).await];
    for pair in [&mut held, &mut through].into_iter().chain(&mut others) {
        pair.talk(1000).await;
    }
    cluster.nodes[0].program.kill();
    let killed = Instant::now();
    // Who was at that node sees its connection break; the others are told by theirs.
    assert!(matches!(end_of(&mut through.phone).await, Error::Closed { code: Some(1001) }));
    println!("the phone of a laptop whose node was killed knew after {:?}", killed.elapsed());
    assert!(matches!(end_of(&mut held.laptop).await, Error::Closed { code: Some(1001) }));
    println!("the laptop of a phone whose node was killed knew after {:?}", killed.elapsed());
    for channel in [&mut held.phone, &mut through.laptop] {
        let end = end_of(channel).await;
        assert!(!matches!(end, Error::TimedOut), "{end:?}");
    }
    for pair in &mut others {
        pair.talk(1000).await;
    }
    cluster.pair(1, 2, 5).await.talk(1000).await;
    let lost = || cluster.nodes[1].count("passages_total{result=\"lost\"}") == 1;
    until("it is counted", lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_of_one_node_outlive_nats_and_the_cluster_comes_back() {
    let mut cluster = Cluster::start().await;
    let mut alone = cluster.pair(0, 0, 1).await;
    let mut across = cluster.pair(0, 1, 2).await;
    let (_waiting, routing) = cluster.phone(0, 3).await.unwrap();
    alone.talk(1000).await;
    across.talk(1000).await;
    cluster.nats.stop();
    let stopped = Instant::now();
    for channel in [&mut across.phone, &mut across.laptop] {
        assert!(matches!(end_of(channel).await, Error::Closed { code: Some(1001) }));
    }
    println!("both ends of a tunnel across nodes knew after {:?}", stopped.elapsed());
    alone.talk(1000).await;
    // Whoever cannot reach the others says so, and goes on alone.
    until("a node is without a number", || !cluster.nodes[0].is_ready()).await;
    println!("a node gave up its number after {:?}", stopped.elapsed());
    assert_eq!(cluster.nodes[0].count("cluster_connected"), 0);
    let refused = cluster.laptop(1, routing, 3).await.map(drop);
    assert!(matches!(refused, Err(Error::Status { status: 503 })), "{refused:?}");
    alone.talk(1000).await;
    let mut old = cluster.laptop(0, routing, 3).await.unwrap();
    cluster.pair(0, 0, 4).await.talk(1000).await;

    cluster.nats.again();
    let started = Instant::now();
    for node in &cluster.nodes {
        until("a node has a number again", || node.is_ready()).await;
    }
    println!("all nodes had numbers again after {:?}", started.elapsed());
    alone.talk(1000).await;
    cluster.pair(0, 1, 5).await.talk(1000).await;
    cabled::channel::DataChannel::send(&mut old, b"still there").await.unwrap();
}
