//! What was found out about tokens, for a short time.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use moka::Expiry;
use moka::policy::EvictionPolicy;

use super::{AuthError, Caller, TokenDigest};

/// How many tokens are remembered.
const CAPACITY: u64 = 10_000;

/// Who the owner of a token is and when the token ends.
type Found = (Caller, Option<Timestamp>);

/// Tokens that were found, by digest. What was not found is looked up each time, so that a new token works at once.
pub(super) struct Cache {
    /// None if nothing may be remembered.
    found: Option<moka::future::Cache<TokenDigest, Found>>,
}

impl Cache {
    pub(super) fn new(ttl: Duration) -> Self {
        let found = (!ttl.is_zero()).then(|| {
            moka::future::Cache::builder()
                .max_capacity(CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(Ending { ttl })
                .build()
        });
        Self { found }
    }

    /// What is remembered, or else what the look-up finds. Of several that come for one token at once only one looks it up.
    pub(super) async fn get_or_look_up(
        &self,
        digest: TokenDigest,
        look_up: impl Future<Output = Result<Found, AuthError>>,
    ) -> Result<Caller, AuthError> {
        let (caller, _) = match &self.found {
            Some(found) => found.try_get_with(digest, look_up).await.map_err(|error| AuthError::clone(&error))?,
            None => look_up.await?,
        };
        Ok(caller)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// An entry lasts for the configured time from when it was made, but not beyond the end of the token.
struct Ending {
    ttl: Duration,
}

impl Ending {
    fn of(&self, expires: Option<Timestamp>) -> Duration {
        let left = expires.map(|end| Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default());
        left.map_or(self.ttl, |left| left.min(self.ttl))
    }
}

impl Expiry<TokenDigest, Found> for Ending {
    fn expire_after_create(&self, _: &TokenDigest, found: &Found, _: Instant) -> Option<Duration> {
        Some(self.of(found.1))
    }

    /// Also that of an entry which has expired and was not swept yet.
    fn expire_after_update(&self, _: &TokenDigest, found: &Found, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(self.of(found.1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::SignedDuration;

    use super::*;
    use crate::iam::names::UserName;
    use crate::rest::auth::Token;

    fn found(left: Option<i64>) -> Result<Found, AuthError> {
        let caller = Caller { user: UserName::parse("alice").unwrap(), admin: false };
        Ok((caller, left.map(|seconds| Timestamp::now() + SignedDuration::from_secs(seconds))))
    }

    /// How many of `times` uses in a row are looked up.
    async fn looked_up(ttl: Duration, times: usize, answer: impl Fn() -> Result<Found, AuthError>) -> usize {
        let (cache, count) = (Cache::new(ttl), AtomicUsize::new(0));
        for _ in 0..times {
            let look_up = async {
                count.fetch_add(1, Ordering::Relaxed);
                answer()
            };
            let _ = cache.get_or_look_up(Token::parse("abc").unwrap().digest(), look_up).await;
        }
        count.into_inner()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn what_was_found_is_not_looked_up_again() {
        assert_eq!(looked_up(HOUR, 5, || found(None)).await, 1);
        assert_eq!(looked_up(HOUR, 5, || found(Some(3600))).await, 1);
    }

    #[tokio::test]
    async fn without_a_time_to_live_everything_is_looked_up() {
        assert_eq!(looked_up(Duration::ZERO, 5, || found(None)).await, 5);
    }

    #[tokio::test]
    async fn what_was_not_found_is_looked_up_again() {
        assert_eq!(looked_up(HOUR, 5, || Err(AuthError::InvalidToken)).await, 5);
    }

    #[tokio::test]
    async fn a_token_that_has_ended_is_looked_up_again() {
        assert_eq!(looked_up(HOUR, 5, || found(Some(-30))).await, 5);
    }

    #[test]
    fn an_entry_ends_with_its_token() {
        let ending = Ending { ttl: HOUR };
        let end = ending.of(found(Some(60)).unwrap().1);
        assert!(end > Duration::from_secs(30) && end <= Duration::from_secs(60), "{end:?}");
        assert_eq!(ending.of(found(Some(7200)).unwrap().1), HOUR);
        assert_eq!(ending.of(None), HOUR);
    }

    #[tokio::test]
    async fn there_is_a_limit_to_what_is_remembered() {
        let cache = Cache::new(HOUR);
        for number in 0..CAPACITY + 500 {
            let digest = Token::parse(format!("token-{number}")).unwrap().digest();
            cache.get_or_look_up(digest, async { found(None) }).await.unwrap();
        }
        let entries = cache.found.as_ref().unwrap();
        entries.run_pending_tasks().await;
        assert_eq!(entries.entry_count(), CAPACITY);
        let newest = Token::parse(format!("token-{}", CAPACITY + 499)).unwrap().digest();
        assert!(entries.contains_key(&newest), "the least recently used ones go");
    }
}
