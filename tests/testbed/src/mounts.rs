//! Mounts that somebody left in a folder of ours.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

/// Takes away whatever is mounted on the folder or below it, the innermost first. Returns what stayed.
pub(crate) fn detach_below(folder: &Path) -> Vec<PathBuf> {
    for path in below(folder).iter().rev() {
        let _ = umount2(path, MntFlags::MNT_DETACH);
    }
    below(folder)
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(mount_point)
        .filter(|path| path.starts_with(folder))
        .collect()
}

/// The fifth field, in which the kernel writes a space as `\040`.
fn mount_point(line: &str) -> Option<PathBuf> {
    line.split(' ')
        .nth(4)
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::mount_point;

    #[test]
    fn a_mount_point_may_hold_a_space() {
        let line = r"36 35 98:0 /mnt1 /a\040b rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from("/a b")));
        assert_eq!(mount_point("36 35"), None);
    }
}
