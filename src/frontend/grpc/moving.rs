//! Files that move passkeys, in parts: out of a call that streams, into another.
//!
//! Depends on `authenticator`, tonic and siblings.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tonic::{Status, Streaming};
use zeroize::Zeroizing;

use super::server::MAX_MESSAGE;
use super::status::bad_request;
use super::{convert, v1};
use crate::authenticator::service::{Copy, Planned};
use crate::authenticator::store::exchange::{Lock, MAX_FILE, Opener, Skipped};

/// Bytes of the file in one part: far below what either side takes as a message.
pub const PART: usize = MAX_MESSAGE / 2;

/// Who will be able to read the file.
pub(super) fn lock(passphrase: String, recipients: Vec<String>) -> Result<Lock, Status> {
    match (passphrase.is_empty(), recipients.is_empty()) {
        (false, true) => Ok(Lock::Passphrase(Zeroizing::new(passphrase))),
        (true, false) => Ok(Lock::Recipients(recipients)),
        _ => Err(bad_request("name either a passphrase or recipients")),
    }
}

/// A copy in parts; the first one tells what is in it.
pub(super) fn parts(copy: Copy) -> BoxStream<'static, Result<v1::ExportPart, Status>> {
    let summary = v1::ExportSummary {
        export: copy.id.0,
        passkeys: convert::ids(&copy.passkeys),
        bound: convert::ids(&copy.bound),
        without_large_blob: convert::ids(&copy.without_large_blob),
    };
    let head = v1::ExportPart { summary: Some(summary), data: Vec::new() };
    let rest = stream::unfold((copy.sealed, 0), |(sealed, at)| async move {
        let data = sealed.get(at..)?.chunks(PART).next()?.to_vec();
        let next = at + data.len();
        Some((Ok(v1::ExportPart { summary: None, data }), (sealed, next)))
    });
    stream::iter([Ok(head)]).chain(rest).boxed()
}

/// Reads a file that comes in parts, and what opens it.
pub(super) async fn file(
    mut parts: Streaming<v1::PlanImportPart>,
) -> Result<(Opener, Vec<u8>), Status> {
    let first = parts.message().await?.ok_or_else(|| bad_request("nothing was sent"))?;
    let v1::PlanImportPart { passphrase, identities, data } = first;
    let (passphrase, identities) = (Zeroizing::new(passphrase), Zeroizing::new(identities));
    let opener = match (passphrase.is_empty(), identities.is_empty()) {
        (false, true) => Opener::Passphrase(passphrase),
        (true, false) => Opener::Identities(identities),
        _ => return Err(bad_request("name either a passphrase or identities, in the first part")),
    };
    let mut sealed = data;
    while let Some(part) = parts.message().await? {
        let length = sealed.len().saturating_add(part.data.len());
        if u64::try_from(length).is_ok_and(|length| length > MAX_FILE) {
            return Err(bad_request("the file is too large"));
        }
        sealed.extend_from_slice(&part.data);
    }
    Ok((opener, sealed))
}

pub(super) fn planned(planned: Planned) -> v1::PlanImportResponse {
    v1::PlanImportResponse {
        import: planned.id.0,
        passkeys: planned.passkeys.into_iter().map(convert::passkey).collect(),
        skipped: planned.skipped.into_iter().map(skipped).collect(),
    }
}

fn skipped(skipped: Skipped) -> v1::Skipped {
    let (reason, r#type) = (skipped.why.name(), skipped.why.other_type().map(str::to_owned));
    v1::Skipped { title: skipped.title, reason: reason.to_owned(), r#type }
}
