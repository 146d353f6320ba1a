//! Looks for bytes in a text, however they may have been written.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Bytes that must not be found. Of longer ones any eight in a row from begin, middle or end are
/// a finding too.
pub(crate) struct Needle {
    pub(crate) name: &'static str,
    /// As they stand.
    literal: Vec<String>,
    /// In lower case, without spaces, line ends and colons.
    squeezed: Vec<String>,
}

const WINDOW: usize = 8;

impl Needle {
    pub(crate) fn new(name: &'static str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= WINDOW, "{name} is too short to be told from chance");
        let (middle, last) = ((bytes.len() - WINDOW) / 2, bytes.len() - WINDOW);
        let windows = [0, middle, last].map(|start| &bytes[start..start + WINDOW]);
        let literal = windows.iter().flat_map(|window| literal_forms(window)).collect();
        let squeezed = windows.iter().flat_map(|window| squeezed_forms(window)).collect();
        Self { name, literal, squeezed }
    }

    /// Text that is secret as it stands, in whatever case, besides all that its bytes may become.
    pub(crate) fn text(name: &'static str, text: &str) -> Self {
        let mut needle = Self::new(name, text.as_bytes());
        needle.squeezed.push(squeeze(text));
        needle
    }

    /// Decimal digits.
    pub(crate) fn digits(name: &'static str, digits: &str) -> Self {
        Self { name, literal: vec![digits.to_owned()], squeezed: Vec::new() }
    }

    /// One of the ways in which it could be written.
    pub(crate) fn a_form(&self) -> &str {
        &self.literal[self.literal.len() / 2]
    }
}

fn squeeze(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_whitespace() && *c != ':');
    kept.collect::<String>().to_lowercase()
}

fn squeezed_forms(bytes: &[u8]) -> Vec<String> {
    let list = |separator: &str, write: &dyn Fn(&u8) -> String| {
        bytes.iter().map(write).collect::<Vec<_>>().join(separator)
    };
    let hex = |byte: &u8| format!("{byte:02x}");
    vec![
        list("", &hex),
        list(",", &hex),
        list(",", &|byte| format!("0x{byte:02x}")),
        list(",", &|byte| format!("{byte:x}")),
        list(",", &|byte| format!("0x{byte:x}")),
        list(",", &u8::to_string),
    ]
}

fn literal_forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = vec![
        bytes.escape_ascii().to_string(),
        // As characters of the same numbers.
        bytes.iter().copied().map(char::from).collect(),
        String::from_utf8_lossy(bytes).into_owned(),
        cabled::hybrid::digits::encode(&bytes[..7]),
    ];
    forms.retain(|form| form.chars().filter(|c| *c != '\u{fffd}').count() >= WINDOW);
    forms.extend(base64_forms(bytes));
    forms
}

/// The characters that the bytes determine, at each of the three places that a group can begin.
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let at = |lead: usize| {
        let padded = [&vec![0; lead][..], bytes].concat();
        let (first, last) = ((lead * 8).div_ceil(6), padded.len() * 8 / 6);
        [STANDARD.encode(&padded), URL_SAFE.encode(&padded)]
            .map(|text| text[first..last].to_owned())
    };
    (0..3).flat_map(at).collect()
}

/// The names of the needles that are in the text.
pub(crate) fn found(needles: &[Needle], text: &str) -> Vec<&'static str> {
    let literal = occurring(text, needles.iter().map(|needle| &needle.literal[..]));
    let squeezed = occurring(&squeeze(text), needles.iter().map(|needle| &needle.squeezed[..]));
    let names = needles.iter().enumerate();
    let hits = names.filter(|(n, _)| literal.contains(n) || squeezed.contains(n));
    hits.map(|(_, needle)| needle.name).collect()
}

/// Which lists have a form that occurs in the text, in one pass: forms are found by their first
/// bytes.
fn occurring<'a>(text: &str, lists: impl Iterator<Item = &'a [String]>) -> BTreeSet<usize> {
    let mut by_start: HashMap<&[u8], Vec<(usize, &[u8])>> = HashMap::new();
    for (list, forms) in lists.enumerate() {
        for form in forms.iter().map(String::as_bytes) {
            by_start.entry(&form[..WINDOW]).or_default().push((list, form));
        }
    }
    let mut hits = BTreeSet::new();
    for (at, start) in text.as_bytes().windows(WINDOW).enumerate() {
        for (list, form) in by_start.get(start).into_iter().flatten() {
            if text.as_bytes()[at..].starts_with(form) {
                hits.insert(*list);
            }
        }
    }
    hits
}

#[test]
fn what_is_planted_is_found() {
    let secret: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(37) ^ 0xb5).collect();
    let needles = [Needle::new("secret", &secret)];
    let around = |text: &str| format!("a log line with {text} in it");
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let shifted = [b"x", &secret[..], b"yz"].concat();
    let twice = [b"xy", &secret[..]].concat();
    let planted = [
        hex.clone(),
        hex.to_uppercase(),
        format!("{secret:?}"),
        format!("{secret:#?}"),
        format!("{:#?}", Some(&secret)),
        format!("{secret:02x?}"),
        format!("{secret:#04x?}"),
        format!("{}", secret.escape_ascii()),
        STANDARD.encode(&secret),
        URL_SAFE.encode(&secret),
        STANDARD.encode(&shifted),
        URL_SAFE.encode(&twice),
        secret.iter().copied().map(char::from).collect(),
        cabled::hybrid::digits::encode(&secret),
        // A part is enough.
        hex[..20].to_owned(),
        hex[40..].to_owned(),
        format!("{:?}", &secret[8..24]),
        hex.as_bytes()
            .chunks(2)
            .map(|c| std::str::from_utf8(c).unwrap())
            .collect::<Vec<_>>()
            .join(":"),
    ];
    for text in planted {
        assert_eq!(found(&needles, &around(&text)), ["secret"], "{text}");
    }
    assert!(found(&needles, &around("nothing 00 01 02 03")).is_empty());
    let pin = [Needle::text("PIN", "kq7-Wm2xZ 91vR")];
    assert_eq!(found(&pin, &around("\"KQ7-wm2xz 91vr\"")), ["PIN"]);
    assert!(found(&pin, &around("kq7")).is_empty());
}
