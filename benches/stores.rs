//! How many durable orders a second: a writer that takes what waits together against one that writes each step alone.

use std::path::Path;

use x402_benches::SqliteRace;

fn main() {
    // On the disk of the build, where that for temporary files may be none.
    println!("{}", SqliteRace::run(Path::new(env!("CARGO_MANIFEST_DIR"))));
}
