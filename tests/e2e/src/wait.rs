//! Watching an object until a condition holds.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

/// For what a controller does by itself.
pub const SHORT: Duration = Duration::from_mins(1);
/// For what has to start or stop containers, on a machine that is busy.
pub const LONG: Duration = Duration::from_mins(4);

/// Watches the objects that `params` selects until `done` accepts the set of them.
///
/// `done` answers `Ok(value)` when the condition holds and `Err(text)` with what is still
/// missing; that text is in the error when `deadline` passes.
pub async fn until<K, T>(
    api: &Api<K>,
    params: &ListParams,
    deadline: Duration,
    mut done: impl FnMut(&[K]) -> Result<T, String>,
) -> Result<T>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut missing = "nothing was listed yet".to_owned();
    let attempt = async {
        loop {
            let list = api.list(params).await.context("list")?;
            let mut version = list.metadata.resource_version.clone().unwrap_or_default();
            let mut objects = list.items;
            match done(&objects) {
                Ok(value) => return Ok(value),
                Err(text) => missing = text,
            }
            let watch = WatchParams {
                label_selector: params.label_selector.clone(),
                field_selector: params.field_selector.clone(),
                timeout: Some(60),
                ..WatchParams::default()
            };
            let events = api.watch(&watch, &version).await.context("watch")?.fuse();
            pin_mut!(events);
            // A closed or broken watch is opened again from a fresh list.
            while let Ok(Some(event)) = events.try_next().await {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        version = object.resource_version().unwrap_or(version);
                        objects.retain(|known| known.meta().uid != object.meta().uid);
                        objects.push(object);
                    }
                    WatchEvent::Deleted(object) => {
                        objects.retain(|known| known.meta().uid != object.meta().uid);
                    }
                    WatchEvent::Bookmark(_) => continue,
                    WatchEvent::Error(_) => break,
                }
                match done(&objects) {
                    Ok(value) => return Ok(value),
                    Err(text) => missing = text,
                }
            }
        }
    };
    match tokio::time::timeout(deadline, attempt).await {
        Ok(result) => result,
        Err(_) => bail!("not within {deadline:?}: {missing}"),
    }
}

/// Watches one object until `done` accepts it; it may appear later.
pub async fn until_object<K, T>(
    api: &Api<K>,
    name: &str,
    deadline: Duration,
    mut done: impl FnMut(&K) -> Result<T, String>,
) -> Result<T>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = ListParams::default().fields(&format!("metadata.name={name}"));
    until(api, &params, deadline, |objects| match objects.first() {
        Some(object) => done(object),
        None => Err(format!("{name} does not exist")),
    })
    .await
    .map_err(|error| anyhow!("{name}: {error:#}"))
}

/// Watches until no object of this name and UID is left.
pub async fn until_gone<K>(api: &Api<K>, name: &str, uid: &str, deadline: Duration) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = ListParams::default().fields(&format!("metadata.name={name}"));
    until(api, &params, deadline, |objects| {
        if objects
            .iter()
            .any(|object| object.meta().uid.as_deref() == Some(uid))
        {
            Err(format!("{name} still exists"))
        } else {
            Ok(())
        }
    })
    .await
}
