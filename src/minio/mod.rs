//! The MinIO client: signing, sealed bodies, admin and object calls.
