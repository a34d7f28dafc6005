//! What lies in `.ironkeel` beside the reservations: hints that can be made again from them.
//!
//! `attachments/` has a file for each attachment: the addresses it holds and its network namespace. `taken-…` is the map
//! of a set of ranges. `seen` is the time at which the folder of the reservations had changed last when all this was
//! written: whoever adds or removes a file there without writing it, changes that time, and then the rest is not believed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::files::{make_folder, read, remove, write_private};
use super::sandbox::Sandbox;
use crate::config::Holder;
use crate::error::{Code, Error, Result};
use crate::ipam::range::RangeSet;
use crate::ipam::taken::Taken;

/// Longest name of a file.
const LONGEST_NAME: usize = 255;

/// What is known of an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Which one. The name of its file says so as well, unless that would be too long.
    pub(super) holder: Holder,
    /// Addresses that it holds, or was about to take when its process was stopped.
    pub(super) ips: Vec<IpAddr>,
    /// Where its interface is, if it is known.
    pub(super) sandbox: Option<Sandbox>,
}

impl Entry {
    pub(super) fn new(holder: &Holder) -> Self {
        Self {
            holder: holder.clone(),
            ips: Vec::new(),
            sandbox: None,
        }
    }
}

/// The index of one network.
#[derive(Debug)]
pub(super) struct Index {
    /// Where the reservations are.
    reservations: PathBuf,
    folder: PathBuf,
}

impl Index {
    /// That beside the reservations in a folder. Where it cannot be made, it says nothing, and writing to it fails.
    pub(super) fn open(reservations: &Path) -> Self {
        let index = Self {
            reservations: reservations.to_owned(),
            folder: reservations.join(".ironkeel"),
        };
        let _ = make_folder(&index.attachments());
        index
    }

    /// Where it lies, and what becomes a reservation may be prepared.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether nobody has added or removed a reservation without telling.
    pub(super) fn is_current(&self) -> bool {
        let seen = fs::read_to_string(self.seen());
        seen.is_ok_and(|seen| self.changed().is_ok_and(|changed| changed == seen))
    }

    /// Notes that the index says what the reservations are.
    pub(super) fn save_current(&self) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::io("note the time of", &self.reservations, &error);
        // Kernels before 6.13 take the time of a change from a clock that ticks every few milliseconds, and somebody
        // else's next change could have the time of this one. A time of ours is finer.
        let folder = File::open(&self.reservations).map_err(failed)?;
        folder.set_modified(SystemTime::now()).map_err(failed)?;
        let changed = self.changed().map_err(failed)?;
        write(&self.seen(), changed.as_bytes())
    }

    /// Notes that the index may be wrong.
    pub(super) fn doubt(&self) {
        // Where even this fails, the time tells, for whatever made the index wrong has changed a reservation.
        let _ = remove(&self.seen());
    }

    /// When a reservation was added or removed last, and in which run of the machine: power that fails may keep one file
    /// and lose another.
    fn changed(&self) -> std::io::Result<String> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let metadata = fs::metadata(&self.reservations)?;
        let (second, nanosecond) = (metadata.mtime(), metadata.mtime_nsec());
        Ok(format!("{second}.{nanosecond:09} {}", boot.trim()))
    }

    /// What is known of an attachment. What cannot be read is not known.
    pub(super) fn entry(&self, holder: &Holder) -> Option<Entry> {
        let entry = read_entry(&self.entry_file(holder))?;
        (entry.holder == *holder).then_some(entry)
    }

    /// What is known of all of them.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        let folder = self.attachments();
        let failed = |error: std::io::Error| Error::io("list", &folder, &error);
        let mut entries = Vec::new();
        for file in fs::read_dir(&folder).map_err(failed)? {
            entries.extend(read_entry(&file.map_err(failed)?.path()));
        }
        entries.sort_by(|one, other| one.holder.cmp(&other.holder));
        Ok(entries)
    }

    /// Notes an attachment; a process that is stopped here leaves what was noted before.
    pub(super) fn save_entry(&self, entry: &Entry) -> Result<()> {
        let path = self.entry_file(&entry.holder);
        let bytes = serde_json::to_vec(entry)
            .map_err(|error| Error::new(Code::Internal, format!("{}: {error}", path.display())))?;
        let new = self.folder.join("entry");
        write(&new, &bytes)?;
        fs::rename(&new, &path).map_err(|error| Error::io("write", &path, &error))
    }

    pub(super) fn remove(&self, holder: &Holder) -> Result<()> {
        remove(&self.entry_file(holder))
    }

    /// The map of a set, if there is one.
    pub(super) fn saved_map(&self, set: &RangeSet) -> Option<Taken> {
        let bytes = read(&self.map_file(set)).ok()??;
        Taken::from_bytes(set.len(), bytes.strip_prefix(map_header(set).as_bytes())?)
    }

    pub(super) fn save_map(&self, set: &RangeSet, map: &Taken) -> Result<()> {
        let mut bytes = map_header(set).into_bytes();
        bytes.extend(map.to_bytes());
        write(&self.map_file(set), &bytes)
    }

    /// Makes it what the reservations say. The network namespace of an attachment is kept if it holds what it held: else
    /// somebody else has made it anew. Maps are made when they are needed.
    pub(super) fn rebuild(&self, held: &BTreeMap<Holder, Vec<IpAddr>>) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("list", &self.folder, &error);
        for file in fs::read_dir(&self.folder).map_err(failed)? {
            let file = file.map_err(failed)?;
            if file.file_name().to_string_lossy().starts_with(MAP_PREFIX) {
                remove(&file.path())?;
            }
        }
        let mut known: BTreeMap<Holder, Entry> = BTreeMap::new();
        for mut entry in self.entries()? {
            if held.contains_key(&entry.holder) {
                entry.ips.sort_unstable();
                known.insert(entry.holder.clone(), entry);
            } else {
                self.remove(&entry.holder)?;
            }
        }
        for (holder, ips) in held {
            let is_known = known.get(holder).is_some_and(|entry| entry.ips == *ips);
            if !is_known {
                self.save_entry(&Entry {
                    ips: ips.clone(),
                    ..Entry::new(holder)
                })?;
            }
        }
        Ok(())
    }

    fn seen(&self) -> PathBuf {
        self.folder.join("seen")
    }

    fn attachments(&self) -> PathBuf {
        self.folder.join("attachments")
    }

    fn entry_file(&self, holder: &Holder) -> PathBuf {
        // Neither part can hold a colon.
        let name = format!("{}:{}", holder.container_id, holder.interface);
        let is_bad = name.contains(['/', '\0']);
        let name = if name.len() > LONGEST_NAME || is_bad {
            format!(":{:016x}", fnv1a(name.as_bytes()))
        } else {
            name
        };
        self.attachments().join(name)
    }

    fn map_file(&self, set: &RangeSet) -> PathBuf {
        let name = fnv1a(set.to_string().as_bytes());
        self.folder.join(format!("{MAP_PREFIX}{name:016x}"))
    }
}

const MAP_PREFIX: &str = "taken-";

/// What a map begins with: it is one of this set, gateways and all.
fn map_header(set: &RangeSet) -> String {
    let gateways: Vec<String> = set.gateways().map(|place| place.to_string()).collect();
    format!("{set} {}\n", gateways.join(","))
}

fn read_entry(path: &Path) -> Option<Entry> {
    serde_json::from_slice(&read(path).ok()??).ok()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_private(path, bytes).map_err(|error| Error::io("write", path, &error))
}

/// The 64-bit FNV-1a hash: short names for files whose content says what they are.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
