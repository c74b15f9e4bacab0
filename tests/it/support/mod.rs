//! The servers that tests run against, and the product between them.

pub mod identity;
pub mod kube;
pub mod minio;
pub mod product;
pub mod proxy;
pub mod random;
pub mod s3;
pub mod world;
