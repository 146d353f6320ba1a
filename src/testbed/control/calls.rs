//! The calls of the schema, each a call of the bench. Knows neither HTTP nor gRPC.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::refusal::{Refusal, wrong};
use super::{Display, script, v1, wire};
use crate::testbed::{Bench, Crowd};

/// How long a call may wait for something to happen.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at the display: a picture takes some ten milliseconds.
const PAUSE: Duration = Duration::from_millis(50);
/// The adapter of the bench.
const ADAPTER: &str = "hci0";

#[derive(Clone)]
pub(super) struct Calls {
    pub(super) bench: Arc<Bench>,
    display: Option<Display>,
    /// True once what waits has to end.
    stopping: watch::Receiver<bool>,
}

impl Calls {
    pub(super) fn new(
        bench: Arc<Bench>,
        display: Option<Display>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { bench, display, stopping }
    }

    pub(super) fn bench(&self) -> v1::GetBenchResponse {
        v1::GetBenchResponse {
            bus: self.bench.bus().to_owned(),
            radio: self.bench.air().to_owned(),
            relay: self.bench.relay().to_owned(),
            ca: self.bench.authority().display().to_string(),
            browser_arguments: self.bench.browser_arguments(),
        }
    }

    pub(super) fn submit(&self, asked: v1::SubmitRequest) -> Result<v1::Ceremony, Refusal> {
        self.begin(asked.phone, &asked.qr, asked.script)
    }

    /// Looks at the display until a code is on it that no phone was shown yet.
    pub(super) async fn scan(&self, asked: v1::ScanRequest) -> Result<v1::Ceremony, Refusal> {
        let look = self.display.clone().ok_or(Refusal::NoDisplay)?.look;
        let patience = asked.wait_ms.map_or(MAX_WAIT, millis);
        let looking = async {
            loop {
                let look = Arc::clone(&look);
                let looked = tokio::task::spawn_blocking(move || look()).await;
                let found = looked.unwrap_or_else(|lost| Err(lost.to_string()));
                match found.map_err(Refusal::Display)? {
                    Some(code) if !self.bench.was_shown(&code) => return Ok::<_, Refusal>(code),
                    _ => sleep(PAUSE).await,
                }
            }
        };
        let code = self.within(patience, looking).await?.ok_or(Refusal::NoCode)??;
        self.begin(asked.phone, &code, asked.script)
    }

    /// Without a phone's name: the only one.
    fn begin(
        &self,
        phone: Option<String>,
        code: &str,
        script: Option<v1::Script>,
    ) -> Result<v1::Ceremony, Refusal> {
        let script = script::read(script.unwrap_or_default()).map_err(|error| wrong(&error))?;
        let phone = match (phone, &self.bench.phone_names()[..]) {
            (Some(phone), _) => phone,
            (None, [only]) => only.clone(),
            (None, _) => {
                return Err(wrong("there is not exactly one phone, so name one: \"phone\""));
            }
        };
        let id = self.bench.scan(&phone, code, script)?;
        Ok(wire::ceremony(&self.bench.ceremony(id)?))
    }

    pub(super) async fn ceremony(
        &self,
        asked: v1::GetCeremonyRequest,
    ) -> Result<v1::Ceremony, Refusal> {
        let over = self.bench.over(asked.id);
        let ceremony = match self.within(millis(asked.wait_ms), over).await? {
            Some(over) => over?,
            None => self.bench.ceremony(asked.id)?,
        };
        Ok(wire::ceremony(&ceremony))
    }

    pub(super) fn ceremonies(&self) -> v1::ListCeremoniesResponse {
        let ceremonies = self.bench.ceremonies().iter().map(wire::ceremony).collect();
        v1::ListCeremoniesResponse { ceremonies }
    }

    /// A picture of the display, as PNG.
    pub(super) async fn screenshot(&self) -> Result<Vec<u8>, Refusal> {
        let picture = self.display.clone().ok_or(Refusal::NoDisplay)?.picture;
        let taken = tokio::task::spawn_blocking(move || picture()).await;
        taken.unwrap_or_else(|lost| Err(lost.to_string())).map_err(Refusal::Display)
    }

    pub(super) fn gather(&self, asked: v1::GatherCrowdRequest) -> Result<(), Refusal> {
        let v1::GatherCrowdRequest { per_second, senders } = asked;
        if !(1..=10_000).contains(&per_second) || !(1..=100_000).contains(&senders) {
            return Err(wrong("perSecond is 1 to 10000, senders 1 to 100000"));
        }
        self.bench.bluetooth().gather(Some(Crowd { per_second, senders }));
        Ok(())
    }

    pub(super) fn disperse(&self) {
        self.bench.bluetooth().gather(None);
    }

    pub(super) async fn bluetooth(&self, asked: v1::SetBluetoothRequest) -> Result<(), Refusal> {
        Ok(self.bench.bluetooth().set_powered(ADAPTER, asked.powered).await?)
    }

    /// What comes within the time; nothing once the bench is taken down.
    async fn within<T>(
        &self,
        patience: Duration,
        what: impl Future<Output = T>,
    ) -> Result<Option<T>, Refusal> {
        tokio::select! {
            done = timeout(patience, what) => Ok(done.ok()),
            () = self.stopped() => Err(Refusal::Stopping),
        }
    }

    /// Until the bench is taken down.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.clone();
        async move {
            // A sender that is gone without a word is an end too.
            drop(stopping.wait_for(|stopping| *stopping).await);
        }
    }
}

fn millis(wait: u32) -> Duration {
    Duration::from_millis(wait.into()).min(MAX_WAIT)
}
