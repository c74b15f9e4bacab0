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
    /// What the last failed call said; `None` while the server answers.
    pub problem: Option<String>,
    /// Why nothing can begin although the server answers.
    pub obstacle: Option<String>,
}

/// The shared knowledge.
#[derive(Debug)]
pub struct Health {
    state: watch::Sender<State>,
}

impl Health {
    /// The server counts as away until it has answered for the first time.
    pub fn new() -> Self {
        let problem = Some("the server has not answered yet".to_owned());
        Self { state: watch::Sender::new(State { problem, obstacle: None }) }
    }

    /// The server answered. Says whether that is news.
    pub fn is_up(&self) -> bool {
        self.state.send_if_modified(|state| state.problem.take().is_some())
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
        let _ = state.wait_for(|state| state.problem.is_none()).await;
    }

    /// Waits until the server cannot be used.
    pub async fn wait_down(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.problem.is_some()).await;
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}
