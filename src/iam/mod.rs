//! The pure core: names, paths, documents, layout, index, compile, plan. No I/O, no clock.

pub mod change;
pub mod check;
pub mod compile;
pub mod declared;
pub mod desired;
pub mod document;
pub mod evaluate;
pub mod index;
pub mod layout;
pub mod names;
pub mod observed;
pub mod path;
pub mod subject;
pub mod vocabulary;
