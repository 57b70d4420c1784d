//! The map is true: every crate, folder and file that the documents name exists.
