//! `cabled phone scan --clipboard`: with a real X clipboard, and with a stand-in for wl-paste.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cabled::cli::qr;

use crate::program::code;

/// An X display of its own; ended with the test.
struct Display(Child, String);

impl Display {
    fn start() -> Self {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]);
        let mut child = xvfb.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut number = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut number).unwrap();
        Self(child, format!(":{}", number.trim()))
    }

    /// Copied, as a program does that stays to hand it over.
    fn copy(&self, kind: &str, content: &[u8]) {
        let mut xclip = Command::new("xclip");
        xclip.args(["-selection", "clipboard", "-in", "-target", kind]).env("DISPLAY", &self.1);
        let mut child = xclip.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        // It goes into the background once it owns the clipboard.
        assert!(child.wait().unwrap().success());
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

fn scan(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "CABLED_STORE", "CABLED_PIN_FILE", "XDG_RUNTIME_DIR"]
    {
        command.env_remove(name);
    }
    command.args(["phone", "scan", "--clipboard"]).envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A picture is a scan, and the next thing that is missing is somebody to ask; a text is a link.
const AFTER_A_PICTURE: &str = "nobody can be asked whether to answer";
const AFTER_A_TEXT: &str = "a link is answered only after asking you";

#[test]
fn what_was_copied_on_an_x_display_is_found() {
    let display = Display::start();
    let x = [("DISPLAY", display.1.as_str())];
    let (status, said) = scan(&x);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("neither a picture nor a text"), "{said}");
    // Large enough to be handed over in pieces.
    let png = qr::png(&code()).unwrap();
    display.copy("image/png", &png);
    let (status, said) = scan(&x);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains(AFTER_A_PICTURE), "{said}");
    display.copy("UTF8_STRING", code().as_bytes());
    let (status, said) = scan(&x);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains(AFTER_A_TEXT), "{said}");
    display.copy("UTF8_STRING", b"https://contoso.com");
    let (status, said) = scan(&x);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("FIDO:/"), "{said}");
}

fn wl_paste(folder: &Path, script: &str) {
    let file = folder.join("wl-paste");
    std::fs::write(&file, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn under_wayland_wl_paste_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let usual = std::env::var("PATH").unwrap();
    let path = format!("{}:{usual}", folder.path().display());
    let wayland = [("WAYLAND_DISPLAY", "wayland-0"), ("DISPLAY", ":0")];
    let alone = folder.path().to_str().unwrap();
    let (status, said) = scan(&[&wayland[..], &[("PATH", alone)]].concat());
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no program wl-paste") && said.contains("wl-clipboard"), "{said}");
    let scan = || scan(&[&wayland[..], &[("PATH", &path)]].concat());

    std::fs::write(folder.path().join("code.png"), qr::png(&code()).unwrap()).unwrap();
    let picture = folder.path().join("code.png");
    let script = format!(
        "[ \"$1\" = --list-types ] && {{ echo text/plain; echo image/png; exit; }}\n\
         [ \"$*\" = '--no-newline --type image/png' ] && exec cat {}\nexit 1\n",
        picture.display()
    );
    wl_paste(folder.path(), &script);
    let (_, said) = scan();
    assert!(said.contains(AFTER_A_PICTURE), "{said}");
    wl_paste(folder.path(), "echo 'Nothing is copied' >&2; exit 1\n");
    let (_, said) = scan();
    assert!(said.contains("neither a picture nor a text"), "{said}");
    wl_paste(
        folder.path(),
        "[ \"$1\" = --list-types ] && echo text/plain || yes x | head -c 100000\n",
    );
    let (_, said) = scan();
    assert!(said.contains("too large to be a code"), "{said}");
}
