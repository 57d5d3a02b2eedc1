use std::{
    env, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::DevChainError;

/// The `tests/interop` folder with its npm packages installed: the stock clients and anvil.
///
/// Installs them with `npm ci` when they are missing or older than the lock file. Test processes that get here
/// at the same time install once: the others wait on a file lock.
///
/// # Errors
///
/// When node or npm is missing, or the installation fails.
pub fn interop_dir() -> Result<PathBuf, DevChainError> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("interop");
    if is_current(&dir) {
        return Ok(dir);
    }
    let lock =
        File::create(dir.join("node_modules.lock")).map_err(DevChainError::io("npm packages: lock file"))?;
    lock.lock().map_err(DevChainError::io("npm packages: waiting for the lock"))?;
    if !is_current(&dir) {
        install(&dir)?;
    }
    Ok(dir)
}

/// The anvil binary itself: npm's own wrapper would be one process more to end.
pub(crate) fn anvil() -> Result<PathBuf, DevChainError> {
    let (os, suffix) = match env::consts::OS {
        "macos" => ("darwin", ""),
        "windows" => ("win32", ".exe"),
        other => (other, ""),
    };
    let arch = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let name = format!("anvil-{os}-{arch}");
    let path = interop_dir()?.join(format!("node_modules/@foundry-rs/{name}/bin/anvil{suffix}"));
    if path.exists() {
        return Ok(path);
    }
    Err(DevChainError::Missing(format!(
        "npm did not install @foundry-rs/{name}: the tests need an anvil for this platform"
    )))
}

/// A copy of the lock file, written last, says that this very list was installed to its end.
fn is_current(dir: &Path) -> bool {
    let wanted = fs::read(dir.join("package-lock.json"));
    let installed = fs::read(dir.join(STAMP));
    matches!((wanted, installed), (Ok(wanted), Ok(installed)) if wanted == installed)
}

fn install(dir: &Path) -> Result<(), DevChainError> {
    eprintln!("installing the npm packages of tests/interop");
    let output = npm()
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                DevChainError::Missing("the tests need Node.js 20 or later with npm on the PATH".into())
            }
            _ => DevChainError::io("npm ci")(error),
        })?;
    if !output.status.success() {
        return Err(DevChainError::Install(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    fs::copy(dir.join("package-lock.json"), dir.join(STAMP))
        .map_err(DevChainError::io("npm packages: stamp"))?;
    Ok(())
}

fn npm() -> Command {
    if cfg!(windows) { Command::new("npm.cmd") } else { Command::new("npm") }
}

const STAMP: &str = "node_modules/.installed-lock.json";
