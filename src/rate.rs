//! How often something may happen.

use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant, sleep_until};

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

/// Waits until something may happen; shared by all who do it.
#[derive(Debug)]
pub struct Pace {
    bucket: Option<Mutex<TokenBucket>>,
}

impl Pace {
    /// So many in a second, and as many at once after a quiet time; 0: any number.
    pub fn new(per_second: u32) -> Self {
        let rate = f64::from(per_second);
        let bucket = (per_second > 0).then(|| Mutex::new(TokenBucket::new(rate, rate, Instant::now())));
        Self { bucket }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        let Some(bucket) = &self.bucket else { return };
        loop {
            let taken = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
            match taken {
                Ok(()) => return,
                Err(next) => sleep_until(next).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_at_once_goes_on_at_the_rate() {
        let (pace, start) = (Pace::new(10), Instant::now());
        let taken = async |count: usize| {
            for _ in 0..count {
                pace.turn().await;
            }
            start.elapsed().as_millis()
        };
        assert_eq!(taken(10).await, 0);
        let after = taken(20).await;
        assert!((2_000..2_030).contains(&after), "{after} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn no_pace_is_no_wait() {
        let (pace, start) = (Pace::new(0), Instant::now());
        for _ in 0..1_000 {
            pace.turn().await;
        }
        assert_eq!(start.elapsed().as_millis(), 0);
    }
}
