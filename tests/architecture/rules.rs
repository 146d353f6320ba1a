//! The rules of the house, as functions from a source file to what is wrong with it.

use crate::scan::{PathUse, Source};

/// What either role of a ceremony stands on.
const ROLE: &[&str] = &[
    "hex",
    "hybrid",
    "ctap",
    "cbor",
    "secret",
    "sealed",
    "ble",
    "channel",
    "uhid",
    "journal",
    "printable",
    "whole",
];

/// Who may import whom, by the first folder or file below `src/`. An entry of two words allows
/// only that part.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("sealed", &["secret"]),
    ("cbor", &[]),
    ("hybrid", &["cbor", "hex", "secret"]),
    ("ctap", &["cbor", "secret"]),
    ("ble", &["hex", "hybrid", "secret", "splitmix"]),
    ("channel", &["hybrid", "secret"]),
    ("hex", &[]),
    ("journal", &[]),
    ("printable", &[]),
    ("splitmix", &[]),
    ("symbol", &[]),
    ("whole", &[]),
    ("client", ROLE),
    ("uhid", &["ctap"]),
    ("authenticator", ROLE),
    ("frontend", &["client", "authenticator", "ctap", "hex", "secret"]),
    (
        "relay",
        &["hex", "hybrid::tunnel", "hybrid::listen", "hybrid::linking", "printable", "whole"],
    ),
    (
        "testbed",
        &[
            "hybrid",
            "ctap",
            "secret",
            "ble",
            "channel",
            "authenticator",
            "relay",
            "hex",
            "frontend::loopback",
            "frontend::refusal",
            "frontend::serving",
        ],
    ),
    ("desktop", &[]),
    (
        "cli",
        &[
            "hybrid",
            "ctap",
            "cbor",
            "secret",
            "ble",
            "channel",
            "client",
            "authenticator",
            "frontend",
            "relay",
            "testbed",
            "uhid",
            "desktop",
            "hex",
            "journal",
            "printable",
            "splitmix",
            "symbol",
        ],
    ),
    ("main", &["cli"]),
];

/// No sockets, files, clocks, threads or global randomness.
const PURE: &[&str] = &["secret", "hex", "cbor", "hybrid", "ctap"];

/// All that the pure part may link.
const PURE_CRATES: &[&str] = &[
    "aes",
    "aes_gcm",
    "aws_lc_rs",
    "hkdf",
    "hmac",
    "minicbor",
    "p256",
    "rand_core",
    "sha2",
    "snow",
    "subtle",
    "thiserror",
    "zeroize",
];

/// Crates with side effects, or that would spread, and the only places for them: the beginning of
/// a file's name below `src/`.
const HOMES: &[(&str, &[&str])] = &[
    ("age", &["authenticator/store"]),
    ("argon2", &["authenticator/store"]),
    ("async_nats", &["relay/cluster"]),
    ("axum", &["frontend/loopback", "frontend/web", "testbed/control"]),
    ("aws_lc_rs", &["hybrid/crypto", "hybrid/noise"]),
    ("bluer", &["ble/bluer"]),
    ("bluez_async", &["ble/btleplug"]),
    ("btleplug", &["ble/btleplug"]),
    ("clap", &["cli/"]),
    ("der", &["relay/validity"]),
    ("http_body_util", &["relay/acme"]),
    ("image", &["cli/"]),
    ("instant_acme", &["relay/acme"]),
    ("linuxvideo", &["cli/camera"]),
    ("listenfd", &["cli/systemd"]),
    ("minicbor", &["cbor"]),
    ("miniz_oxide", &["authenticator/engine/site_data", "client/webauthn"]),
    ("nkeys", &["relay/cluster"]),
    ("qrcode", &["cli/", "symbol"]),
    ("redb", &["authenticator/store", "client/receipts"]),
    ("rustix", &["cli/"]),
    ("rustls", &["channel/", "relay/", "testbed/gate"]),
    ("rustls_native_certs", &["channel/tls", "relay/acme"]),
    ("rxing", &["cli/"]),
    ("snow", &["hybrid/noise"]),
    ("tempfile", &["testbed/"]),
    ("tikv_jemallocator", &["main"]),
    ("tokio_rustls", &["channel/", "relay/", "testbed/gate"]),
    ("tokio_tungstenite", &["channel/websocket", "relay/"]),
    ("hyper", &["frontend/loopback", "relay/acme"]),
    ("hyper_util", &["frontend/", "relay/acme"]),
    ("prost", &["frontend/control", "frontend/grpc", "testbed/control"]),
    ("toml", &["cli/relay"]),
    ("tonic", &["frontend/", "cli/", "testbed/control"]),
    ("tonic_prost", &["frontend/control", "frontend/grpc", "testbed/control"]),
    ("tower_service", &["frontend/dial"]),
    ("tracing_subscriber", &["cli/"]),
    ("url", &["client/", "cli/"]),
    ("webauthn_rp", &["cli/"]),
    ("x11rb", &["cli/screen"]),
    ("zbus", &["ble/bluez", "desktop/", "testbed/"]),
];

/// Crates that everything outside the pure part may use.
const ANYWHERE_IMPURE: &[&str] =
    &["base64", "futures_util", "httparse", "libc", "serde", "serde_json", "tokio", "tracing"];

/// Parts of the standard library that do something, or ask the machine something. The types of IP
/// addresses are exempt: reading one from text is no IO.
const STD_EFFECTS: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread"];

pub(crate) const MAX_FILE: usize = 299;
pub(crate) const MAX_FUNCTION: usize = 60;

/// Files above [`MAX_FILE`], with the length that they may have, and why.
pub(crate) const LONG_FILES: &[(&str, usize, &str)] = &[];

/// Functions above [`MAX_FUNCTION`], with the length that they may have, and why.
pub(crate) const LONG_FUNCTIONS: &[(&str, &str, usize, &str)] = &[];

/// What is wrong, ready to be printed.
pub(crate) type Findings = Vec<String>;

pub(crate) fn layer(source: &Source) -> &str {
    source.module.first().map_or("main", String::as_str)
}

/// The documentation and the module list at the root; it names everything.
fn is_root(source: &Source) -> bool {
    source.name == "lib.rs"
}

/// An import that points up, to a neighbour, or to the root.
pub(crate) fn arrows(source: &Source, paths: &[PathUse]) -> Findings {
    let from = layer(source);
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == from) else {
        return if is_root(source) { vec![] } else { vec![format!("{}: no layer", source.name)] };
    };
    let upward = paths.iter().filter(|path| path.local).filter(|path| {
        let target = path.segments.join("::");
        let inside = |part: &str| {
            target == part || target.strip_prefix(part).is_some_and(|rest| rest.starts_with("::"))
        };
        !inside(from) && !allowed.iter().any(|part| inside(part))
    });
    upward.map(|path| finding(source, path, &format!("{from} must not import it"))).collect()
}

/// A side-effect crate outside its home, a crate in the pure part that is not on its list, or a
/// dependency that nobody gave a home.
pub(crate) fn homes(source: &Source, paths: &[PathUse]) -> Findings {
    let pure = PURE.contains(&layer(source));
    let misplaced = paths.iter().filter(|path| !path.local).filter_map(|path| {
        let name = path.segments.first()?.as_str();
        let reason = match HOMES.iter().find(|(crate_name, _)| *crate_name == name) {
            _ if matches!(name, "std" | "core" | "alloc") => return None,
            _ if pure && !PURE_CRATES.contains(&name) => "not for the pure part".to_owned(),
            Some((_, homes)) => {
                let at_home = homes.iter().any(|home| source.name.starts_with(home));
                if at_home {
                    return None;
                }
                format!("its home is {}", homes.join(", "))
            }
            None if PURE_CRATES.contains(&name) || ANYWHERE_IMPURE.contains(&name) => return None,
            None => "a dependency without a home: add it to tests/architecture/rules.rs".to_owned(),
        };
        Some(finding(source, path, &reason))
    });
    misplaced.collect()
}

/// IO, clocks, threads or global randomness in the pure part.
pub(crate) fn purity(source: &Source, paths: &[PathUse]) -> Findings {
    if !PURE.contains(&layer(source)) {
        return vec![];
    }
    let words = source.tokens.iter().filter(|t| matches!(t.text.as_str(), "SystemTime" | "OsRng"));
    let named = words.map(|t| format!("{}:{}: {} is not pure", source.name, t.line, t.text));
    let effects = paths.iter().filter(|path| is_effect(path));
    named.chain(effects.map(|path| finding(source, path, "is not pure"))).collect()
}

fn is_effect(path: &PathUse) -> bool {
    let words: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["std" | "core" | "alloc"] | ["std" | "core" | "alloc", "*"] => true,
        ["std" | "core", "time", what, rest @ ..] => {
            !matches!(*what, "Duration" | "Instant") || rest.contains(&"now")
        }
        ["std" | "core", "time"] => true,
        ["std" | "core", "net", what, ..] => !what.starts_with("Ip"),
        ["std" | "core", part, ..] => STD_EFFECTS.contains(part),
        _ => false,
    }
}

/// `Instant::now` by its short name: an import of the type alone is fine.
pub(crate) fn clock(source: &Source) -> Findings {
    if !PURE.contains(&layer(source)) {
        return vec![];
    }
    let texts: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
    let calls = texts.windows(3).zip(&source.tokens);
    let calls = calls.filter(|(words, _)| matches!(words, ["Instant", "::", "now" | "elapsed"]));
    calls.map(|(_, t)| format!("{}:{}: reads the clock", source.name, t.line)).collect()
}

/// Text for people is the command line's alone.
pub(crate) fn printing(source: &Source) -> Findings {
    if layer(source) == "cli" || source.name == "main.rs" {
        return vec![];
    }
    let calls = source.macro_calls(&["print", "println", "eprint", "eprintln", "dbg"]);
    calls.map(|t| format!("{}:{}: {}! outside cli", source.name, t.line, t.text)).collect()
}

/// The first line says what lives here.
pub(crate) fn header(source: &Source) -> Findings {
    if source.has_header { vec![] } else { vec![format!("{}: no //! header", source.name)] }
}

/// Files and functions that grew too long, and exceptions that outlived their need.
pub(crate) fn lengths(
    source: &Source,
    files: &[(&str, usize, &str)],
    functions: &[(&str, &str, usize, &str)],
) -> Findings {
    let name = source.name.as_str();
    let exception = files.iter().find(|(file, ..)| *file == name).map(|(_, most, _)| *most);
    let mut out = Vec::from_iter(length(name, source.lines, MAX_FILE, exception));
    for function in source.functions() {
        let label = format!("{name}:{}: fn {}", function.line, function.name);
        let exception = functions.iter().find(|(f, n, ..)| *f == name && *n == function.name);
        let exception = exception.map(|(_, _, most, _)| *most);
        out.extend(length(&label, function.lines, MAX_FUNCTION, exception));
    }
    out
}

fn length(what: &str, lines: usize, limit: usize, exception: Option<usize>) -> Option<String> {
    match exception {
        Some(_) if lines <= limit => Some(format!("{what}: {lines} lines need no exception")),
        _ if lines > exception.unwrap_or(limit) => Some(format!("{what}: {lines} lines")),
        _ => None,
    }
}

fn finding(source: &Source, path: &PathUse, reason: &str) -> String {
    format!("{}:{}: {}: {reason}", source.name, path.line, path.segments.join("::"))
}
