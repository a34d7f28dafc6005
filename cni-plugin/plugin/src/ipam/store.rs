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
    /// Whether this call has made the index from the files, so that there is no reason to do it again.
    is_fresh: bool,
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
            index: Index::open(&folder)?,
            folder,
            is_fresh: false,
            _lock: lock,
        };
        if !store.index.is_current() {
            store.look_again()?;
            store.save()?;
        }
        Ok(store)
    }

    /// Reserves an address of `set`, the `number`-th of its network, for an attachment: `wanted`, or the next one that is
    /// free after the one that was reserved last.
    ///
    /// Where none is free, the files are looked at, and then addresses are taken back whose network namespace has gone:
    /// a runtime that lost power or its memory has never called DEL for them.
    pub fn reserve(
        &mut self,
        holder: &Holder,
        sandbox: Option<&Sandbox>,
        number: usize,
        set: &RangeSet,
        wanted: Option<IpAddr>,
    ) -> Result<IpAddr> {
        for held in self.held_by(holder)? {
            if set.place_of(held).is_some() {
                return Err(Error::config(format!(
                    "{held} has been allocated to {}, interface {}; duplicate allocation is not allowed",
                    holder.container_id, holder.interface
                )));
            }
        }
        let before = self.index.entry(holder)?;
        let mut entry = before.clone().unwrap_or_else(|| Entry::new(holder));
        entry.sandbox = sandbox.cloned();
        let mut map = self.map(set)?;
        let reserved = match wanted {
            Some(address) => {
                let is_ours = self.take(&mut entry, address)?;
                is_ours.then_some(address).ok_or_else(|| {
                    let message = format!(
                        "requested IP address {address} is not available in range set {set}"
                    );
                    Error::new(Code::TryAgainLater, message)
                })
            }
            None => self.next(&mut entry, number, set, &mut map),
        };
        let address = match reserved {
            Ok(address) => address,
            Err(error) => {
                match before {
                    Some(before) => self.index.save_entry(&before)?,
                    None => self.index.remove(holder)?,
                }
                self.save()?;
                return Err(error);
            }
        };
        if let (Some(map), Some(place)) = (&mut map, set.place_of(address)) {
            map.set(place as usize, true);
            self.index.save_map(set, map)?;
        }
        let last = self.last_file(number);
        fs::write(&last, address.to_string()).map_err(|error| Error::io("write", &last, &error))?;
        self.save()?;
        Ok(address)
    }

    /// Addresses that an attachment holds.
    pub fn held_by(&self, holder: &Holder) -> Result<Vec<IpAddr>> {
        let mut held = Vec::new();
        for of in [holder, &without_interface(holder)] {
            if let Some(entry) = self.index.entry(of)? {
                for address in entry.ips {
                    if self.is_of(address, of)? {
                        held.push(address);
                    }
                }
            }
        }
        Ok(held)
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
        self.save()?;
        Ok(released)
    }

    /// Gives back those of an attachment's addresses that are in `addresses`.
    pub fn undo(&mut self, holder: &Holder, sets: &[RangeSet], addresses: &[IpAddr]) -> Result<()> {
        self.give_back(holder, sets, |address| addresses.contains(&address))?;
        self.save()
    }

    /// Gives back what is held by attachments that `is_valid` denies, and answers what that was.
    pub fn retain(
        &mut self,
        sets: &[RangeSet],
        is_valid: impl Fn(&Holder) -> bool,
    ) -> Result<Vec<IpAddr>> {
        // Whatever was reserved without the index is to be found, too.
        self.look_again()?;
        let mut released = Vec::new();
        for entry in self.index.entries()? {
            if !is_valid(&entry.holder) {
                released.extend(self.give_back(&entry.holder, sets, |_| true)?);
            }
        }
        self.save()?;
        Ok(released)
    }

    /// Whether an address of `set` is free.
    pub fn has_free(&mut self, set: &RangeSet) -> Result<bool> {
        let Some(map) = self.map(set)? else {
            return Ok(true);
        };
        if map.free() > 0 || self.is_fresh {
            return Ok(map.free() > 0);
        }
        self.look_again()?;
        self.save()?;
        Ok(self.map(set)?.is_none_or(|map| map.free() > 0))
    }

    /// The next free address, made the attachment's.
    fn next(
        &mut self,
        entry: &mut Entry,
        number: usize,
        set: &RangeSet,
        map: &mut Option<Taken>,
    ) -> Result<IpAddr> {
        let start = self.after_last(number, set);
        if let Some(address) = self.next_from(entry, start, set, map)? {
            return Ok(address);
        }
        if !self.is_fresh {
            self.look_again()?;
        }
        self.take_back_from_the_gone(&entry.holder, std::slice::from_ref(set))?;
        *map = self.map(set)?;
        self.next_from(entry, start, set, map)?.ok_or_else(|| {
            let message = format!("no IP addresses available in range set: {set}");
            Error::new(Code::TryAgainLater, message)
        })
    }

    fn next_from(
        &self,
        entry: &mut Entry,
        start: u128,
        set: &RangeSet,
        map: &mut Option<Taken>,
    ) -> Result<Option<IpAddr>> {
        if let Some(map) = map {
            while let Some(place) = map.next_free(start as usize) {
                let Some((address, _)) = set.at(place as u128) else {
                    break;
                };
                if self.take(entry, address)? {
                    return Ok(Some(address));
                }
                map.set(place, true);
            }
            return Ok(None);
        }
        let gateways: Vec<u128> = set.gateways().collect();
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
        if matches!(self.content(address)?, Some(Content::Of(_))) {
            return Ok(false);
        }
        let before = entry.ips.len();
        entry.ips.push(address);
        self.index.save_entry(entry)?;
        let path = self.file(address);
        let new = self.index.folder().join("new");
        let content = Content::Of(entry.holder.clone()).to_string();
        let written =
            write_private(&new, content.as_bytes()).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| {
            entry.ips.truncate(before);
            Error::io("write", &path, &error)
        })?;
        Ok(true)
    }

    /// Gives back those of an attachment's addresses that `is_meant`, and answers what that was.
    fn give_back(
        &mut self,
        holder: &Holder,
        sets: &[RangeSet],
        is_meant: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<IpAddr>> {
        let Some(mut entry) = self.index.entry(holder)? else {
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
            if !self.is_of(address, holder)? {
                continue;
            }
            remove(&self.file(address))?;
            released.push(address);
        }
        for set in sets {
            let places: Vec<u128> = released.iter().filter_map(|ip| set.place_of(*ip)).collect();
            if !places.is_empty()
                && let Some(mut map) = self.index.saved_map(set)?
            {
                for place in places {
                    map.set(place as usize, false);
                }
                self.index.save_map(set, &map)?;
            }
        }
        if entry.ips.is_empty() {
            self.index.remove(holder)?;
        } else {
            self.index.save_entry(&entry)?;
        }
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
        let mut held = Vec::new();
        for address in self.addresses()? {
            match self.content(address)? {
                Some(Content::Of(holder)) => held.push((holder, address)),
                Some(Content::Empty) => remove(&self.file(address))?,
                None => {}
            }
        }
        self.index.rebuild(held)?;
        self.is_fresh = true;
        Ok(())
    }

    /// The map of a set: the saved one, or a new one of the files that there are.
    fn map(&self, set: &RangeSet) -> Result<Option<Taken>> {
        if let Some(map) = self.index.saved_map(set)? {
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
        self.index.save_map(set, &map)?;
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

    /// Whether an address is reserved for an attachment, or for its container without an interface.
    fn is_of(&self, address: IpAddr, holder: &Holder) -> Result<bool> {
        Ok(match self.content(address)? {
            Some(Content::Of(of)) => of == *holder || of == without_interface(holder),
            Some(Content::Empty) | None => false,
        })
    }

    fn content(&self, address: IpAddr) -> Result<Option<Content>> {
        let path = self.file(address);
        Ok(read(&path)?.map(|bytes| Content::parse(&bytes)))
    }

    fn save(&self) -> Result<()> {
        self.index.save_current()
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
