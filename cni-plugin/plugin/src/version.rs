//! The versions of the CNI specification.

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};

/// A version of the specification, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecVersion {
    /// 0.1.0: one address of each family. A configuration without a version is of this one.
    V0_1_0,
    /// 0.2.0: VERSION.
    V0_2_0,
    /// 0.3.0: lists of interfaces and addresses.
    V0_3_0,
    /// 0.3.1: the previous result travels along a chain.
    V0_3_1,
    /// 0.4.0: CHECK.
    V0_4_0,
    /// 1.0.0: an address no longer says its family.
    V1_0_0,
    /// 1.1.0: GC and STATUS.
    V1_1_0,
}

impl SpecVersion {
    /// All of them, oldest first: what VERSION answers.
    pub const ALL: [Self; 7] = [
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// The newest.
    pub const LATEST: Self = Self::V1_1_0;

    /// As a configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version that `cniVersion` of a configuration names.
    pub fn of_config(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::V0_1_0);
        }
        let known = Self::ALL.into_iter().find(|one| one.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::new(Code::IncompatibleVersion, "incompatible CNI versions").with_details(
                format!("cniVersion of the configuration is {text:?}, supported are {names}"),
            )
        })
    }
}

/// The answer to VERSION.
pub fn answer() -> Value {
    json!({
        "cniVersion": SpecVersion::LATEST.as_str(),
        "supportedVersions": SpecVersion::ALL.map(SpecVersion::as_str),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_a_version_is_of_the_first() {
        assert_eq!(SpecVersion::of_config(""), Ok(SpecVersion::V0_1_0));
    }

    #[test]
    fn every_version_is_known_by_its_name_and_in_order() {
        for pair in SpecVersion::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for version in SpecVersion::ALL {
            assert_eq!(SpecVersion::of_config(version.as_str()), Ok(version));
        }
    }

    #[test]
    fn a_version_that_is_not_known_is_told_with_those_that_are() {
        let error = SpecVersion::of_config("1.2.0").unwrap_err();
        assert_eq!(error.code, Code::IncompatibleVersion);
        assert_eq!(
            error.details,
            "cniVersion of the configuration is \"1.2.0\", supported are \
             0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"
        );
    }
}
