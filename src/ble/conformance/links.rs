//! The rules of [`Linker`]: connections between two radios.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{Violation, failed};
use crate::ble::{Address, DYNAMIC_PSMS, Error, Link, Linker, Listener};

/// Tries all rules with a phone that advertises from `there`; `patience` is for each step. A
/// connection may be tried `attempts` times: once where none is lost, more often over real air, where
/// the laptop's state machine does the same.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn links(
    laptop: &impl Linker,
    phone: &impl Linker,
    there: Address,
    patience: Duration,
    attempts: NonZeroU32,
) -> Result<(), Violation> {
    let pair = Pair { laptop, phone, there, patience, attempts };
    pair.bytes_arrive().await?;
    pair.listeners_have_ports_of_their_own().await?;
    pair.the_end_is_seen().await?;
    pair.a_dropped_listener_takes_nobody().await
}

struct Pair<'a, L, P> {
    laptop: &'a L,
    phone: &'a P,
    there: Address,
    patience: Duration,
    attempts: NonZeroU32,
}

impl<L: Linker, P: Linker> Pair<'_, L, P> {
    async fn bytes_arrive(&self) -> Result<(), Violation> {
        let rule = "bytes arrive both ways, all and in order";
        let mut listener = self.listen(rule).await?;
        let (mut near, mut far) = self.connect(rule, &mut listener).await?;
        let sent: Vec<u8> = (0..50_000_u32).map(|i| (i % 251) as u8).collect();
        for _ in 0..2 {
            let mut heard = vec![0; sent.len()];
            let both =
                async { tokio::try_join!(near.write_all(&sent), far.read_exact(&mut heard)) };
            self.in_time(rule, both).await?.map_err(lost(rule))?;
            require(heard == sent, rule)?;
            std::mem::swap(&mut near, &mut far);
        }
        self.part(rule, near, far).await
    }

    async fn listeners_have_ports_of_their_own(&self) -> Result<(), Violation> {
        let rule = "each listener has a port of its own in the dynamic range";
        let (mut one, mut two) = (self.listen(rule).await?, self.listen(rule).await?);
        require(one.psm() != two.psm(), rule)?;
        require([one.psm(), two.psm()].iter().all(|psm| DYNAMIC_PSMS.contains(&psm.0)), rule)?;
        // One that gives a connection lives on and gives the next.
        for _ in 0..2 {
            for listener in [&mut two, &mut one] {
                let (near, far) = self.connect(rule, listener).await?;
                self.part(rule, near, far).await?;
            }
        }
        Ok(())
    }

    async fn the_end_is_seen(&self) -> Result<(), Violation> {
        let rule = "what was sent before the end arrives, and then the end";
        let mut listener = self.listen(rule).await?;
        for _ in 0..2 {
            let (mut near, mut far) = self.connect(rule, &mut listener).await?;
            near.write_all(b"last").await.map_err(lost(rule))?;
            let mut heard = [0; 4];
            self.in_time(rule, far.read_exact(&mut heard)).await?.map_err(lost(rule))?;
            require(heard == *b"last", rule)?;
            self.part(rule, near, far).await?;
        }
        Ok(())
    }

    /// One side leaves and the other sees it. Two that leave at once, and come back at once, are more
    /// than some controllers carry.
    async fn part(&self, rule: &'static str, near: Link, mut far: Link) -> Result<(), Violation> {
        drop(near);
        // Bluetooth calls every end a reset.
        let end = self.in_time(rule, far.read(&mut [0])).await?;
        require(matches!(end, Ok(0) | Err(_)), rule)
    }

    async fn a_dropped_listener_takes_nobody(&self) -> Result<(), Violation> {
        let rule = "where nobody listens nobody can connect";
        let listener = self.listen(rule).await?;
        let psm = listener.psm();
        drop(listener);
        let refused = self.in_time(rule, self.laptop.connect(self.there, psm)).await?;
        require(matches!(refused, Err(Error::Unreachable(_))), rule)
    }

    async fn listen(&self, rule: &'static str) -> Result<P::Listener, Violation> {
        self.in_time(rule, self.phone.listen()).await?.map_err(failed(rule))
    }

    async fn connect(
        &self,
        rule: &'static str,
        listener: &mut P::Listener,
    ) -> Result<(Link, Link), Violation> {
        let psm = listener.psm();
        let mut attempt = 1;
        loop {
            // Either failure ends it: nobody comes where the other has given up.
            let both =
                async { tokio::try_join!(self.laptop.connect(self.there, psm), listener.accept()) };
            match self.in_time(rule, both).await? {
                Err(Error::Unreachable(_)) if attempt < self.attempts.get() => attempt += 1,
                result => return result.map_err(failed(rule)),
            }
        }
    }

    async fn in_time<T>(
        &self,
        rule: &'static str,
        step: impl Future<Output = T>,
    ) -> Result<T, Violation> {
        timeout(self.patience, step).await.map_err(|_| Violation::Late { rule })
    }
}

fn require(holds: bool, rule: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Broken { rule }) }
}

fn lost(rule: &'static str) -> impl Fn(io::Error) -> Violation {
    move |cause| Violation::Failed { rule, source: Error::Link(cause) }
}
