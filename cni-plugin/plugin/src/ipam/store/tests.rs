use std::collections::BTreeMap;
use std::collections::btree_map;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ipam::range::RangeConfig;

const NETWORK: &str = "pods";

/// A network's folder that is removed at the end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Store {
        Store::lock(self.0.path(), NETWORK).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(NETWORK).join(name)
    }

    /// Reserves as host-local does it.
    fn reserve_elsewhere(&self, address: &str, holder: &Holder) {
        let content = format!("{}\r\n{}", holder.container_id, holder.interface);
        fs::write(self.path(address), content).unwrap();
    }

    /// Reserves the next address of `set`.
    fn reserve(&self, id: &str, set: &RangeSet) -> Result<String> {
        let reserved = self.store().reserve(&holder(id), None, 0, set, None);
        reserved.map(|address| address.to_string())
    }

    fn release(&self, id: &str, set: &RangeSet) -> usize {
        let sets = std::slice::from_ref(set);
        self.store().release(&holder(id), sets).unwrap().len()
    }
}

fn holder(id: &str) -> Holder {
    Holder {
        container_id: id.to_owned(),
        interface: "eth0".to_owned(),
    }
}

fn set(ranges: serde_json::Value) -> RangeSet {
    let configs: Vec<RangeConfig> = serde_json::from_value(ranges).unwrap();
    RangeSet::new(&configs).unwrap()
}

/// 10.1.2.1 is the gateway's; 10.1.2.2 to 10.1.2.6 are given out.
fn five() -> RangeSet {
    set(serde_json::json!([{ "subnet": "10.1.2.0/29" }]))
}

#[test]
fn addresses_are_given_out_in_rounds() {
    let (folder, set) = (Folder::new(), five());
    assert_eq!(folder.reserve("a", &set).unwrap(), "10.1.2.2");
    assert_eq!(folder.reserve("b", &set).unwrap(), "10.1.2.3");
    assert_eq!(folder.release("a", &set), 1);
    assert_eq!(folder.reserve("c", &set).unwrap(), "10.1.2.4");
    assert_eq!(folder.reserve("d", &set).unwrap(), "10.1.2.5");
    assert_eq!(folder.reserve("e", &set).unwrap(), "10.1.2.6");
    assert_eq!(folder.reserve("f", &set).unwrap(), "10.1.2.2");
    let error = folder.reserve("g", &set).unwrap_err();
    assert_eq!(error.code, Code::TryAgainLater);
    assert_eq!(
        error.message,
        "no IP addresses available in range set: 10.1.2.1-10.1.2.6"
    );
    assert_eq!(folder.release("c", &set), 1);
    assert_eq!(folder.reserve("g", &set).unwrap(), "10.1.2.4");
}

#[test]
fn the_files_are_those_of_host_local() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    let content = |name| fs::read_to_string(folder.path(name)).unwrap();
    assert_eq!(content("10.1.2.2"), "a\r\neth0");
    assert_eq!(content("last_reserved_ip.0"), "10.1.2.2");
    assert!(folder.path("lock").is_file());
    folder.release("a", &set);
    assert!(!folder.path("10.1.2.2").exists());
}

#[test]
fn a_second_allocation_is_refused_and_leaves_the_first() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    let told = folder.reserve("a", &set).unwrap_err().message;
    assert!(
        told.starts_with("10.1.2.2 has been allocated to a"),
        "{told}"
    );
    assert_eq!(folder.release("a", &set), 1);
}

#[test]
fn an_address_that_is_asked_for_is_given_if_it_is_free() {
    let (folder, set) = (Folder::new(), five());
    let wanted = Some("10.1.2.5".parse().unwrap());
    let reserve = |id| folder.store().reserve(&holder(id), None, 0, &set, wanted);
    assert_eq!(reserve("a").unwrap().to_string(), "10.1.2.5");
    assert_eq!(
        reserve("b").unwrap_err().message,
        "requested IP address 10.1.2.5 is not available in range set 10.1.2.1-10.1.2.6"
    );
    assert!(folder.store().held_by(&holder("b")).is_empty());
    assert_eq!(folder.release("b", &set), 0);
}

#[test]
fn a_failed_allocation_of_a_second_set_leaves_what_the_first_gave() {
    let (folder, first) = (Folder::new(), five());
    let second = set(serde_json::json!([{ "subnet": "fd00::/126", "rangeEnd": "fd00::2" }]));
    folder
        .store()
        .reserve(&holder("a"), None, 1, &second, None)
        .unwrap();
    folder.reserve("b", &first).unwrap();
    let refused = folder.store().reserve(&holder("b"), None, 1, &second, None);
    assert!(refused.is_err());
    assert_eq!(folder.store().held_by(&holder("b")).len(), 1);
    assert_eq!(folder.release("b", &first), 1);
}

#[test]
fn what_host_local_has_reserved_is_neither_given_out_nor_forgotten() {
    let (folder, set) = (Folder::new(), five());
    assert_eq!(folder.reserve("a", &set).unwrap(), "10.1.2.2");
    folder.reserve_elsewhere("10.1.2.3", &holder("b"));
    assert_eq!(folder.reserve("c", &set).unwrap(), "10.1.2.4");
    assert!(folder.reserve("b", &set).is_err(), "it has one already");
    assert_eq!(folder.release("b", &set), 1);
    assert!(!folder.path("10.1.2.3").exists());
}

#[test]
fn what_host_local_has_released_is_given_out_again() {
    let (folder, set) = (Folder::new(), five());
    for id in ["a", "b", "c", "d", "e"] {
        folder.reserve(id, &set).unwrap();
    }
    fs::remove_file(folder.path("10.1.2.4")).unwrap();
    assert_eq!(folder.reserve("f", &set).unwrap(), "10.1.2.4");
    assert_eq!(folder.release("c", &set), 0, "it is another's by now");
    assert_eq!(folder.release("f", &set), 1);
}

#[test]
fn a_reservation_without_an_interface_goes_with_its_container() {
    let (folder, set) = (Folder::new(), five());
    folder.store();
    fs::write(folder.path("10.1.2.3"), "a").unwrap();
    assert_eq!(folder.store().held_by(&holder("a")).len(), 1);
    assert_eq!(folder.release("a", &set), 1);
    assert!(!folder.path("10.1.2.3").exists());
}

#[test]
fn a_reservation_that_was_rewritten_without_its_interface_is_still_the_attachments() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    fs::write(folder.path("10.1.2.2"), "a").unwrap();
    assert_eq!(folder.store().held_by(&holder("a")).len(), 1);
    assert_eq!(folder.release("a", &set), 1);
}

#[test]
fn an_empty_file_is_a_free_address() {
    for content in ["", "\r\n", "\0\0\0\0"] {
        let (folder, set) = (Folder::new(), five());
        folder.store();
        fs::write(folder.path("10.1.2.2"), content).unwrap();
        assert_eq!(
            folder.reserve("a", &set).unwrap(),
            "10.1.2.2",
            "{content:?}"
        );
    }
}

#[test]
fn a_process_that_was_stopped_leaves_nothing_that_a_deletion_does_not_find() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    // Stopped after the address was noted, and before the reservation.
    let store = folder.store();
    let mut entry = Entry::new(&holder("b"));
    entry.ips.push("10.1.2.3".parse().unwrap());
    store.index.save_entry(&entry).unwrap();
    drop(store);
    assert_eq!(folder.release("b", &set), 0);
    // Stopped right after the reservation: the map does not know it, and neither does the time of the last change.
    let mut store = folder.store();
    let mut entry = Entry::new(&holder("b"));
    assert!(store.take(&mut entry, "10.1.2.3".parse().unwrap()).unwrap());
    drop(store);
    store = folder.store();
    store.save();
    drop(store);
    assert_eq!(folder.reserve("c", &set).unwrap(), "10.1.2.4");
    assert_eq!(folder.release("b", &set), 1);
}

#[test]
fn an_index_that_was_lost_or_spoilt_is_made_again() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    fs::remove_dir_all(folder.path(".ironkeel")).unwrap();
    assert_eq!(folder.store().held_by(&holder("a")).len(), 1);
    folder.reserve("b", &set).unwrap();
    let attachments = folder.path(".ironkeel/attachments");
    for file in fs::read_dir(attachments).unwrap() {
        fs::write(file.unwrap().path(), "{").unwrap();
    }
    fs::remove_file(folder.path(".ironkeel/seen")).unwrap();
    assert_eq!(folder.release("a", &set), 1);
    assert_eq!(folder.release("b", &set), 1);
}

/// A folder in which namespaces are mounted, as runtimes have one. Needs root.
struct Namespaces(TempDir);

impl Namespaces {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.0.path().join(id)
    }

    /// Mounts a new namespace on the file of that name.
    fn mount(&self, id: &str) -> Option<Sandbox> {
        let path = self.path(id);
        fs::write(&path, "").unwrap();
        let mounted = path.clone();
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let own = Some("/proc/thread-self/ns/net");
            mount(own, &mounted, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        });
        thread.join().unwrap();
        Sandbox::at(&path)
    }

    fn unmount(&self, id: &str) {
        umount2(&self.path(id), MntFlags::MNT_DETACH).unwrap();
    }

    fn remove(&self, id: &str) {
        self.unmount(id);
        fs::remove_file(self.path(id)).unwrap();
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for file in fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            let _ = umount2(&file.path(), MntFlags::MNT_DETACH);
        }
    }
}

#[test]
fn addresses_of_namespaces_that_have_gone_are_taken_back_when_none_is_left() {
    let (folder, set) = (Folder::new(), five());
    let namespaces = Namespaces::new();
    for id in ["a", "b", "c", "d", "e"] {
        let sandbox = namespaces.mount(id);
        assert!(sandbox.is_some());
        let mut store = folder.store();
        store
            .reserve(&holder(id), sandbox.as_ref(), 0, &set, None)
            .unwrap();
    }
    assert!(folder.reserve("f", &set).is_err());
    namespaces.remove("b");
    // Another one under the same path.
    namespaces.unmount("c");
    namespaces.mount("c");
    // The mounts of the runtime are out of sight.
    namespaces.unmount("d");
    assert_eq!(folder.reserve("f", &set).unwrap(), "10.1.2.3");
    assert_eq!(folder.reserve("g", &set).unwrap(), "10.1.2.4");
    assert!(folder.reserve("h", &set).is_err());
    drop(namespaces);
    assert!(
        folder.reserve("h", &set).is_err(),
        "their folder is out of sight"
    );
}

#[test]
fn an_address_that_is_asked_for_is_taken_back_from_a_namespace_that_has_gone() {
    let (folder, set) = (Folder::new(), five());
    let namespaces = Namespaces::new();
    let sandbox = namespaces.mount("a");
    let wanted = Some("10.1.2.5".parse().unwrap());
    let reserve = |id, sandbox| {
        folder
            .store()
            .reserve(&holder(id), sandbox, 0, &set, wanted)
    };
    assert!(reserve("a", sandbox.as_ref()).is_ok());
    assert!(reserve("b", None).is_err());
    namespaces.remove("a");
    assert!(reserve("b", None).is_ok());
}

#[test]
fn a_namespace_of_an_attachment_that_somebody_else_has_made_anew_is_forgotten() {
    let (folder, set) = (Folder::new(), five());
    let namespaces = Namespaces::new();
    let sandbox = namespaces.mount("a");
    let mut store = folder.store();
    store
        .reserve(&holder("a"), sandbox.as_ref(), 0, &set, None)
        .unwrap();
    drop(store);
    fs::remove_file(folder.path("10.1.2.2")).unwrap();
    folder.reserve_elsewhere("10.1.2.6", &holder("a"));
    for id in ["b", "c", "d", "e"] {
        folder.reserve(id, &set).unwrap();
    }
    namespaces.remove("a");
    assert!(folder.reserve("f", &set).is_err());
    assert_eq!(folder.release("a", &set), 1);
}

#[test]
fn what_leads_to_a_process_is_no_namespace_whose_end_is_known() {
    let namespaces = Namespaces::new();
    let link = namespaces.path("link");
    std::os::unix::fs::symlink("/proc/self/ns/net", &link).unwrap();
    assert_eq!(Sandbox::at(&link), None);
    assert_eq!(Sandbox::at(Path::new("/proc/self/ns/net")), None);
    fs::write(namespaces.path("file"), "").unwrap();
    assert_eq!(Sandbox::at(&namespaces.path("file")), None);
    assert_eq!(Sandbox::at(Path::new("")), None);
}

#[test]
fn a_reservation_that_cannot_be_read_stops_nobody_else() {
    let (folder, set) = (Folder::new(), five());
    folder.store();
    fs::create_dir(folder.path("10.1.2.2")).unwrap();
    fs::write(folder.path("10.1.2.3"), "a\0b\r\neth0").unwrap();
    assert_eq!(folder.reserve("a", &set).unwrap(), "10.1.2.4");
    assert_eq!(folder.release("a", &set), 1);
}

#[test]
fn where_the_index_cannot_be_written_what_is_given_back_is_given_back() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    folder.reserve("b", &set).unwrap();
    // Nobody, not even root, makes a folder or a file below a file.
    fs::remove_dir_all(folder.path(".ironkeel")).unwrap();
    fs::write(folder.path(".ironkeel"), "").unwrap();
    assert_eq!(folder.release("a", &set), 1);
    assert!(!folder.path("10.1.2.2").exists());
    assert!(folder.reserve("c", &set).is_err());
    fs::remove_file(folder.path(".ironkeel")).unwrap();
    assert_eq!(folder.release("b", &set), 1);
    assert_eq!(folder.reserve("c", &set).unwrap(), "10.1.2.4");
}

#[test]
fn what_belongs_to_no_valid_attachment_is_collected() {
    let (folder, set) = (Folder::new(), five());
    folder.reserve("a", &set).unwrap();
    folder.reserve("b", &set).unwrap();
    folder.reserve_elsewhere("10.1.2.5", &holder("c"));
    let sets = std::slice::from_ref(&set);
    let mut store = folder.store();
    let released = store.retain(sets, |one| one.container_id == "b").unwrap();
    assert_eq!(released.len(), 2);
    assert_eq!(store.held_by(&holder("b")).len(), 1);
}

#[test]
fn a_set_too_large_for_a_map_is_given_out_in_rounds_as_well() {
    let folder = Folder::new();
    let set = set(serde_json::json!([{ "subnet": "fd00::/64" }]));
    assert_eq!(folder.reserve("a", &set).unwrap(), "fd00::2");
    folder.reserve_elsewhere("fd00::3", &holder("b"));
    assert_eq!(folder.reserve("c", &set).unwrap(), "fd00::4");
    assert_eq!(folder.release("c", &set), 1);
}

#[test]
fn a_container_with_a_name_too_long_for_a_file_is_served() {
    let (folder, set) = (Folder::new(), five());
    let long = "x".repeat(300);
    assert_eq!(folder.reserve(&long, &set).unwrap(), "10.1.2.2");
    assert_eq!(folder.release(&long, &set), 1);
}

/// What may happen to a network's folder.
#[derive(Clone, Debug)]
enum Step {
    Reserve(u8),
    Release(u8),
    ReserveElsewhere(u8, u8),
    ReleaseElsewhere(u8),
    ForgetIndex,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8).prop_map(Step::Reserve),
        3 => (0..12_u8).prop_map(Step::Release),
        1 => (2..14_u8, 0..12_u8).prop_map(|(ip, id)| Step::ReserveElsewhere(ip, id)),
        1 => (2..14_u8).prop_map(Step::ReleaseElsewhere),
        1 => Just(Step::ForgetIndex),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn whoever_reserves_and_releases_no_address_is_given_twice_or_lost(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let folder = Folder::new();
        let set = set(serde_json::json!([{ "subnet": "10.1.2.0/28" }]));
        folder.store();
        // Which address is whose, as the files must have it.
        let mut held: BTreeMap<String, String> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Reserve(id) => {
                    let id = id.to_string();
                    let has_one = held.values().any(|of| *of == id);
                    match folder.reserve(&id, &set) {
                        Ok(address) => {
                            prop_assert!(!has_one);
                            prop_assert_eq!(held.insert(address, id), None);
                        }
                        Err(_) => prop_assert!(has_one || held.len() == 13),
                    }
                }
                Step::Release(id) => {
                    let before = held.len();
                    held.retain(|_, of| *of != id.to_string());
                    prop_assert_eq!(folder.release(&id.to_string(), &set), before - held.len());
                }
                Step::ReserveElsewhere(ip, id) => {
                    let address = format!("10.1.2.{ip}");
                    // host-local refuses a second one as well.
                    let has_one = held.values().any(|of| *of == id.to_string());
                    if let btree_map::Entry::Vacant(free) = held.entry(address)
                        && !has_one
                    {
                        folder.reserve_elsewhere(free.key(), &holder(&id.to_string()));
                        free.insert(id.to_string());
                    }
                }
                Step::ReleaseElsewhere(ip) => {
                    let address = format!("10.1.2.{ip}");
                    if held.remove(&address).is_some() {
                        fs::remove_file(folder.path(&address)).unwrap();
                    }
                }
                Step::ForgetIndex => fs::remove_dir_all(folder.path(".ironkeel")).unwrap(),
            }
            let store = folder.store();
            for id in 0..12_u8 {
                let of = |(address, one): (&String, &String)| (*one == id.to_string()).then(|| address.clone());
                let expected: Vec<String> = held.iter().filter_map(of).collect();
                let found = store.held_by(&holder(&id.to_string()));
                let mut found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
                found.sort();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
