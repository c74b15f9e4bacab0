//! Whether MinIO can be reached, known once for everybody.
//!
//! While it cannot, workers wait instead of failing one by one; a single prober asks, and everything goes on when it answers.

use std::time::Duration;

use tokio::sync::watch;

/// How often an unreachable server is asked.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// Why the server cannot be used, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the server has answered since the start.
    pub greeted: bool,
    /// What the last failed call said; `None` while nothing has failed.
    pub problem: Option<String>,
    /// Why nothing can begin although the server answers.
    pub obstacle: Option<String>,
}

impl State {
    fn is_usable(&self) -> bool {
        self.greeted && self.problem.is_none()
    }
}

/// The shared knowledge.
#[derive(Debug)]
pub struct Health {
    state: watch::Sender<State>,
}

impl Health {
    /// Nothing is known of the server: nobody uses it before it has answered for the first time.
    pub fn new() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }

    /// The server answered. Says whether that is news.
    pub fn is_up(&self) -> bool {
        self.state.send_if_modified(|state| {
            let news = state.problem.take().is_some() || !state.greeted;
            state.greeted = true;
            news
        })
    }

    /// A call failed because the server cannot be reached. Says whether that is news.
    pub fn is_down(&self, problem: String) -> bool {
        self.state.send_if_modified(|state| {
            let news = state.problem.is_none();
            state.problem = Some(problem);
            news
        })
    }

    /// Why nothing can begin although the server answers; `None` once everything is ready.
    pub fn set_obstacle(&self, obstacle: Option<String>) {
        self.state.send_modify(|state| state.obstacle = obstacle);
    }

    /// Why the server cannot be used, if so.
    pub fn problem(&self) -> Option<String> {
        let state = self.state.borrow();
        state.problem.clone().or_else(|| state.obstacle.clone())
    }

    /// Waits until the server can be used.
    pub async fn wait_up(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = state.wait_for(State::is_usable).await;
    }

    /// Waits until the server cannot be used.
    pub async fn wait_down(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| !state.is_usable()).await;
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}
