//! `uid-of:replicasets.apps/web` in a manifest stands for the UID that the object has by then.

use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, Resource,
};

const PREFIX: &str = "uid-of:";

/// The text that stands for the UID of an object in the namespace of the story.
pub fn of(resource: Resource, name: &str) -> String {
    format!("{PREFIX}{resource}/{name}")
}

/// The object whose UID a text stands for.
pub fn parse(text: &str) -> Option<(Resource, &str)> {
    let (collection, name) = text.strip_prefix(PREFIX)?.split_once('/')?;
    let known = [
        PODS,
        REPLICATION_CONTROLLERS,
        NATIVE_DEPLOYMENTS,
        NATIVE_REPLICA_SETS,
        DEPLOYMENTS,
        REPLICA_SETS,
    ];
    let resource = known
        .into_iter()
        .find(|resource| resource.to_string() == collection)?;
    Some((resource, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back() {
        let text = of(NATIVE_REPLICA_SETS, "web");
        assert_eq!(text, "uid-of:replicasets.apps/web");
        assert_eq!(parse(&text), Some((NATIVE_REPLICA_SETS, "web")));
        assert_eq!(parse("web"), None);
        assert_eq!(parse("uid-of:secrets/web"), None);
    }
}
