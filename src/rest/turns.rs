//! One after the other: calls of one process that change the same thing do not get into each other's way. Calls of several
//! processes do, and are sorted out by the API server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

type Queue = Arc<tokio::sync::Mutex<()>>;

/// Who is at it, by what is changed. No longer than there are calls.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<String, Queue>>>);

/// A turn; it ends when dropped.
pub struct Turn {
    turns: Turns,
    name: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of a call; `None` where it does not come before the deadline.
    pub async fn take(&self, name: &str, deadline: Instant) -> Option<Turn> {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone();
        let mut turn = Turn { turns: self.clone(), name: name.to_owned(), held: None };
        turn.held = Some(timeout_at(deadline, queue.lock_owned()).await.ok()?);
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut queues = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Everybody who waits or is at it holds the queue too.
        if queues.get(&self.name).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = Turns::default();
        let later = || Instant::now() + Duration::from_secs(30);
        let first = turns.take("a", later()).await.expect("nobody else is there");
        assert!(turns.take("b", later()).await.is_some(), "another thing is free");
        assert!(turns.take("a", Instant::now()).await.is_none(), "the first is still at it");
        let second = turns.take("a", later());
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_some());
        drop(second);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
