//! What callers are shown.
