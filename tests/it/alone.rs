//! What needs the machine or its API server for itself: `make test` runs these after all others, one after the other.

mod chaos;
mod scale;
