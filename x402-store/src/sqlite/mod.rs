//! Orders in one file: one machine.
