//! A word whenever something happened; what, the page then asks for.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;

/// Between two signs of life, so that a page that is gone is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Tells the numbers of what happens, until the page's server ends.
pub(super) fn news(
    numbers: impl Stream<Item = u64> + Send + 'static,
    mut stopped: watch::Receiver<bool>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = Box::pin(async move {
        let _gone_is_stopped_too = stopped.wait_for(|stop| *stop).await;
    });
    let told = numbers.map(|number| Ok(Event::default().data(number.to_string())));
    Sse::new(told.take_until(stop)).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE))
}
