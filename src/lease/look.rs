//! Whether somebody leads, for those who do not want to lead themselves.

use std::time::Duration;

use tokio::time::Instant;

use super::store::Error;

/// How often the lease is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// A place that keeps the lease, seen from outside.
pub trait Look: Send {
    /// The lease at one moment.
    type Sight: Send;

    /// The lease as it is; `None` where nobody has it.
    fn look(&mut self) -> impl Future<Output = Result<Option<Self::Sight>, Error>> + Send;

    /// Whether somebody has taken or renewed the lease between two looks.
    fn is_renewed(before: &Self::Sight, after: &Self::Sight) -> bool;

    /// How long the lease lasts that was seen.
    fn life(sight: &Self::Sight) -> Duration;
}

/// Whether somebody keeps the lease. That of a leader that crashed is watched until it has run out, by our own clock.
///
/// # Errors
/// The store cannot be asked.
pub async fn is_kept<S: Look>(mut store: S) -> Result<bool, Error> {
    let Some(first) = store.look().await? else { return Ok(false) };
    let end = Instant::now() + S::life(&first);
    loop {
        tokio::time::sleep(INTERVAL).await;
        match store.look().await? {
            None => return Ok(false),
            Some(now) if S::is_renewed(&first, &now) => return Ok(true),
            Some(_) if Instant::now() > end => return Ok(false),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What each look shows: nobody, or a record in this version.
    struct Shown(VecDeque<Option<u32>>);

    impl Look for Shown {
        type Sight = u32;

        async fn look(&mut self) -> Result<Option<u32>, Error> {
            let last = *self.0.front().expect("there is something to see");
            if self.0.len() > 1 {
                self.0.pop_front();
            }
            Ok(last)
        }

        fn is_renewed(before: &u32, after: &u32) -> bool {
            before != after
        }

        fn life(_: &u32) -> Duration {
            super::super::LEASE
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_lease_that_is_renewed_is_kept() {
        let kept = async |shown: &[Option<u32>]| is_kept(Shown(shown.iter().copied().collect())).await.unwrap();
        assert!(!kept(&[None]).await);
        assert!(!kept(&[Some(1)]).await, "its leader crashed");
        assert!(!kept(&[Some(1), Some(1), None]).await, "it is given up");
        assert!(kept(&[Some(1), Some(1), Some(2)]).await);
    }
}
