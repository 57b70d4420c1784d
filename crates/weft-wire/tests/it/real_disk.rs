//! Files of the operating system, where they differ from the plain default.

use std::io::ErrorKind;
use std::path::PathBuf;

use weft_wire::env::{Disk, RealDisk};

#[test]
fn a_read_gives_exactly_what_was_asked_for() {
    let path: PathBuf = std::env::temp_dir().join(format!("weft-real-disk-{}", std::process::id()));
    let disk = RealDisk::new();
    let file = disk.create_anew(&path).unwrap();
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

#[test]
fn a_file_created_anew_does_not_empty_what_had_its_name() {
    let folder = std::env::temp_dir().join(format!("weft-anew-{}", std::process::id()));
    let disk = RealDisk::new();
    disk.create_dir(&folder).unwrap();
    let (one, other) = (folder.join("one"), folder.join("other"));
    disk.create_anew(&one).unwrap().write_all_at(&[b"kept"], 0).unwrap();
    std::fs::hard_link(&one, &other).unwrap();
    assert!(disk.create_anew(&one).unwrap().is_empty().unwrap());
    assert_eq!(disk.read(&other, 10).unwrap(), b"kept");
    disk.remove_dir_all(&folder).unwrap();
}
