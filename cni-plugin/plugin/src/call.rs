//! One call of a plugin: what the runtime says in environment variables.

use std::collections::BTreeMap;

use crate::error::{Code, Error, Result};

/// Longest name of a network interface, as the kernel has it.
const LONGEST_INTERFACE_NAME: usize = 15;

/// What the runtime asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Attach a container to the network.
    Add,
    /// Detach it. Succeeds where there is nothing left to detach.
    Del,
    /// Is an attachment as ADD left it? Since 0.4.0.
    Check,
    /// Give back what belongs to no attachment of a list. Since 1.1.0.
    Gc,
    /// Could an ADD succeed? Since 1.1.0.
    Status,
    /// Which versions are supported? Reads no configuration.
    Version,
}

impl Verb {
    const ALL: [Self; 6] = [
        Self::Add,
        Self::Del,
        Self::Check,
        Self::Gc,
        Self::Status,
        Self::Version,
    ];

    /// As `CNI_COMMAND` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The variables without which it cannot be served. `CNI_PATH` is not among them: no other program is run.
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Add | Self::Check => &[CONTAINER_ID, NETNS, INTERFACE],
            Self::Del => &[CONTAINER_ID, INTERFACE],
            Self::Gc | Self::Status | Self::Version => &[],
        }
    }
}

const COMMAND: &str = "CNI_COMMAND";
const CONTAINER_ID: &str = "CNI_CONTAINERID";
const NETNS: &str = "CNI_NETNS";
const INTERFACE: &str = "CNI_IFNAME";
const ARGS: &str = "CNI_ARGS";

/// What was asked for. A variable that the verb does not need may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What to do.
    pub verb: Verb,
    /// The container: letters, digits, `_`, `.` and `-`, not empty where the verb needs it.
    pub container_id: String,
    /// Path of its network namespace. Empty in a DEL whose namespace is gone.
    pub netns: String,
    /// Name of the interface inside.
    pub interface: String,
    /// Arguments of the caller as they are: [`Arguments::parse`] is for plugins that have some.
    pub args: String,
}

impl Call {
    /// Reads the variables; `variable` gives the value of one by its name. `None` if there is no command at all: somebody
    /// has started the program by hand.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let value = |name: &str| variable(name).unwrap_or_default();
        let command = value(COMMAND);
        if command.is_empty() {
            return Ok(None);
        }
        let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == command);
        let Some(verb) = verb else {
            let message = format!(
                "{COMMAND} is {command:?}; it is one of {}",
                Verb::ALL.map(Verb::as_str).join(", ")
            );
            return Err(Error::new(Code::InvalidEnvironment, message));
        };
        let required = verb.required();
        let missing: Vec<&str> = required
            .iter()
            .copied()
            .filter(|name| value(name).is_empty())
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "required env variables [{}] missing for {command}",
                missing.join(",")
            );
            return Err(Error::new(Code::InvalidEnvironment, message));
        }
        let call = Self {
            verb,
            container_id: value(CONTAINER_ID),
            netns: value(NETNS),
            interface: value(INTERFACE),
            args: value(ARGS),
        };
        if required.contains(&CONTAINER_ID) {
            check_container_id(&call.container_id)?;
        }
        if required.contains(&INTERFACE) {
            check_interface(&call.interface)?;
        }
        Ok(Some(call))
    }
}

/// Whether `text` may name a container or a network, as the specification has it: a letter or digit, then those and
/// `_`, `.`, `-`.
pub fn is_identifier(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || b"_.-".contains(&byte))
}

fn check_container_id(id: &str) -> Result<()> {
    if is_identifier(id) {
        return Ok(());
    }
    let rule = "it begins with a letter or digit and goes on with those, '_', '.' and '-'";
    let message = format!("{CONTAINER_ID} is {id:?}; {rule}");
    Err(Error::new(Code::InvalidEnvironment, message))
}

fn check_interface(name: &str) -> Result<()> {
    let has_bad_character = name
        .chars()
        .any(|one| one == '/' || one == ':' || one.is_whitespace());
    let rule = if name.len() > LONGEST_INTERFACE_NAME {
        "it has at most 15 bytes"
    } else if name == "." || name == ".." {
        "it is neither '.' nor '..'"
    } else if has_bad_character {
        "it has no '/', ':' or white space"
    } else {
        return Ok(());
    };
    let message = format!("{INTERFACE} is {name:?}; {rule}");
    Err(Error::new(Code::InvalidEnvironment, message))
}

/// The arguments of `CNI_ARGS`: `KEY=VALUE` pairs, parted by semicolons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments(BTreeMap<String, String>);

/// The key by which the caller allows others that a plugin does not know.
const IGNORE_UNKNOWN: &str = "IgnoreUnknown";

impl Arguments {
    /// Reads the pairs; a text without any is empty.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message| Error::new(Code::InvalidEnvironment, message);
        let mut arguments = BTreeMap::new();
        for pair in text.split(';').filter(|_| !text.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or_else(|| invalid(format!("{ARGS} has {pair:?}; a pair is KEY=VALUE")))?;
            arguments.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self(arguments))
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Refuses keys that are not in `known`, unless the caller allows them by `IgnoreUnknown=1`.
    pub fn refuse_unknown(&self, known: &[&str]) -> Result<()> {
        let is_allowed = match self.value(IGNORE_UNKNOWN).map(str::to_lowercase).as_deref() {
            Some("1" | "true") => true,
            None | Some("0" | "false") => false,
            Some(value) => {
                let message =
                    format!("{ARGS} has {IGNORE_UNKNOWN}={value}; it is 0, 1, true or false");
                return Err(Error::new(Code::InvalidEnvironment, message));
            }
        };
        let is_unknown = |key: &&String| *key != IGNORE_UNKNOWN && !known.contains(&key.as_str());
        let unknown: Vec<String> = self
            .0
            .keys()
            .filter(is_unknown)
            .map(|key| format!("{key:?}"))
            .collect();
        if is_allowed || unknown.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{ARGS} has {}, which this plugin does not know, without {IGNORE_UNKNOWN}=1",
            unknown.join(", ")
        );
        Err(Error::new(Code::InvalidEnvironment, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Call>> {
        let of = |name: &str| variables.iter().find(|(key, _)| *key == name);
        Call::read(|name| of(name).map(|(_, value)| (*value).to_owned()))
    }

    fn message(variables: &[(&str, &str)]) -> String {
        let error = read(variables).unwrap_err();
        assert_eq!(error.code, Code::InvalidEnvironment);
        error.message
    }

    #[test]
    fn every_variable_that_is_missing_is_named() {
        assert_eq!(
            message(&[(COMMAND, "ADD")]),
            "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing for ADD"
        );
        assert_eq!(
            message(&[(COMMAND, "DEL"), (CONTAINER_ID, "a")]),
            "required env variables [CNI_IFNAME] missing for DEL"
        );
    }

    #[test]
    fn a_deletion_needs_no_namespace_and_a_collection_nothing() {
        let deletion = [(COMMAND, "DEL"), (CONTAINER_ID, "a"), (INTERFACE, "eth0")];
        let call = read(&deletion).unwrap().unwrap();
        assert_eq!((call.verb, call.netns.as_str()), (Verb::Del, ""));
        let call = read(&[(COMMAND, "GC")]).unwrap().unwrap();
        assert_eq!(call.verb, Verb::Gc);
    }

    #[test]
    fn no_command_is_no_call() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(
            message(&[(COMMAND, "add")]),
            "CNI_COMMAND is \"add\"; it is one of ADD, DEL, CHECK, GC, STATUS, VERSION"
        );
    }

    #[test]
    fn names_are_checked_and_told() {
        let with = |id, interface| {
            [
                (COMMAND, "ADD"),
                (CONTAINER_ID, id),
                (NETNS, "/run/netns/a"),
                (INTERFACE, interface),
            ]
        };
        assert!(read(&with("a_b.c-9", "eth0")).is_ok());
        for id in ["a b", "-a", "a/b", "é"] {
            let told = message(&with(id, "eth0"));
            assert!(
                told.starts_with(&format!("CNI_CONTAINERID is {id:?}; ")),
                "{told}"
            );
        }
        for interface in ["sixteen-bytes-xx", "..", "a/b", "a:b", "a b"] {
            let told = message(&with("a", interface));
            assert!(
                told.starts_with(&format!("CNI_IFNAME is {interface:?}; ")),
                "{told}"
            );
        }
    }

    #[test]
    fn arguments_are_pairs() {
        let parsed = Arguments::parse("IgnoreUnknown=1;IP=10.0.0.7").unwrap();
        assert_eq!(parsed.value("IP"), Some("10.0.0.7"));
        assert_eq!(Arguments::parse(""), Ok(Arguments::default()));
        for bad in ["IP", "IP=1=2", "IP=1;"] {
            assert!(Arguments::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_argument_that_is_not_known_is_refused_unless_the_caller_allows_it() {
        let refused = |text| Arguments::parse(text).unwrap().refuse_unknown(&["IP"]);
        assert_eq!(refused("IP=10.0.0.7"), Ok(()));
        assert_eq!(refused("IgnoreUnknown=true;K8S_POD_NAME=a"), Ok(()));
        assert_eq!(
            refused("K8S_POD_NAME=a;IP=1").unwrap_err().message,
            "CNI_ARGS has \"K8S_POD_NAME\", which this plugin does not know, without IgnoreUnknown=1"
        );
        assert!(refused("IgnoreUnknown=yes").is_err());
    }
}
