//! A look at a data directory from outside, for those who ask whether a log could start there.

use std::io;
use std::path::Path;

use weft_wire::env::Env;

use super::error::DiskError;
use super::{Store, StoreError, check_format};

impl Store {
    /// Could [`Store::open`] take this directory: does nobody hold it, is its format one that this program reads? Changes
    /// nothing; a directory that is empty or not there can be taken. Blocks.
    pub fn inspect(env: &Env, dir: &Path) -> Result<(), StoreError> {
        let disk = &*env.disk;
        if disk.exists(&dir.join("format")) {
            check_format(disk, dir)?;
        }
        let lock = dir.join("lock");
        if !disk.exists(&lock) {
            return Ok(());
        }
        match disk.lock(&lock) {
            Ok(_released_at_once) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(StoreError::InUse { path: dir.to_path_buf() })
            }
            Err(error) => Err(DiskError::new("locking", &lock, &error).into()),
        }
    }
}
