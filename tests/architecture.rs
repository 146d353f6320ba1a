//! Reads the sources of this package and fails on what ARCHITECTURE.md does not allow: an import
//! that points up, a crate outside its home, IO in the pure part, print macros in the library,
//! a file without a header, a file or a function that grew too long. `planted` proves that each
//! rule can fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/scan.rs"]
mod scan;

use std::path::Path;

use rules::Findings;
use scan::{PathUse, Source};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every file of the library and the binary, without those that are tests altogether.
fn sources() -> Vec<Source> {
    let src = Path::new(ROOT).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let name = |file: &Path| file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
    // What a generator wrote is compared with its schema in tests/generated.rs.
    let tests =
        |name: &str| name.split('/').any(|part| ["tests.rs", "tests", "generated"].contains(&part));
    files.retain(|file| !tests(&name(file)));
    let read = |file: &Path| Source::new(&name(file), &std::fs::read_to_string(file).unwrap());
    files.iter().map(|file| read(file)).collect()
}

fn rust_files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
    out.sort();
}

/// Those of the security-key provider, the one place with unsafe code.
fn provider() -> Vec<(Source, String)> {
    let src = Path::new(ROOT).join("provider/src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let read = |file: &std::path::PathBuf| {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        (Source::new(&name, &text), text)
    };
    files.iter().map(read).collect()
}

/// The names in the `[dependencies]` tables, of all platforms, as they are written in source.
fn dependencies() -> Vec<String> {
    let manifest = std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let mut inside = false;
    let lines = manifest.lines().filter(|line| {
        if line.starts_with('[') {
            let platform = line.starts_with("[target.") && line.ends_with(".dependencies]");
            inside = *line == "[dependencies]" || platform;
        }
        inside && !line.starts_with(['[', '#'])
    });
    let names = lines.filter_map(|line| line.split_once(" ="));
    names.map(|(name, _)| name.trim().replace('-', "_")).collect()
}

fn check(rule: impl Fn(&Source, &[PathUse]) -> Findings) {
    let dependencies = dependencies();
    let found = sources().iter().flat_map(|s| rule(s, &s.paths(&dependencies))).collect::<Vec<_>>();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_reader_sees_this_package() {
    let (sources, dependencies) = (sources(), dependencies());
    for (layer, _) in rules::LAYERS {
        assert!(sources.iter().any(|source| rules::layer(source) == *layer), "no file in {layer}");
    }
    for name in ["snow", "p256", "tokio_tungstenite", "clap", "btleplug", "zbus"] {
        assert!(dependencies.iter().any(|found| found == name), "{name} is no dependency");
    }
    let paths: Vec<_> = sources.iter().flat_map(|source| source.paths(&dependencies)).collect();
    let sees = |wanted: &str| paths.iter().any(|path| path.segments.join("::").starts_with(wanted));
    assert!(sees("secret::Secret") && sees("snow::Builder") && sees("std::time::Instant"));
    assert!(sources.iter().any(|source| source.functions().len() > 5));
}

#[test]
fn no_import_points_up_or_to_a_neighbour() {
    check(rules::arrows);
}

#[test]
fn every_crate_stays_at_home() {
    check(rules::homes);
}

#[test]
fn the_pure_part_has_no_side_effects() {
    check(rules::purity);
    check(|source, _| rules::clock(source));
}

#[test]
fn only_the_command_line_prints() {
    check(|source, _| rules::printing(source));
}

#[test]
fn every_file_says_what_lives_there() {
    check(|source, _| rules::header(source));
}

#[test]
fn files_and_functions_stay_short() {
    check(|source, _| rules::lengths(source, rules::LONG_FILES, rules::LONG_FUNCTIONS));
    for (file, ..) in rules::LONG_FILES {
        assert!(Path::new(ROOT).join("src").join(file).exists(), "{file} is gone");
    }
    for (file, function, ..) in rules::LONG_FUNCTIONS {
        let sources = sources();
        let source = sources.iter().find(|source| source.name == *file).unwrap();
        assert!(source.functions().iter().any(|f| f.name == *function), "{function} is gone");
    }
}

#[test]
fn the_provider_has_its_unsafe_code_in_one_small_file() {
    let files = provider();
    let lifted: Vec<_> = files.iter().filter(|(_, text)| text.contains("unsafe_code")).collect();
    let [(ffi, _)] = lifted[..] else { panic!("{} files have unsafe code", lifted.len()) };
    assert_eq!(ffi.name, "ffi.rs");
    let manifest = std::fs::read_to_string(Path::new(ROOT).join("provider/Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""), "the others could have some too");
    for (source, _) in &files {
        let found = [rules::header(source), rules::lengths(source, &[], &[])].concat();
        assert!(found.is_empty(), "provider: {found:?}");
    }
}

/// The aims of ARCHITECTURE.md for the whole package: half of the functions are tiny, nine of ten
/// fit a look.
#[test]
fn functions_are_small_on_the_whole() {
    let mut lengths: Vec<usize> =
        sources().iter().flat_map(Source::functions).map(|function| function.lines).collect();
    lengths.sort_unstable();
    let (median, ninth) = (lengths[lengths.len() / 2], lengths[lengths.len() * 9 / 10]);
    println!("{} functions: median {median} lines, 90 % at most {ninth}", lengths.len());
    assert!(median <= 7 && ninth <= 25, "median {median}, 90 % at most {ninth}");
}
