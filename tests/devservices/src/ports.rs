use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// A loopback port that nobody listens on, and that this process was not given before.
///
/// It lies below the ports that systems give to outgoing connections, so that a stopped service finds it free again.
/// Another process may still take it before the service does: starts are tried again with the next one.
pub(crate) fn free() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(random()));
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn random() -> u16 {
    u16::try_from(RandomState::new().hash_one(0_u8) % u64::from(COUNT)).expect("less than COUNT")
}

const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;
