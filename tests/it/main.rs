//! Tests against real servers. One binary, so that they are linked once.

mod minio;
mod support;
