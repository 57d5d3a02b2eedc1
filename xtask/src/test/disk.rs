use std::path::Path;

use crate::{BoxError, workspace::Metadata};

/// Says how much disk is free, and refuses a whole run where it would not suffice.
pub(super) fn check(whole: bool) -> Result<(), BoxError> {
    let target = Metadata::read()?.target();
    let Some(free) = target.ancestors().find_map(free) else { return Ok(()) };
    println!("{} MB of disk are free for {}", free / MEGABYTE, target.display());
    if whole && free < NEEDED {
        return Err(format!(
            "a whole run writes up to {} MB and would fill the disk: make room (cargo clean), \
             set CARGO_TARGET_DIR to another disk, or name single steps",
            NEEDED / MEGABYTE
        )
        .into());
    }
    Ok(())
}

/// The bytes we may still write to the disk of a folder; nothing if there is no such folder.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    // The widths of these differ between systems.
    #[allow(clippy::useless_conversion)]
    let (blocks, size) = (u64::from(disk.blocks_available()), u64::from(disk.fragment_size()));
    Some(blocks.saturating_mul(size))
}

#[cfg(not(unix))]
fn free(_folder: &Path) -> Option<u64> {
    None
}

const MEGABYTE: u64 = 1_000_000;
const NEEDED: u64 = 8_000 * MEGABYTE;
