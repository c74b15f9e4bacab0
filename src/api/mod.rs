//! The kinds of `minio-manager.io/v1alpha1`.
