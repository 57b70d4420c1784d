//! The simulated disk keeps its promises, and breaks what it may break.

use std::path::Path;

use weft_wire::env::sim::SimWorld;
use weft_wire::env::{Disk, OpenMode};

#[test]
fn what_is_synced_survives_and_the_rest_may_not() {
    let (mut kept, mut torn, mut lost) = (0, 0, 0);
    for seed in 0..200 {
        let disk = SimWorld::new(seed).disk;
        disk.create_dir(Path::new("d")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let file = disk.open(Path::new("d/f"), OpenMode::CreateNew).unwrap();
        file.write_all_at(&[&[1; 2048]], 0).unwrap();
        file.fdatasync().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.write_all_at(&[&[2; 2048]], 2048).unwrap();
        disk.cut_power();
        assert!(file.len().is_err(), "handles die with the process");
        let bytes = disk.contents(Path::new("d/f")).unwrap();
        assert!(bytes.starts_with(&[1; 2048]), "seed {seed}");
        match bytes.get(2048..).unwrap() {
            [] => lost += 1,
            rest if rest == [2; 2048] => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 0 && torn > 0 && lost > 0, "{kept} kept, {torn} torn, {lost} lost");
}

#[test]
fn unsynced_names_may_vanish_and_replaced_files_hold_old_or_new() {
    let (mut old, mut new, mut gone) = (0, 0, 0);
    for seed in 0..200 {
        let disk = SimWorld::new(seed).disk;
        disk.create_dir(Path::new("d")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        disk.replace(Path::new("d/f"), b"old").unwrap();
        let file = disk.open(Path::new("d/g"), OpenMode::CreateNew).unwrap();
        file.fdatasync().unwrap();
        let temporary = disk.create_anew(Path::new("d/f.tmp")).unwrap();
        temporary.write_all_at(&[b"new"], 0).unwrap();
        temporary.fdatasync().unwrap();
        disk.rename(Path::new("d/f.tmp"), Path::new("d/f")).unwrap();
        disk.cut_power();
        match disk.contents(Path::new("d/f")).as_deref() {
            Some(b"old") => old += 1,
            Some(b"new") => new += 1,
            other => panic!("seed {seed}: {other:?}"),
        }
        gone += u32::from(!disk.exists(Path::new("d/g")));
    }
    assert!(old > 0 && new > 0 && gone > 0, "{old} old, {new} new, {gone} gone");
}

#[test]
fn a_kill_loses_nothing_but_locks() {
    let disk = SimWorld::new(1).disk;
    let lock = disk.lock(Path::new("lock")).unwrap();
    assert!(disk.lock(Path::new("lock")).is_err());
    let file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
    file.write_all_at(&[b"abc"], 0).unwrap();
    disk.kill();
    assert_eq!(disk.contents(Path::new("f")).as_deref(), Some(&b"abc"[..]));
    let again = disk.lock(Path::new("lock")).unwrap();
    drop(lock);
    assert!(disk.lock(Path::new("lock")).is_err(), "the old life's lock does not release the new one");
    drop(again);
    assert!(disk.lock(Path::new("lock")).is_ok());
}
