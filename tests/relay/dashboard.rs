//! The dashboard for Grafana asks for what the relay tells, and for all of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const DASHBOARD: &str = include_str!("../../packaging/grafana/cabled-relay.json");
/// Grafana's own: the address that Prometheus reads, chosen at the top of the page.
const CHOSEN: &str = r#"instance=~"$instance""#;

/// Metrics with the labels that they have.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// `name{labels}` in a query: the name, and each matcher.
fn selectors(query: &str) -> Vec<(&str, Vec<&str>)> {
    let starts = query.match_indices("cabled_relay_").map(|(at, _)| &query[at..]);
    let selector = |text: &str| {
        let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap();
        (end, text[end..].strip_prefix('{').map_or(0, |rest| rest.find('}').unwrap()))
    };
    starts
        .map(|text| {
            let (end, len) = selector(text);
            let labels = if len == 0 { "" } else { &text[end + 1..end + 1 + len] };
            (&text[..end], labels.split(',').filter(|label| !label.is_empty()).collect())
        })
        .collect()
}

/// What `/metrics` tells: `name="value"` of every sample of a metric.
fn told(text: &str) -> Labels {
    let mut told = Labels::new();
    for line in text.lines().filter(|line| line.starts_with("cabled_relay_")) {
        let (name, _) = line.split_once([' ', '{']).unwrap();
        let labels = told.entry(name.to_owned()).or_default();
        for (_, labels_of) in selectors(line) {
            labels.extend(labels_of.into_iter().map(str::to_owned));
        }
    }
    told
}

#[tokio::test]
async fn the_dashboard_asks_for_every_metric_that_there_is_and_for_no_other() {
    let service = plain().await;
    let told = told(&service.page("/metrics").await);
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let found = selectors(query);
            assert!(!found.is_empty(), "{title}: {query}");
            for (name, labels) in found {
                let known = told.get(name).unwrap_or_else(|| panic!("{title}: no metric {name}"));
                for label in labels.into_iter().filter(|label| *label != CHOSEN) {
                    assert!(known.contains(label), "{title}: {name} has no {label}");
                }
                asked.insert(name.to_owned());
            }
        }
    }
    assert_eq!(asked, told.into_keys().collect());
}
