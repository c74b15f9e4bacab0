//! Folders, shared and unshared through the API.
