//! `cabled bench relay --mixed` against a relay in this process: nothing is missing in tunnels that live, what was cut
//! is a prefix, and each refusal and forced end is counted by its reason.

use tokio::process::Command;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_beside_trouble_of_all_kinds() {
    // Few connections, so that also on a slow machine a flood is one before the first of it has waited too long; and
    // no long messages, so that troublemakers get their share of it.
    let limits = Limits {
        connections_per_address: 128,
        message_len: Limits::STRICT_MESSAGE_LEN,
        ..Limits::default()
    };
    let service = with(limits).await;
    let url = format!("ws://{}", service.address);
    let mut load = Command::new(env!("CARGO_BIN_EXE_cabled"));
    load.args(["bench", "relay", &url, "--mixed", "20", "--seed", "7", "--json"]);
    load.args(["--tunnels", "6", "--slow", "1", "--size", "16384", "--deadline", "60"]);
    let ended = load.kill_on_drop(true).output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{errors}");
    let line = String::from_utf8(ended.stdout).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let number = |name: &str| told[name].as_u64().unwrap();
    assert!(
        number("tunnels") > 0 && number("messages") > 100 && number("troubles") > 100,
        "{told}"
    );
    // No kind of trouble may be left out without being noticed.
    for sample in [
        "connections_unheard_total{reason=\"no_request\"}",
        "connections_unheard_total{reason=\"slow\"}",
        "connections_unheard_total{reason=\"flood\"}",
        "requests_refused_total{status=\"400\",reason=\"bad_request\"}",
        "requests_refused_total{status=\"404\",reason=\"path\"}",
        "requests_refused_total{status=\"404\",reason=\"no_tunnel\"}",
        "requests_refused_total{status=\"405\",reason=\"method\"}",
        "requests_refused_total{status=\"409\",reason=\"occupied\"}",
        "requests_refused_total{status=\"426\",reason=\"version\"}",
        "requests_refused_total{status=\"429\",reason=\"rate_per_address\"}",
        "requests_refused_total{status=\"429\",reason=\"connections_per_address\"}",
        "requests_refused_total{status=\"431\",reason=\"head\"}",
    ] {
        assert!(told["counted"][sample].as_u64().unwrap_or(0) > 0, "{sample}: {told}");
    }
    for state in ["waiting", "joined"] {
        for reason in ["goodbye", "dropped", "text", "too_long", "protocol", "quota"] {
            let sample = format!("tunnels_ended_total{{state=\"{state}\",reason=\"{reason}\"}}");
            assert!(told["counted"][&sample].as_u64().unwrap_or(0) > 0, "{sample}: {told}");
        }
    }
}
