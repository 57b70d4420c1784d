//! The simulated disk as the program sees it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Content, FileId, Files, Node, Operation, SECTOR_BYTES, SimDisk, is_root, normal};
use crate::env::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::Open, &path)?;
        let id = match (files.file(&path), mode) {
            (Ok(id), OpenMode::Read | OpenMode::ReadWrite) => id,
            (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Err(error), OpenMode::CreateNew) if error.kind() == io::ErrorKind::NotFound => {
                files.parent_exists(&path)?;
                files.next_id += 1;
                let id = files.next_id;
                files.content.insert(id, Content::default());
                files.names.insert(path.clone(), Node::File(id));
                id
            }
            (Err(error), _) => return Err(error),
        };
        let life = files.life;
        Ok(Arc::new(SimFile { files: Arc::clone(&self.files), id, path, life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (normal(from), normal(to));
        let mut files = self.files.lock();
        files.check(Operation::Rename, &to)?;
        let node = files.names.get(&from).cloned().ok_or(io::ErrorKind::NotFound)?;
        files.parent_exists(&to)?;
        if node == Node::Dir {
            // A rename of a directory is one change of a name; what lies below moves with it, durable or not.
            let below: Vec<PathBuf> = files.names.keys().filter(|path| path.starts_with(&from)).cloned().collect();
            for path in below {
                let moved = to.join(path.strip_prefix(&from).unwrap_or(&path));
                if let Some(node) = files.names.remove(&path) {
                    files.names.insert(normal(&moved), node);
                }
            }
        } else {
            files.names.remove(&from);
            files.names.insert(to, node);
        }
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::Unlink, &path)?;
        files.file(&path)?;
        files.names.remove(&path);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.power()?;
        let missing: Vec<PathBuf> = path.ancestors().filter(|above| !is_root(above)).map(Path::to_path_buf).collect();
        for above in missing.into_iter().rev() {
            files.names.entry(above).or_insert(Node::Dir);
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::Unlink, &path)?;
        files.names.retain(|name, _| !name.starts_with(&path));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::SyncDir, &path)?;
        if files.ignore_sync {
            return Ok(());
        }
        let Files { names, synced_names, .. } = &mut *files;
        if names.get(&path) != Some(&Node::Dir) && !is_root(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |name: &PathBuf| name.parent() == Some(&path);
        let gone: Vec<PathBuf> =
            synced_names.keys().filter(|name| inside(name) && !names.contains_key(*name)).cloned().collect();
        for name in gone {
            // With a directory goes what was below it.
            synced_names.retain(|synced, _| !synced.starts_with(&name));
        }
        for (name, node) in names.iter().filter(|(name, _)| inside(name)) {
            let before = synced_names.insert(name.clone(), node.clone());
            // A directory that was moved here brings what it durably held: the model keeps all of it.
            if *node == Node::Dir && before.is_none() {
                let below: Vec<_> =
                    names.iter().filter(|(below, _)| below.starts_with(name) && *below != name).collect();
                for (below, node) in below {
                    synced_names.entry(below.clone()).or_insert_with(|| node.clone());
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = normal(path);
        let files = self.files.lock();
        if files.names.get(&path) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut entries = Vec::new();
        for (name, node) in &files.names {
            if name.parent() == Some(&path)
                && let Some(last) = name.file_name()
            {
                entries.push(DirEntry { name: last.to_string_lossy().into_owned(), is_dir: *node == Node::Dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.lock().names.contains_key(&normal(path))
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.files.lock().free)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let path = normal(path);
        let mut files = self.files.lock();
        if !files.locks.insert(path.clone()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = files.life;
        Ok(Box::new(SimLock { files: Arc::clone(&self.files), path, life }))
    }
}

struct SimLock {
    files: Arc<Mutex<Files>>,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut files = self.files.lock();
        if files.life == self.life {
            files.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    files: Arc<Mutex<Files>>,
    id: FileId,
    path: PathBuf,
    life: u64,
}

impl SimFile {
    fn with<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Content, io::Result<()>, bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut files = self.files.lock();
        if files.life != self.life {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        files.power()?;
        let fault = files.check(operation, &self.path);
        let ignore_sync = files.ignore_sync;
        let content = files.content.entry(self.id).or_default();
        act(content, fault, ignore_sync)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(Operation::Read, |content, fault, _| {
            fault?;
            let from = usize::try_from(position).unwrap_or(usize::MAX);
            let available = content.now.get(from..).unwrap_or_default();
            let n = available.len().min(buf.len());
            if let (Some(to), Some(from)) = (buf.get_mut(..n), available.get(..n)) {
                to.copy_from_slice(from);
            }
            Ok(n)
        })
    }

    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        self.with(Operation::Write, |content, fault, _| {
            let mut bytes: Vec<u8> = parts.concat();
            if fault.is_err() {
                bytes.truncate(bytes.len() / 2);
            }
            if !bytes.is_empty() {
                let from = usize::try_from(position).unwrap_or(usize::MAX);
                let to = from + bytes.len();
                if content.now.len() < to {
                    content.now.resize(to, 0);
                }
                if let Some(place) = content.now.get_mut(from..to) {
                    place.copy_from_slice(&bytes);
                }
                content.dirty.extend(position / SECTOR_BYTES..=(to as u64 - 1) / SECTOR_BYTES);
            }
            fault
        })
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.with(Operation::Sync, |content, fault, ignore| {
            if fault.is_err() {
                // As kernels do: the pages are dropped from the list of what is to be written, the data stays readable.
                content.dirty.clear();
                return fault;
            }
            if !ignore {
                content.synced.clone_from(&content.now);
                content.dirty.clear();
            }
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(Operation::Truncate, |content, fault, _| {
            fault?;
            content.now.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(Operation::Read, |content, fault, _| fault.map(|()| content.now.len() as u64))
    }
}
