//! The OpenAPI document, and clients that are generated from it.
