//! Which plugin is called, and what every one of them checks before it does anything.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::call::{Call, Verb};
use crate::config::Network;
use crate::error::{Code, Error, Result};
use crate::host_local;
use crate::loopback;
use crate::result::Attachment;
use crate::version::{self, SpecVersion};

/// A plugin, by the name under which the program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// Addresses out of ranges of this node.
    HostLocal,
    /// The container's own loopback interface.
    Loopback,
}

/// Plugins by their names.
const PLUGINS: [(&str, Plugin); 2] = [
    ("host-local", Plugin::HostLocal),
    ("loopback", Plugin::Loopback),
];

impl Plugin {
    /// The plugin of that name.
    pub fn named(program: &OsStr) -> Result<Self> {
        let found = PLUGINS.iter().find(|(name, _)| program == *name);
        found.map(|(_, plugin)| *plugin).ok_or_else(|| {
            let names = PLUGINS.map(|(name, _)| name).join(", ");
            let program = program.display();
            Error::config(format!(
                "the program is called {program}; the plugins that it is are called {names}"
            ))
        })
    }

    /// Whether the call changes something in the container's network namespace. Where it only gives something back, a path
    /// that leads to a process which has ended, and to another one's namespace by now, must not keep it from that.
    fn enters_netns(self, verb: Verb) -> bool {
        match verb {
            Verb::Add => true,
            Verb::Del => self == Self::Loopback,
            _ => false,
        }
    }

    fn serve(self, call: &Call, network: &Network, input: &[u8]) -> Result<Option<Attachment>> {
        match self {
            Self::HostLocal => host_local::serve(call, network, input),
            Self::Loopback => loopback::serve(call, network),
        }
    }
}

/// Serves a call and returns what is to be printed, if anything. `input` is the configuration; VERSION needs none.
pub fn serve(plugin: Plugin, call: &Call, input: &[u8]) -> Result<Option<Value>> {
    if call.verb == Verb::Version {
        return Ok(Some(version::answer()));
    }
    let network = Network::read(input)?;
    check_version(call.verb, network.version)?;
    if plugin.enters_netns(call.verb) && is_own_netns(Path::new(&call.netns)) {
        return Err(Error::new(
            Code::InvalidNetns,
            format!(
                "CNI_NETNS is {:?}, the plugin's own network namespace; it has to be the container's",
                call.netns
            ),
        ));
    }
    let answer = plugin.serve(call, &network, input)?;
    answer
        .map(|attachment| attachment.to_json(network.version))
        .transpose()
}

fn check_version(verb: Verb, version: SpecVersion) -> Result<()> {
    let since = match verb {
        Verb::Check => SpecVersion::V0_4_0,
        Verb::Gc | Verb::Status => SpecVersion::V1_1_0,
        Verb::Add | Verb::Del | Verb::Version => SpecVersion::V0_1_0,
    };
    if version >= since {
        return Ok(());
    }
    Err(Error::new(
        Code::IncompatibleVersion,
        format!(
            "cniVersion of the configuration is {}; {} is part of {} and newer",
            version.as_str(),
            verb.as_str(),
            since.as_str()
        ),
    ))
}

/// Whether `path` is the namespace that this process is in. One that is not there is not.
fn is_own_netns(path: &Path) -> bool {
    let of = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let is_overridden = std::env::var("CNI_NETNS_OVERRIDE")
        .is_ok_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
    let own = of(Path::new("/proc/self/ns/net"));
    !is_overridden && own.is_some() && of(path) == own
}
