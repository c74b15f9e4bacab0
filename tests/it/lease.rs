//! Several replicas beside one MinIO, of one installation and of two: one acts, and the next one takes over.

mod claim;
mod replicas;
mod store;

use crate::support::product::Product;

/// The reads and writes of a product that stands by.
fn assert_only_watches(product: &Product) {
    assert_eq!(product.metrics().writes(), 0, "{}", product.log_tail());
    assert_eq!(product.audit().len(), 0);
    assert_eq!(product.get("/ready").0, 200, "every replica is ready");
}
