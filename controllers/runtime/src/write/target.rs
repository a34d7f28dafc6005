//! What a write is about, and what it must find.

use ironkeel_plan::meta::Key;

use crate::barrier::Owner;
use crate::resource::Resource;

/// The object that a write is about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its kind.
    pub resource: Resource,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Target<'a> {
    /// The owner itself.
    pub fn of(owner: &'a Owner) -> Self {
        Self {
            resource: owner.resource,
            namespace: &owner.key.namespace,
            name: &owner.key.name,
        }
    }

    pub(super) fn is(&self, owner: &Owner) -> bool {
        self.resource == owner.resource && self.key() == owner.key
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(self.namespace, self.name)
    }
}

/// What a write must find unchanged; otherwise the API server refuses it.
#[derive(Clone, Copy, Debug)]
pub struct Precondition<'a> {
    /// UID that the object must have: never act on a recreated one of the same name.
    pub uid: &'a str,
    /// resourceVersion that the object must have, for a decision that rests on its whole
    /// content.
    pub resource_version: Option<u64>,
}

impl<'a> Precondition<'a> {
    /// Only the identity must match.
    pub fn uid(uid: &'a str) -> Self {
        Self {
            uid,
            resource_version: None,
        }
    }

    /// Identity and version must match.
    pub fn version(uid: &'a str, resource_version: u64) -> Self {
        Self {
            uid,
            resource_version: Some(resource_version),
        }
    }
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it (`Background`).
    Background,
    /// They are deleted before it (`Foreground`).
    Foreground,
    /// They are kept (`Orphan`).
    Orphan,
}

impl Propagation {
    /// The text of `propagationPolicy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}
