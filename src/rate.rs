//! How often something may happen.

use tokio::time::{Duration, Instant};

/// Tokens that come at a steady rate and are kept up to a limit; each thing that happens takes one.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    capacity: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full one. Both numbers are above 0.
    pub fn new(per_second: f64, capacity: f64, now: Instant) -> Self {
        Self { per_second, capacity, tokens: capacity, filled: now }
    }

    fn fill(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + earned).min(self.capacity);
        self.filled = self.filled.max(now);
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.fill(now);
        // A timer's resolution must not cost another round for a missing billionth.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.tokens) / self.per_second;
        Err(now + Duration::from_secs_f64(missing))
    }

    /// Takes a token whether there is one or not; no more is owed than fits in.
    pub fn take_on_credit(&mut self, now: Instant) {
        self.fill(now);
        self.tokens = (self.tokens - 1.0).max(-self.capacity);
    }
}
