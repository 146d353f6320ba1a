//! The hostile side of a shared radio, for the fuzz target alone.

use super::PairingKey;
use super::hello::Search;
use super::wire::{Ask, Frames, Report};

/// The frames in bytes that come in pieces of this length, and the most bytes that were held at a time.
pub fn fuzz_frames(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut buffer, mut frames, mut most) = (Frames::default(), Vec::new(), 0);
    for piece in bytes.chunks(piece.max(1)) {
        buffer.push(piece);
        frames.extend(std::iter::from_fn(|| buffer.next()));
        most = most.max(buffer.held());
    }
    (frames, most)
}

/// What is understood of a message as an ask and as a report, encoded again.
pub fn fuzz_messages(message: &[u8]) -> [Option<Vec<u8>>; 2] {
    [Ask::decode(message).map(Ask::encode), Report::decode(message).map(|report| report.encode())]
}

/// Whether bytes that come in pieces of this length are refused, or the hello that was found in them: its
/// version, its pairing, and what came behind it.
pub fn fuzz_hello(bytes: &[u8], piece: usize) -> Result<Option<(u8, [u8; 8], Vec<u8>)>, ()> {
    let mut search = Search::default();
    let mut pieces = bytes.chunks(piece.max(1));
    while let Some(piece) = pieces.next() {
        if let Some(found) = search.take(piece).map_err(|_| ())? {
            let rest = [found.rest, pieces.collect::<Vec<_>>().concat()].concat();
            return Ok(Some((found.version, *found.id.as_bytes(), rest)));
        }
    }
    Ok(None)
}

/// The code of the key that a code stands for.
pub fn fuzz_code(text: &str) -> Option<String> {
    Some(PairingKey::from_code(text).ok()?.code().to_string())
}
