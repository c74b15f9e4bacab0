//! The recorded scenarios of the legacy service.
