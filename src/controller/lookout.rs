//! What makes the loops that look for foreign changes look, and what the trace of the server is doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// Several changes that come closely together are looked at together: after so long without another one, ...
const QUIET: Duration = Duration::from_millis(50);

/// ... and after so long at the latest.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// The server's trace, as far as it is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    /// It is not followed at this moment.
    #[default]
    Away,
    /// Every foreign change shows at once.
    Open,
    /// The server or our identity on it does not allow it; why.
    Refused(String),
}

/// Asks for a look that also happens by itself now and then. Many askers get one look.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Notify,
    /// Whether it was rung and nobody has come yet.
    waits: AtomicBool,
}

impl Bell {
    /// Asks for a look.
    pub fn ring(&self) {
        self.waits.store(true, Ordering::Release);
        self.rung.notify_one();
    }

    /// Whether somebody waits for a look; from now on nobody does.
    pub fn answer(&self) -> bool {
        self.waits.swap(false, Ordering::AcqRel)
    }

    /// Waits until somebody asks.
    pub async fn heard(&self) {
        while !self.waits.load(Ordering::Acquire) {
            self.rung.notified().await;
        }
    }

    /// Waits until somebody asks, and then until nobody does any more for a moment, but not before `earliest`; at the latest
    /// until `latest`.
    pub async fn due(&self, earliest: Instant, latest: Instant) {
        if tokio::time::timeout_at(latest, self.heard()).await.is_ok() {
            let end = Instant::now() + LONGEST_WAIT;
            while self.answer() && Instant::now() < end {
                // Nobody within that time means that the burst is over.
                let _ = timeout(QUIET, self.heard()).await;
            }
            sleep_until(earliest).await;
        }
        self.answer();
    }
}

/// Shared by the loops that look and those who ask them to.
#[derive(Debug, Default)]
pub struct Lookout {
    /// Asks for a comparison of all users and attachments.
    pub audits: Bell,
    /// Asks for a reading of all documents and groups.
    pub sweeps: Bell,
    /// Rung when everything has been compared with the server since the start: much more is known to exist than before.
    pub compared: Bell,
    /// The trace.
    pub stream: watch::Sender<Stream>,
    /// When the last list of all users was asked for that was answered and believed.
    pub listed: Mutex<Option<Instant>>,
}

impl Lookout {
    /// What the trace is doing now.
    pub fn stream(&self) -> Stream {
        self.stream.borrow().clone()
    }

    /// Notes what the trace is doing. Says whether that is news.
    pub fn set_stream(&self, stream: Stream) -> bool {
        self.stream.send_if_modified(|held| std::mem::replace(held, stream.clone()) != stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_get_one_look_and_not_too_early() {
        let bell = Bell::default();
        let start = Instant::now();
        bell.due(start, start + 60 * SECOND).await;
        assert_eq!(start.elapsed(), 60 * SECOND, "nobody asked");

        let start = Instant::now();
        bell.ring();
        bell.ring();
        bell.due(start, start + 60 * SECOND).await;
        assert!(start.elapsed() < SECOND, "somebody asked");
        assert!(!bell.answer(), "all were answered");

        let start = Instant::now();
        bell.ring();
        bell.due(start + SECOND, start + 60 * SECOND).await;
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_ever_does_not_put_it_off() {
        let bell = Bell::default();
        let storm = async {
            loop {
                bell.ring();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let start = Instant::now();
        tokio::select! {
            () = bell.due(start, start + 60 * SECOND) => {}
            () = storm => {}
        }
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    }
}
