//! The lease of an installation with one replica.

use std::time::Duration;

use super::store::{Attempt, Error, Former, Renewal, Store};

/// A lease that nobody else can take. One replica, replaced by `Recreate`, is the operator's promise.
#[derive(Debug)]
pub struct InProcess;

impl Store for InProcess {
    fn life(&self) -> Duration {
        Duration::MAX
    }

    async fn acquire(&mut self) -> Result<Attempt, Error> {
        Ok(Attempt::Acquired(Former::Released))
    }

    async fn renew(&mut self) -> Result<Renewal, Error> {
        Ok(Renewal::Kept)
    }

    async fn release(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
