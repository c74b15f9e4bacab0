//! Watches objects and converges MinIO to them.
