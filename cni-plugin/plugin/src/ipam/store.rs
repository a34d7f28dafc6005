//! Reservations on disk, in host-local's files, found without reading all of them.
//!
//! In the folder of a network, `<dataDir>/<network>`, lie host-local's own files: `lock`, a file for each reserved
//! address that holds the container and its interface, and `last_reserved_ip.<set>`. They are the truth, so that
//! host-local may take over, before or after. What stands in `.ironkeel` beside them is an index that can
//! be made again from them: which addresses an attachment holds, and which places of a set of ranges are taken.
//!
//! Everything happens under host-local's lock. A reservation appears whole, by a rename. The address is noted for its
//! attachment before, so that a process which is killed in between leaves nothing that a DEL does not find; power
//! that fails may leave an empty file, and that counts as free: what it was for has ended, too.

mod files;
mod index;
mod reservation;
mod sandbox;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use self::files::{make_folder, read, remove, write_private};
use self::index::{Entry, Index};
use self::reservation::{Content, without_interface};
pub use self::sandbox::Sandbox;
use super::range::RangeSet;
use super::taken::Taken;
use crate::config::Holder;
use crate::error::{Code, Error, Result};

/// The reservations of one network, locked.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    index: Index,
    /// Who holds what, where this call has looked at all reservations.
    scanned: Option<BTreeMap<Holder, Vec<IpAddr>>>,
    /// Whether the index could not be written.
    is_doubted: bool,
    /// Unlocked when it is closed.
    _lock: File,
}

impl Store {
    /// Opens the folder of a network below `data_dir`, makes it where it is missing, and waits until nobody else has it
    /// locked.
    pub fn lock(data_dir: &Path, network: &str) -> Result<Self> {
        let folder = data_dir.join(network);
        make_folder(&folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| Error::io("lock", &path, &error))?;
        let mut store = Self {
            index: Index::open(&folder),
            folder,
            scanned: None,
            is_doubted: false,
            _lock: lock,
        };
        if !store.index.is_current() {
            store.look_again()?;
            store.save();
        }
        Ok(store)
    }

    /// Reserves an address of `set`, the `number`-th of its network, for an attachment: `wanted`, or the next one that is
    /// free after the one that was reserved last.
    ///
    /// Where that is not free, or none, the files are looked at, and then addresses are taken back whose network namespace
    /// has gone: a runtime that lost power or its memory has never called DEL for them.
    pub fn reserve(
        &mut self,
        holder: &Holder,
        sandbox: Option<&Sandbox>,
        number: usize,
        set: &RangeSet,
        wanted: Option<IpAddr>,
    ) -> Result<IpAddr> {
        let mut reserved = self.reserve_free(holder, sandbox, number, set, wanted)?;
        if reserved.is_none() {
            if self.scanned.is_none() {
                self.look_again()?;
            }
            self.take_back_from_the_gone(holder, std::slice::from_ref(set))?;
            reserved = self.reserve_free(holder, sandbox, number, set, wanted)?;
        }
        self.save();
        reserved.ok_or_else(|| {
            let message = match wanted {
                Some(wanted) => {
                    format!("requested IP address {wanted} is not available in range set {set}")
                }
                None => format!("no IP addresses available in range set: {set}"),
            };
            Error::new(Code::TryAgainLater, message)
        })
    }

    /// Reserves an address that is free by what is known now.
    fn reserve_free(
        &mut self,
        holder: &Holder,
        sandbox: Option<&Sandbox>,
        number: usize,
        set: &RangeSet,
        wanted: Option<IpAddr>,
    ) -> Result<Option<IpAddr>> {
        for held in self.held_by(holder) {
            if set.place_of(held).is_some() {
                return Err(Error::config(format!(
                    "{held} has been allocated to {}, interface {}; duplicate allocation is not allowed",
                    holder.container_id, holder.interface
                )));
            }
        }
        let mut entry = self.entry(holder).unwrap_or_else(|| Entry::new(holder));
        entry.sandbox = sandbox.cloned();
        let mut map = self.map(set)?;
        let reserved = match wanted {
            Some(address) => self.take(&mut entry, address)?.then_some(address),
            None => self.next(&mut entry, number, set, &mut map)?,
        };
        let Some(address) = reserved else {
            return Ok(None);
        };
        // It is reserved. What follows makes the next call fast, and is made again where it fails.
        if let (Some(map), Some(place)) = (&mut map, set.place_of(address)) {
            map.set(place as usize, true);
            let saved = self.index.save_map(set, map);
            self.doubt_unless(&saved);
        }
        let _ = write_private(&self.last_file(number), address.to_string().as_bytes());
        Ok(Some(address))
    }

    /// Addresses that an attachment holds.
    pub fn held_by(&self, holder: &Holder) -> Vec<IpAddr> {
        let mut held = Vec::new();
        for of in [holder, &without_interface(holder)] {
            let entry = self.entry(of);
            let ips = entry.into_iter().flat_map(|entry| entry.ips);
            held.extend(ips.filter(|address| self.is_of(*address, of)));
        }
        held
    }

    /// Gives back what an attachment holds, and answers what that was. `sets` are those of its network.
    ///
    /// Only what host-local of long ago reserved without an interface is given back by the container alone, and only if
    /// the attachment has nothing of its own.
    pub fn release(&mut self, holder: &Holder, sets: &[RangeSet]) -> Result<Vec<IpAddr>> {
        let mut released = self.give_back(holder, sets, |_| true)?;
        if released.is_empty() {
            released = self.give_back(&without_interface(holder), sets, |_| true)?;
        }
        self.save();
        Ok(released)
    }

    /// Gives back those of an attachment's addresses that are in `addresses`.
    pub fn undo(&mut self, holder: &Holder, sets: &[RangeSet], addresses: &[IpAddr]) -> Result<()> {
        self.give_back(holder, sets, |address| addresses.contains(&address))?;
        self.save();
        Ok(())
    }

    /// Gives back what is held by attachments that `is_valid` denies, and answers what that was.
    pub fn retain(
        &mut self,
        sets: &[RangeSet],
        is_valid: impl Fn(&Holder) -> bool,
    ) -> Result<Vec<IpAddr>> {
        // Whatever was reserved without the index is to be found, too.
        self.look_again()?;
        let holders: Vec<Holder> = self
            .scanned
            .iter()
            .flatten()
            .map(|(holder, _)| holder.clone())
            .collect();
        let mut released = Vec::new();
        for holder in holders.iter().filter(|holder| !is_valid(holder)) {
            released.extend(self.give_back(holder, sets, |_| true)?);
        }
        self.save();
        Ok(released)
    }

    /// Makes the next free address the attachment's.
    fn next(
        &self,
        entry: &mut Entry,
        number: usize,
        set: &RangeSet,
        map: &mut Option<Taken>,
    ) -> Result<Option<IpAddr>> {
        let start = self.after_last(number, set);
        // They are taken in the map as well, unless it was damaged.
        let gateways: Vec<u128> = set.gateways().collect();
        if let Some(map) = map {
            while let Some(place) = map.next_free(start as usize) {
                let Some((address, _)) = set.at(place as u128) else {
                    break;
                };
                if !gateways.contains(&(place as u128)) && self.take(entry, address)? {
                    return Ok(Some(address));
                }
                map.set(place, true);
            }
            return Ok(None);
        }
        for place in (start..set.len()).chain(0..start) {
            if let Some((address, _)) = set.at(place).filter(|_| !gateways.contains(&place))
                && self.take(entry, address)?
            {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    /// Makes an address the attachment's, unless it is somebody's.
    fn take(&self, entry: &mut Entry, address: IpAddr) -> Result<bool> {
        if !matches!(self.content(address), None | Some(Content::Empty)) {
            return Ok(false);
        }
        entry.ips.push(address);
        self.index.save_entry(entry)?;
        let path = self.file(address);
        let new = self.index.folder().join("new");
        let content = Content::Of(entry.holder.clone()).to_string();
        let written =
            write_private(&new, content.as_bytes()).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| Error::io("write", &path, &error))?;
        Ok(true)
    }

    /// Gives back those of an attachment's addresses that `is_meant`, and answers what that was.
    fn give_back(
        &mut self,
        holder: &Holder,
        sets: &[RangeSet],
        is_meant: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<IpAddr>> {
        let Some(mut entry) = self.entry(holder) else {
            return Ok(Vec::new());
        };
        let (meant, kept) = entry
            .ips
            .into_iter()
            .partition::<Vec<_>, _>(|ip| is_meant(*ip));
        entry.ips = kept;
        let mut released = Vec::new();
        for address in meant {
            // The index is a hint: what is removed is what the file itself says to be this attachment's.
            if !self.is_of(address, holder) {
                continue;
            }
            remove(&self.file(address))?;
            released.push(address);
        }
        // What is given back is given back, even where the index cannot be written: the disk may be full.
        for set in sets {
            let places: Vec<u128> = released.iter().filter_map(|ip| set.place_of(*ip)).collect();
            if !places.is_empty()
                && let Some(mut map) = self.index.saved_map(set)
            {
                for place in places {
                    map.set(place as usize, false);
                }
                let saved = self.index.save_map(set, &map);
                self.doubt_unless(&saved);
            }
        }
        let saved = if entry.ips.is_empty() {
            self.index.remove(holder)
        } else {
            self.index.save_entry(&entry)
        };
        self.doubt_unless(&saved);
        Ok(released)
    }

    /// Gives back addresses of attachments, but for `except`, whose network namespace has certainly gone.
    fn take_back_from_the_gone(&mut self, except: &Holder, sets: &[RangeSet]) -> Result<()> {
        for entry in self.index.entries()? {
            let is_gone = entry.sandbox.as_ref().is_some_and(Sandbox::is_gone);
            if is_gone && entry.holder != *except {
                self.give_back(&entry.holder, sets, |_| true)?;
            }
        }
        Ok(())
    }

    /// Makes the index again from the reservations.
    fn look_again(&mut self) -> Result<()> {
        let mut held: BTreeMap<Holder, Vec<IpAddr>> = BTreeMap::new();
        for address in self.addresses()? {
            match self.content(address) {
                Some(Content::Of(holder)) => held.entry(holder).or_default().push(address),
                Some(Content::Empty) => remove(&self.file(address))?,
                Some(Content::Unknown) | None => {}
            }
        }
        for ips in held.values_mut() {
            ips.sort_unstable();
        }
        let rebuilt = self.index.rebuild(&held);
        self.doubt_unless(&rebuilt);
        self.scanned = Some(held);
        Ok(())
    }

    /// The map of a set: the saved one, or a new one of the files that there are.
    fn map(&mut self, set: &RangeSet) -> Result<Option<Taken>> {
        if let Some(map) = self.index.saved_map(set) {
            return Ok(Some(map));
        }
        let Some(mut map) = Taken::new(set.len()) else {
            return Ok(None);
        };
        let taken = self.addresses()?;
        let taken = taken
            .into_iter()
            .filter_map(|address| set.place_of(address));
        for place in taken.chain(set.gateways()) {
            map.set(place as usize, true);
        }
        Ok(Some(map))
    }

    /// The place after the address that was reserved last. Where that is not known, the rounds begin anew.
    fn after_last(&self, number: usize, set: &RangeSet) -> u128 {
        let text = fs::read_to_string(self.last_file(number)).unwrap_or_default();
        let last: Option<IpAddr> = text.trim().parse().ok();
        let place = last.and_then(|address| set.place_of(address));
        place.map_or(0, |place| (place + 1) % set.len())
    }

    /// Addresses that have a file.
    fn addresses(&self) -> Result<Vec<IpAddr>> {
        let listed = fs::read_dir(&self.folder).and_then(|files| {
            let name = |file: io::Result<fs::DirEntry>| {
                Ok(file?
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok()))
            };
            files.map(name).filter_map(Result::transpose).collect()
        });
        listed.map_err(|error| Error::io("list", &self.folder, &error))
    }

    /// What is known of an attachment: by the index, or by this call's own look at the reservations.
    fn entry(&self, holder: &Holder) -> Option<Entry> {
        self.index.entry(holder).or_else(|| {
            let ips = self.scanned.as_ref()?.get(holder)?.clone();
            Some(Entry {
                ips,
                ..Entry::new(holder)
            })
        })
    }

    /// Whether an address is reserved for an attachment, or for its container without an interface.
    fn is_of(&self, address: IpAddr, holder: &Holder) -> bool {
        match self.content(address) {
            Some(Content::Of(of)) => of == *holder || of == without_interface(holder),
            Some(Content::Empty | Content::Unknown) | None => false,
        }
    }

    /// What the file of an address says; `None` if there is none.
    fn content(&self, address: IpAddr) -> Option<Content> {
        match read(&self.file(address)) {
            Ok(bytes) => Some(Content::parse(&bytes?)),
            Err(_) => Some(Content::Unknown),
        }
    }

    fn doubt_unless(&mut self, written: &Result<()>) {
        self.is_doubted |= written.is_err();
    }

    /// Notes whether the index says what the reservations are.
    fn save(&self) {
        if self.is_doubted || self.index.save_current().is_err() {
            self.index.doubt();
        }
    }

    fn file(&self, address: IpAddr) -> PathBuf {
        self.folder.join(address.to_string())
    }

    fn last_file(&self, number: usize) -> PathBuf {
        self.folder.join(format!("last_reserved_ip.{number}"))
    }
}

#[cfg(test)]
mod tests;
