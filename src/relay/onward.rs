//! A task in steps, each in an allocation of its own that is freed before the next one begins.
//!
//! A connection goes through TLS, a head and a wait before it is a tunnel, and a tunnel lives for minutes:
//! it should cost what its pipe needs, and not what came before.

use std::pin::Pin;

type Step = Pin<Box<dyn Future<Output = Onward> + Send>>;

/// What a task does next, if anything.
pub(super) struct Onward(Option<Step>);

impl Onward {
    /// Nothing: it is over.
    pub(super) const END: Self = Self(None);

    pub(super) fn to(step: impl Future<Output = Self> + Send + 'static) -> Self {
        Self(Some(Box::pin(step)))
    }

    /// The last step.
    pub(super) fn last(step: impl Future<Output = ()> + Send + 'static) -> Self {
        // Awaited in place, a step would be there twice: as it came, and where it is polled.
        let step = Box::pin(step);
        Self::to(async {
            step.await;
            Self::END
        })
    }

    /// All steps to the end.
    pub(super) async fn run(mut self) {
        while let Some(step) = self.0.take() {
            self = step.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_step_holds_nothing_of_the_one_before() {
        let held = Arc::new(());
        let watched = Arc::downgrade(&held);
        let first = async move {
            let _held = held;
            tokio::task::yield_now().await;
            let second = async move { assert!(watched.upgrade().is_none(), "it is freed") };
            Onward::last(second)
        };
        Onward::to(first).run().await;
    }
}
