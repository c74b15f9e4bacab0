//! The Secret in the hands of the programs that it is for: its variables in their environment, and its files in a volume.

mod document;
mod examples;
mod formats;
pub mod load;
mod rotation;
mod volume;
mod workplace;
