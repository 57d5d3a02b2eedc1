//! Files that cannot be opened: each says what to do, and stays as it was.

use std::{fs, path::Path, time::Duration};

use x402_store::SqliteStore;

use crate::{disk::SmallDisk, new_file, other};

fn refused(path: &Path, wanted: &str) {
    let refused = SqliteStore::open(path).unwrap_err().to_string();
    assert!(refused.contains(&*path.to_string_lossy()) && refused.contains(wanted), "{refused}");
}

/// Refused, and not a byte of it changed.
fn refused_and_left(path: &Path, wanted: &str) {
    let before = fs::read(path).unwrap();
    refused(path, wanted);
    assert_eq!(fs::read(path).unwrap(), before);
    assert!(!path.with_extension("db-wal").exists(), "nothing was begun");
}

#[test]
fn what_is_no_file_is_refused() {
    refused(&new_file().join("orders.db"), "folder does not exist");
    refused(new_file().parent().unwrap(), "it is a folder");
    for path in ["", ":memory:"] {
        refused(Path::new(path), "a path is wanted");
    }
}

#[test]
fn what_is_no_database_is_left_as_it_is() {
    let file = new_file();
    fs::write(&file, "recipes, not orders\n".repeat(100)).unwrap();
    refused_and_left(&file, "it is no SQLite database");
}

#[test]
fn a_database_of_another_program_is_left_as_it_is() {
    for theirs in ["CREATE TABLE recipes (name TEXT)", "PRAGMA user_version = 3", "PRAGMA application_id = 7"]
    {
        let file = new_file();
        other(&file).execute_batch(theirs).unwrap();
        refused_and_left(&file, "another program");
    }
}

#[test]
fn a_file_of_a_newer_version_is_left_as_it_is() {
    let file = new_file();
    drop(SqliteStore::open(&file).unwrap());
    other(&file).execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 7").unwrap();
    refused_and_left(&file, "its schema is 7, the newest known here is 1");
}

#[test]
fn a_damaged_file_is_refused() {
    let file = new_file();
    drop(SqliteStore::open(&file).unwrap());
    let mut bytes = fs::read(&file).unwrap();
    bytes[100..4096].fill(0xff);
    fs::write(&file, &bytes).unwrap();
    refused_and_left(&file, "it is damaged");
}

#[test]
fn a_file_that_another_process_has_locked_is_refused() {
    let file = new_file();
    let locked = other(&file);
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    refused(&file, "another process keeps the file locked");
    drop(locked);
    SqliteStore::open(&file).unwrap();
}

#[test]
fn a_file_that_may_only_be_read_is_refused() {
    // Root may write what nobody may, but not where nothing is written.
    if let Some(disk) = SmallDisk::mount() {
        let file = disk.path().join("orders.db");
        drop(SqliteStore::open(&file).unwrap());
        disk.read_only();
        refused_and_left(&file, "it may only be read");
        refused(&disk.path().join("new.db"), "let the user of this process write its folder");
    } else {
        let file = new_file();
        drop(SqliteStore::open(&file).unwrap());
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        refused_and_left(&file, "it may only be read");
    }
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let file = new_file();
    let _store = SqliteStore::open(&file).unwrap();
    for name in ["db", "db-wal", "db-shm"] {
        let mode = fs::metadata(file.with_extension(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn many_may_open_a_new_file_at_once() {
    for _ in 0..8 {
        let file = new_file();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                // Each waits for those before it, on a disk that others use too.
                let patient = SqliteStore::builder().patience(Duration::from_secs(30));
                scope.spawn(|| patient.open(&file).unwrap());
            }
        });
    }
}
