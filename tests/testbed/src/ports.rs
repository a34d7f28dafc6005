//! Who listens on a port.

use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::wait;

/// How long a port may still be held by nobody we can name: the kernel closes the sockets of a process that ends after the
/// process has become invisible.
const LIMIT: Duration = Duration::from_secs(5);

/// Refuses when somebody listens on one of the ports that `program` is about to need.
pub(crate) fn require_free(program: &str, ports: &[u16]) -> Result<()> {
    for &port in ports {
        let free = || match listening_inode(port) {
            None => Ok(Some(())),
            Some(inode) => match owner(inode) {
                None => Ok(None),
                Some((pid, command)) => bail!(
                    "port {port}, which {program} needs, is in use by process {pid} ({command}); end that process and \
                     try again"
                ),
            },
        };
        let what = format!(
            "port {port}, which {program} needs and a process out of sight holds, becoming free"
        );
        wait::until(LIMIT, &what, free)?;
    }
    Ok(())
}

/// The socket that listens on a TCP port of this network namespace.
fn listening_inode(port: u16) -> Option<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| table.lines().skip(1).find_map(|line| listener(line, port)))
}

/// The inode of one line of the kernel's table, if it is a socket that listens on `port`.
fn listener(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<_> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (_, local_port) = local.rsplit_once(':')?;
    (u16::from_str_radix(local_port, 16).ok()? == port && *state == LISTEN)
        .then(|| inode.parse().ok())
        .flatten()
}

fn owner(inode: u64) -> Option<(u32, String)> {
    let target = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = descriptors.flatten().any(|one| {
            fs::read_link(one.path()).is_ok_and(|link| link.as_os_str() == target.as_str())
        });
        if holds {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, command.trim().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{listener, require_free};

    #[test]
    fn a_listener_is_told_from_a_connection() {
        let line = |state: &str| {
            format!(
                "   0: 0100007F:094B 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0"
            )
        };
        assert_eq!(listener(&line("0A"), 2379), Some(4711));
        assert_eq!(listener(&line("01"), 2379), None);
        assert_eq!(listener(&line("0A"), 2380), None);
        assert_eq!(listener("nonsense", 2379), None);
    }

    #[test]
    fn the_error_names_the_port_and_its_owner() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let error = require_free("etcd", &[port]).unwrap_err().to_string();
        assert!(
            error.contains(&port.to_string()) && error.contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(socket);
        require_free("etcd", &[port]).unwrap();
    }
}
