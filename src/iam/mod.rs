//! The pure core: names, paths, documents, layout, index, compile, plan. No I/O, no clock.

pub mod access;
pub mod breaker;
pub mod change;
pub mod check;
pub mod compile;
pub mod declared;
pub mod describe;
pub mod desired;
pub mod document;
pub mod evaluate;
pub mod explain;
pub mod family;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod index;
pub mod layout;
pub mod legacy;
pub mod live;
#[cfg(test)]
pub(crate) mod model;
pub mod names;
pub mod observed;
pub mod packed;
pub mod path;
pub mod place;
pub mod plan;
pub mod shared;
pub mod slug;
pub mod sorted;
pub mod subject;
pub mod unmanaged;
pub mod vocabulary;
