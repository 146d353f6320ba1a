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

/// Steps of the phone's and, last, the page's result: milliseconds since the phone asked for a tunnel.
type Steps = Vec<(&'static str, f64)>;

/// One ceremony that the page has begun.
async fn measured(desk: &mut Desk, phone: &mut InProcess, title: &str) -> Steps {
    let answered = phone.scan().await;
    assert!(answered.result.is_ok() && answered.acknowledged, "{answered:?}");
    assert_eq!(said(desk).await, title);
    let result = desk.page.value("window.answeredAt").await.as_f64().unwrap();
    let mut steps = answered.steps;
    steps.push(("(the page has its result)", result));
    let begin = steps[0].1;
    steps.iter().map(|(step, at)| (*step, at - begin)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_ceremonies_in_one_browser() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("fifty").await;
    desk.page.before_each_document(STOPWATCH).await;
    desk.page.reload().await;
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
    let mut report = [("all", &all), ("create", &creates), ("get", &gets)]
        .map(|(what, steps)| format!("{what}: {}\n", figures(steps)))
        .concat();
    report += "at the median, ms, the phone\n";
    for (step, (name, _)) in all[0].iter().enumerate() {
        let [_, median, ..] = quantiles(&all, step);
        report += &format!("{median:6.1}  {name}\n");
    }
    println!("{report}");
    std::fs::write(album().join("latency.txt"), report).unwrap();
}

/// Least, median, nine of ten, most.
fn quantiles(all: &[Steps], step: usize) -> [f64; 4] {
    let mut times: Vec<f64> = all.iter().map(|steps| steps[step].1).collect();
    times.sort_by(f64::total_cmp);
    [0.0, 0.5, 0.9, 1.0].map(|part| times[((times.len() - 1) as f64 * part).round() as usize])
}

/// From the phone's tunnel request to the page's result, for people.
fn figures(all: &[Steps]) -> String {
    let [least, median, high, most] = quantiles(all, all[0].len() - 1);
    format!(
        "{} ceremonies, ms: least {least:.1}, median {median:.1}, nine of ten {high:.1}, most {most:.1}",
        all.len()
    )
}
