//! Free TCP ports on loopback, for programs that must be told their port before they start.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use super::{Result, error};

/// Below the ranges from which Linux (32768) and macOS (49152) take the near end of outgoing connections. Otherwise
/// a client that keeps dialling a stopped server's port can be given that very port, connect to itself and hold it.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Ports given out by this process, so that tests side by side never get the same one.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on 127.0.0.1 that nothing listens on and that this process has not given out before.
///
/// Another process can still take it first: whoever starts a program on it tries again with another one.
///
/// # Errors
/// If a thousand tries find none.
pub fn free_port() -> Result<u16> {
    let mut taken = TAKEN
        .lock()
        .map_err(|_| "a test panicked while it took a port")?;
    for attempt in 0..1000_u32 {
        let random = RandomState::new().hash_one(attempt);
        let span = u64::from(RANGE.end - RANGE.start);
        let port = RANGE.start + u16::try_from(random % span)?;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err(error(format!(
        "no free port on 127.0.0.1 between {} and {}",
        RANGE.start, RANGE.end
    )))
}
