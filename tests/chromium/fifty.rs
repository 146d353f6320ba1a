//! One browser, many ceremonies, none of which may fail; and how long they take.

use crate::ceremonies::{add_passkey, enter, leave, name_it, said, sign_in};
use crate::desk::{Desk, album};
use crate::my_turn;
use crate::phone::InProcess;

/// Each with a registration and four sign-ins.
const ACCOUNTS: usize = 10;

/// Notes when the browser's answer reaches the page. It stands in front of the page's own script and
/// hands everything through.
const STOPWATCH: &str = "
    for (const verb of ['create', 'get']) {
        const real = navigator.credentials[verb].bind(navigator.credentials);
        navigator.credentials[verb] = async (options) => {
            const credential = await real(options);
            window.answeredAt = performance.timeOrigin + performance.now();
            return credential;
        };
    }
";

/// One ceremony that the page has begun; gives the milliseconds from the phone's tunnel request to the
/// page's result.
async fn measured(desk: &mut Desk, phone: &mut InProcess, title: &str) -> f64 {
    let answered = phone.scan().await;
    assert!(answered.result.is_ok() && answered.acknowledged, "{answered:?}");
    assert_eq!(said(desk).await, title);
    desk.page.value("window.answeredAt").await.as_f64().unwrap() - answered.started_ms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_ceremonies_in_one_browser() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("fifty").await;
    desk.page.before_each_document(STOPWATCH).await;
    desk.page.call("Page.reload", serde_json::json!({})).await;
    desk.page.until("window.answeredAt === undefined && document.readyState === 'complete'").await;
    let mut phone = InProcess::new(&desk);
    let (mut creates, mut gets) = (Vec::new(), Vec::new());
    for number in 0..ACCOUNTS {
        let name = format!("user{number}@example.com");
        enter(&mut desk, &name).await;
        add_passkey(&mut desk).await;
        creates.push(measured(&mut desk, &mut phone, "Passkey saved").await);
        name_it(&mut desk).await;
        for _ in 0..4 {
            leave(&mut desk).await;
            sign_in(&mut desk, Some(&name)).await;
            gets.push(measured(&mut desk, &mut phone, "You are signed in").await);
        }
        leave(&mut desk).await;
    }
    assert_eq!((creates.len(), gets.len()), (10, 40));
    let all = [creates.clone(), gets.clone()].concat();
    let report = format!(
        "{}\n{}\n{}\n",
        figures("all", all),
        figures("create", creates),
        figures("get", gets)
    );
    println!("{report}");
    std::fs::write(album().join("latency.txt"), report).unwrap();
}

/// The phone's tunnel request to the page's result, for people.
fn figures(what: &str, mut all: Vec<f64>) -> String {
    all.sort_by(f64::total_cmp);
    let at = |part: f64| all[((all.len() - 1) as f64 * part).round() as usize];
    let [low, median, high] = [0.0, 0.5, 0.9].map(at);
    let most = at(1.0);
    format!(
        "{what}: {} ceremonies, ms: least {low:.1}, median {median:.1}, nine of ten {high:.1}, most {most:.1}",
        all.len()
    )
}
