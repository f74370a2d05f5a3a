//! A dynamic library that is no method. For the host's tests; it refuses to export anything.
