//! Files of the operating system, where they differ from the plain default.

use std::io::ErrorKind;
use std::path::PathBuf;

use weft_wire::env::{Disk, OpenMode, RealDisk};

#[test]
fn a_read_gives_exactly_what_was_asked_for() {
    let path: PathBuf = std::env::temp_dir().join(format!("weft-real-disk-{}", std::process::id()));
    let disk = RealDisk::new();
    let file = disk.open(&path, OpenMode::Truncate).unwrap();
    let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    file.write_all_at(&[&bytes[..10], &bytes[10..]], 0).unwrap();
    for (position, length) in [(0, 0), (0, 1), (5, 4096), (99_999, 1), (0, 100_000), (100_000, 0)] {
        let read = file.read_vec(position, length).unwrap();
        assert_eq!(read, bytes[position as usize..position as usize + length]);
    }
    for (position, length) in [(0, 100_001), (99_999, 2), (200_000, 1)] {
        assert_eq!(file.read_vec(position, length).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
    disk.unlink(&path).unwrap();
}
