//! What a reservation says: whose an address is.

use std::fmt;

use crate::config::Holder;

/// Between a container and its interface.
const LINE_BREAK: &str = "\r\n";

/// What a reservation's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: its writer was stopped. The address is free.
    Empty,
    /// It cannot be read: somebody's, but nobody knows whose.
    Unknown,
    /// Whose it is. Of host-local before 0.7 without an interface.
    Of(Holder),
}

impl Content {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches(|one: char| one == '\0' || one.is_whitespace());
        if text.is_empty() {
            return Self::Empty;
        }
        let (container_id, interface) = text.split_once(LINE_BREAK).unwrap_or((text, ""));
        Self::Of(Holder {
            container_id: container_id.to_owned(),
            interface: interface.to_owned(),
        })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty | Self::Unknown => Ok(()),
            Self::Of(holder) => {
                write!(f, "{}{LINE_BREAK}{}", holder.container_id, holder.interface)
            }
        }
    }
}

/// Whom host-local of long ago noted for what `holder` holds now.
pub(super) fn without_interface(holder: &Holder) -> Holder {
    Holder {
        container_id: holder.container_id.clone(),
        interface: String::new(),
    }
}
