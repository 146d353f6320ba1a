//! What an advert says: little by itself, all of it with the code that it answers.

use super::{Report, unknown};
use crate::hex;
use crate::hybrid::advert::{ADVERT_LEN, Advert, AdvertSuffix, Psm, trial_open};
use crate::hybrid::qr::QrContents;
use crate::hybrid::tunnel::{Endpoint, ServiceUrl};

pub(super) fn report(data: &[u8], contents: Option<&QrContents>, reveal: bool) -> Report {
    let mut report = Report::new("advert", "Advert");
    form(&mut report, data);
    let Some(contents) = contents else {
        report.say("contents", "sealed; pass the code that it answers with --qr to open it");
        report.member("matches", unknown());
        return report;
    };
    match trial_open(&contents.secret.eid_key(), data) {
        Some(advert) => opened(&mut report, &advert, contents, reveal),
        None => {
            report.say("matches the code", "no: it answers another one, or was altered");
            report.member("matches", false);
        }
    }
    report
}

fn form(report: &mut Report, data: &[u8]) {
    let suffix = data.get(ADVERT_LEN..).unwrap_or_default();
    let length = match suffix.len() {
        0 => format!("{} bytes: 16 sealed, 4 of tag, no suffix", data.len()),
        suffix => format!("{} bytes: 16 sealed, 4 of tag, {suffix} of suffix", data.len()),
    };
    report.say("service data", length);
    report.member("bytes", data.len());
    report.member("suffixBytes", suffix.len());
    let psm = AdvertSuffix::decode(suffix).psm;
    match psm {
        Some(Psm(psm)) => {
            report.say("suffix", format!("L2CAP channel at PSM {psm} (not authenticated)"));
        }
        None if !suffix.is_empty() => report.say("suffix", "says nothing that is known"),
        None => {}
    }
    report.member("psm", psm.map(|Psm(psm)| psm));
}

fn opened(report: &mut Report, advert: &Advert, contents: &QrContents, reveal: bool) {
    let plaintext = &advert.plaintext;
    report.say("matches the code", "yes: a phone near the receiver scanned it");
    report.member("matches", true);
    let nonce = hex::lower(plaintext.as_bytes().get(1..11).unwrap_or_default());
    report.say("nonce", &*nonce);
    report.member("nonce", nonce);
    report.say("routing ID", plaintext.routing_id().to_string());
    report.member("routingId", plaintext.routing_id().to_string());
    let service = plaintext.service();
    let domain = service.domain().ok();
    let named = domain.as_deref().unwrap_or("unassigned: a laptop ignores this advert");
    report.say("tunnel service", format!("{} ({named})", service.value()));
    report.member("service", service.value());
    report.member("domain", domain);
    let id = contents.secret.tunnel_id();
    let endpoint = Endpoint::Connect(plaintext.routing_id(), id);
    let url = ServiceUrl::for_service(service).ok().map(|url| url.endpoint(&endpoint).expose());
    // The tunnel ID is the last part of the path.
    let url = url.map(|url| match url.rsplit_once('/') {
        Some((head, _)) if !reveal => format!("{head}/(hidden)"),
        _ => url,
    });
    if let Some(url) = &url {
        report.say("the laptop opens", &**url);
    }
    report.member("url", url);
    report.secret("pre-shared key", "psk", contents.secret.psk(plaintext).expose(), reveal);
}
