//! Browsers in sandboxes, some of which cannot see a virtual key whatever its rights are.
//!
//! A snap sees security keys of the vendors that snapd knows, by their USB parent, which a virtual one
//! does not have. A flatpak sees all devices or none. Depends on the findings.

use std::path::{Path, PathBuf};

use super::finding::{Area, Finding, Severity};

const AREA: Area = Area::VirtualKey;

/// Snaps of browsers, as their folders are called.
const SNAPS: [&str; 4] = ["firefox", "chromium", "brave", "opera"];

/// Flatpaks of browsers.
const FLATPAKS: [&str; 5] = [
    "com.brave.Browser",
    "com.google.Chrome",
    "com.microsoft.Edge",
    "org.chromium.Chromium",
    "org.mozilla.firefox",
];

/// Longest metadata that is looked at, in bytes.
const MAX_METADATA: usize = 64 << 10;

/// A browser in a sandbox.
#[derive(Debug, PartialEq, Eq)]
enum Browser {
    Snap(&'static str),
    Flatpak { id: &'static str, sees_devices: bool },
}

/// The browsers below the root of the file system and a user's home.
pub(super) fn examine(root: &Path, home: &Path) -> Vec<Finding> {
    found(root, home).iter().map(judge).collect()
}

fn found(root: &Path, home: &Path) -> Vec<Browser> {
    let snaps = SNAPS.into_iter().filter(|name| root.join("snap").join(name).is_dir());
    let places = [root.join("var/lib/flatpak"), home.join(".local/share/flatpak")];
    let flatpaks = FLATPAKS.into_iter().filter_map(|id| {
        let app = places.iter().map(|place| place.join("app").join(id)).find(|app| app.is_dir())?;
        let settings = [
            app.join("current/active/metadata"),
            places[0].join("overrides").join(id),
            places[1].join("overrides").join(id),
        ];
        Some(Browser::Flatpak { id, sees_devices: settings.iter().any(devices) })
    });
    snaps.map(Browser::Snap).chain(flatpaks).collect()
}

/// Whether a flatpak's settings let it see all devices.
fn devices(file: &PathBuf) -> bool {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(..MAX_METADATA).unwrap_or(&text)).into_owned();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("devices="));
    lines.flat_map(|list| list.split(';')).any(|device| device.trim() == "all")
}

fn judge(browser: &Browser) -> Finding {
    match browser {
        Browser::Snap(name) => {
            let cause = format!(
                "the snap of {name} cannot see a virtual FIDO2 key: snapd shows it the keys of some \
                 vendors only"
            );
            let fix = "if you want to use one there, install the browser as a .deb or as a flatpak";
            Finding::new(Severity::Note, AREA, cause, fix).seen(format!("/snap/{name}"))
        }
        Browser::Flatpak { id, sees_devices: false } => {
            let cause = format!("the flatpak {id} cannot see a virtual FIDO2 key");
            let fix =
                format!("if you want to use one there: flatpak override --user --device=all {id}");
            Finding::new(Severity::Note, AREA, cause, fix)
                .seen("devices=all is not among its rights")
        }
        Browser::Flatpak { id, sees_devices: true } => {
            Finding::ok(AREA, format!("the flatpak {id} can see a virtual FIDO2 key"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sandboxes_are_told_apart() {
        let machine = tempfile::tempdir().unwrap();
        let (root, home) = (machine.path().join("root"), machine.path().join("home"));
        assert_eq!(found(&root, &home), []);
        fs::create_dir_all(root.join("snap/firefox/current")).unwrap();
        fs::create_dir_all(root.join("snap/some-tool")).unwrap();
        let chrome = root.join("var/lib/flatpak/app/com.google.Chrome/current/active");
        fs::create_dir_all(&chrome).unwrap();
        let metadata = "[Application]\nname=x\n\n[Context]\nsockets=x11;\ndevices=dri;all;\n";
        fs::write(chrome.join("metadata"), metadata).unwrap();
        let firefox = home.join(".local/share/flatpak/app/org.mozilla.firefox/current/active");
        fs::create_dir_all(&firefox).unwrap();
        fs::write(firefox.join("metadata"), "[Context]\ndevices=dri;\n").unwrap();
        let flatpak = |id, sees_devices| Browser::Flatpak { id, sees_devices };
        let seen = [
            Browser::Snap("firefox"),
            flatpak("com.google.Chrome", true),
            flatpak("org.mozilla.firefox", false),
        ];
        assert_eq!(found(&root, &home), seen);
        let severities: Vec<_> = examine(&root, &home).iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Note, Severity::Ok, Severity::Note]);

        // The user did what the finding says.
        let overrides = home.join(".local/share/flatpak/overrides");
        fs::create_dir_all(&overrides).unwrap();
        fs::write(overrides.join("org.mozilla.firefox"), "[Context]\ndevices=all;\n").unwrap();
        assert_eq!(found(&root, &home)[2], flatpak("org.mozilla.firefox", true));
    }
}
