//! CSV: files, records in them, their order, and the JSON they become.

mod blocks;
mod file;
mod index;
mod layout;
mod record;
mod row;

pub(crate) use blocks::BlockReader;
pub(crate) use file::{CsvFile, Identity, hex, resolve, sha256_of_prefix};
pub(crate) use index::Index;
pub(crate) use layout::Layout;
pub(crate) use record::Scanner;
pub(crate) use row::{BadRow, RowEncoder, error_row};

#[cfg(test)]
mod tests;
