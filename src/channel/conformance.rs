//! The rules of [`DataChannel`] as checks that every implementation runs in its tests.
//!
//! Depends on its parent. Public so that channels outside this crate can be held to the same rules.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::{DataChannel, Error, MAX_MESSAGE_LEN};

/// A broken rule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A call failed that had to succeed.
    #[error("{rule}: a call failed")]
    Failed {
        /// The rule that was being checked.
        rule: &'static str,
        /// What the call returned.
        source: Error,
    },
    /// A call succeeded, but not as the rule says.
    #[error("{rule}")]
    Broken {
        /// The rule that does not hold.
        rule: &'static str,
    },
}

/// Makes a fresh pair of ends with `make` for each rule, and checks all rules.
///
/// # Errors
///
/// The first rule that does not hold.
pub async fn run<A, B, F>(make: F) -> Result<(), Violation>
where
    A: DataChannel,
    B: DataChannel,
    F: AsyncFn() -> Result<(A, B), Error>,
{
    let pair = async || make().await.map_err(failed("a pair can be made"));
    let (mut a, mut b) = pair().await?;
    sizes(&mut a, &mut b).await?;
    sizes(&mut b, &mut a).await?;
    order(&mut a, &mut b).await?;
    too_long(&mut a, &mut b).await?;
    cancelled_recv(&mut a, &mut b).await?;
    close_is_seen(&mut a, &mut b).await?;
    let (mut a, mut b) = pair().await?;
    close_is_seen(&mut b, &mut a).await?;
    let (mut a, b) = pair().await?;
    drop_is_seen(&mut a, b).await
}

fn failed(rule: &'static str) -> impl FnOnce(Error) -> Violation {
    move |source| Violation::Failed { rule, source }
}

fn require(holds: bool, rule: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Broken { rule }) }
}

/// Both at once: a channel need not take a large message before the other end reads.
async fn transfer(
    from: &mut impl DataChannel,
    to: &mut impl DataChannel,
    message: &[u8],
    rule: &'static str,
) -> Result<Vec<u8>, Violation> {
    let (sent, received) = tokio::join!(from.send(message), to.recv());
    sent.map_err(failed(rule))?;
    received.map_err(failed(rule))
}

async fn sizes(a: &mut impl DataChannel, b: &mut impl DataChannel) -> Result<(), Violation> {
    const RULE: &str = "messages of 0 bytes to 1 MiB arrive unchanged";
    for size in [0, 1, 81, 125, 126, 1 << 16, MAX_MESSAGE_LEN] {
        let message: Vec<u8> = (0..size).map(|i| (i * 31 + size) as u8).collect();
        require(transfer(a, b, &message, RULE).await? == message, RULE)?;
    }
    Ok(())
}

async fn order(a: &mut impl DataChannel, b: &mut impl DataChannel) -> Result<(), Violation> {
    const RULE: &str = "messages arrive in order, each once";
    let send = async {
        for number in 0..100_u8 {
            a.send(&[number]).await.map_err(failed(RULE))?;
        }
        Ok(())
    };
    let receive = async {
        for number in 0..100_u8 {
            require(b.recv().await.map_err(failed(RULE))? == [number], RULE)?;
        }
        Ok(())
    };
    tokio::try_join!(send, receive).map(|_| ())
}

async fn too_long(a: &mut impl DataChannel, b: &mut impl DataChannel) -> Result<(), Violation> {
    const RULE: &str = "a message over the limit is refused and harms nothing";
    let refused = a.send(&vec![0; MAX_MESSAGE_LEN + 1]).await;
    require(matches!(refused, Err(Error::TooLong)), RULE)?;
    require(transfer(a, b, b"next", RULE).await? == b"next", RULE)
}

async fn cancelled_recv(
    a: &mut impl DataChannel,
    b: &mut impl DataChannel,
) -> Result<(), Violation> {
    const RULE: &str = "a dropped recv loses no message";
    for number in 0..20_u8 {
        require(poll_once(b.recv()).await.is_none(), RULE)?;
        a.send(&[number]).await.map_err(failed(RULE))?;
        let early = poll_once(b.recv()).await;
        let message = match early {
            Some(message) => message,
            None => b.recv().await,
        };
        require(message.map_err(failed(RULE))? == [number], RULE)?;
    }
    Ok(())
}

async fn close_is_seen(
    a: &mut impl DataChannel,
    b: &mut impl DataChannel,
) -> Result<(), Violation> {
    const RULE: &str = "a closed channel delivers what was sent before, then says so";
    a.send(b"last").await.map_err(failed(RULE))?;
    let (last, (), end) = {
        let read = async { (b.recv().await, b.recv().await) };
        let ((last, end), ()) = tokio::join!(read, a.close());
        (last, (), end)
    };
    require(last.map_err(failed(RULE))? == b"last", RULE)?;
    require(matches!(end, Err(Error::Closed { code }) if code == goodbye(a)), RULE)?;
    const AFTER: &str = "after close every call of either end fails";
    require(a.send(b"x").await.is_err() && a.recv().await.is_err(), AFTER)?;
    require(b.send(b"x").await.is_err() && b.recv().await.is_err(), AFTER)?;
    b.close().await;
    Ok(())
}

async fn drop_is_seen(a: &mut impl DataChannel, mut b: impl DataChannel) -> Result<(), Violation> {
    const RULE: &str = "a dropped end is seen as an end that was not clean";
    b.send(b"last").await.map_err(failed(RULE))?;
    drop(b);
    require(a.recv().await.map_err(failed(RULE))? == b"last", RULE)?;
    let end = a.recv().await;
    let clean = matches!(end, Ok(_) | Err(Error::Closed { code: Some(1000) }));
    require(!clean, RULE)
}

/// The code of a goodbye.
fn goodbye<C: DataChannel>(_: &C) -> Option<u16> {
    C::TELLS_GOODBYE.then_some(1000)
}

/// Polls once and drops the future if it is not ready.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
