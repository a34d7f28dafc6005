//! Waiting for something outside to become so, and asking whether it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to wait between two looks: short at first, for most things are quick, and soon long enough not to be work itself.
const FIRST_INTERVAL: Duration = Duration::from_millis(20);
const LAST_INTERVAL: Duration = Duration::from_millis(500);

/// Looks until `check` returns something, for at most `limit`. `what` completes the error: "… did not happen in 30 s".
pub(crate) fn until<T>(
    limit: Duration,
    what: &str,
    mut check: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    let mut interval = FIRST_INTERVAL;
    loop {
        if let Some(found) = check()? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("{what} did not happen within {} s", limit.as_secs());
        }
        thread::sleep(interval);
        interval = (interval * 3 / 2).min(LAST_INTERVAL);
    }
}

/// Whether an HTTP server answers `path` with 200.
pub(crate) fn answers(address: Ipv4Addr, port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let limit = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
