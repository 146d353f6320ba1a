//! A Chromium without a window, with a profile of its own.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::devtools::Page;
use crate::soon;

pub(crate) struct Browser {
    child: Child,
    pub(crate) page: Page,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let mut child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--no-first-run", "--remote-debugging-port=0"])
            .args(["--disable-gpu", "--lang=en-GB", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = soon("the browser", lines.next_line()).await.unwrap().expect("it ended");
            if let Some(url) = line.strip_prefix("DevTools listening on ") {
                break url.to_owned();
            }
        };
        // What it says further is nobody's, but somebody has to read it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, page: Page::attach(&url).await, _profile: profile }
    }

    pub(crate) async fn end(mut self) {
        self.child.kill().await.unwrap();
    }
}
