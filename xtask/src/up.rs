//! `cargo xtask up`: a cluster with Ironkeel and the examples on it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use ironkeel_testbed::{
    Cluster, Config, ImageSet, Outcome, ProgramSet, Programs, Progress, images, state_dir,
};
use serde_json::Value;

use crate::access::Access;
use crate::image::{BuiltImage, REGISTRY, REPOSITORY};
use crate::progress::Screen;
use crate::release::Release;
use crate::{examples, image, shell, workspace};

/// Where Ironkeel is installed.
pub(crate) const NAMESPACE: &str = "ironkeel-system";

/// Flags of `cargo xtask up`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Flags {
    /// Install into the existing cluster of this kubeconfig instead of starting one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nodes", "fake_nodes", "controllers"])]
    kubeconfig: Option<PathBuf>,
    /// With --kubeconfig: where the cluster pulls the image from, such as registry.example.org/team
    #[arg(long, value_name = "PREFIX", requires = "kubeconfig")]
    image_registry: Option<String>,
    /// Nodes, each a kubelet and containerd in namespaces of its own
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=200))]
    nodes: u8,
    /// Nodes played by KWOK, for scale; labelled type=kwok and tainted kwok.x-k8s.io/node=fake:NoSchedule
    #[arg(long, value_name = "N", default_value_t = 0)]
    fake_nodes: u32,
    /// Which loops kube-controller-manager runs, as its own --controllers
    #[arg(
        long,
        value_name = "LIST",
        default_value = "*",
        allow_hyphen_values = true
    )]
    controllers: String,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            image_registry: None,
            nodes: 2,
            fake_nodes: 0,
            controllers: "*".to_owned(),
        }
    }
}

/// Brings everything up and says what runs.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<()> {
    let started = Instant::now();
    let log = shell::fresh_log("up")?;
    let access = if let Some(kubeconfig) = &flags.kubeconfig {
        let access = Access::existing(kubeconfig)?;
        let image = image::build(&log, screen)?;
        let reference = deliver(
            &access,
            &image,
            flags.image_registry.as_deref(),
            &log,
            screen,
        )?;
        let examples = install(&access, &reference, &log, screen)?;
        summarise(&access, None, &examples, screen)?;
        access
    } else {
        let cluster = start_cluster(flags, screen)?;
        let access = Access::local(&cluster);
        let examples = fill(&cluster, flags, &log, screen)?;
        summarise(&access, Some(&cluster), &examples, screen)?;
        access
    };
    let (nodes, pods) = count(&access)?;
    screen.say(&format!(
        "ready: {nodes} nodes, {pods} pods, {} s",
        started.elapsed().as_secs()
    ));
    Ok(())
}

/// The local cluster, started or repaired, without Ironkeel.
pub(crate) fn start_cluster(flags: &Flags, screen: &Screen) -> Result<Cluster> {
    let config = Config {
        nodes: flags.nodes,
        fake_nodes: flags.fake_nodes,
        controllers: flags.controllers.clone(),
        state: state_dir()?,
        ..Config::default()
    };
    let programs = Programs::ready(&program_sets(flags), screen)?;
    let archives = images::ready(&[ImageSet::Base, ImageSet::Test], &programs, screen)?;
    Cluster::up(&config, &programs, &archives, screen)
}

fn program_sets(flags: &Flags) -> Vec<ProgramSet> {
    let mut sets = vec![ProgramSet::Cluster, ProgramSet::TestImages];
    if flags.fake_nodes > 0 {
        sets.push(ProgramSet::Kwok);
    }
    sets
}

/// Puts Ironkeel and the examples on the local cluster; returns the examples.
pub(crate) fn fill(
    cluster: &Cluster,
    flags: &Flags,
    log: &Path,
    screen: &Screen,
) -> Result<Vec<Value>> {
    let access = Access::local(cluster);
    let image = image::build(log, screen)?;
    let off = loops_off(&flags.controllers);
    if !off.is_empty() {
        for release in releases(&reference_of(&image), "both") {
            release.install(&access, log, screen)?;
        }
        screen.say(&format!(
            "kube-controller-manager runs without {}: nobody would start our Deployment, so only the CRDs and roles are \
             installed and no example is applied. Start the manager on this machine:\n  {} --mode=both --kubeconfig={}",
            off.join(" and "),
            image.binary.display(),
            cluster.kubeconfig().display()
        ));
        return Ok(Vec::new());
    }
    cluster.load_images(std::slice::from_ref(&image.archive), screen)?;
    install(&access, &reference_of(&image), log, screen)
}

fn reference_of(image: &BuiltImage) -> Reference {
    Reference {
        registry: REGISTRY.to_owned(),
        repository: REPOSITORY.to_owned(),
        tag: image.tag.clone(),
    }
}

/// Which of the loops that start our own Deployment are off in this value of `--controllers`.
///
/// As in kube-controller-manager: `foo` wins over `-foo`, and both over `*`.
fn loops_off(controllers: &str) -> Vec<&'static str> {
    let listed: Vec<&str> = controllers.split(',').map(str::trim).collect();
    ["deployment-controller", "replicaset-controller"]
        .into_iter()
        .filter(|name| {
            let off = listed
                .iter()
                .any(|entry| entry.strip_prefix('-') == Some(name));
            !listed.contains(name) && (off || !listed.contains(&"*"))
        })
        .collect()
}

/// An image as the chart's values name it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    registry: String,
    repository: String,
    tag: String,
}

/// The releases that make up Ironkeel, in the order of their installation.
fn releases(image: &Reference, mode: &str) -> [Release; 2] {
    let crds = Release {
        name: "ironkeel-crds",
        chart: "ironkeel-crds",
        namespace: NAMESPACE,
        values: Vec::new(),
    };
    let mut values = vec![
        format!("mode={mode}"),
        format!("image.registry={}", image.registry),
        format!("image.repository={}", image.repository),
        format!("image.tag={}", image.tag),
    ];
    if mode != "crd" {
        values.push("deployment.enabled=false".to_owned());
    }
    let controllers = Release {
        name: "ironkeel",
        chart: "ironkeel-controllers",
        namespace: NAMESPACE,
        values,
    };
    [crds, controllers]
}

fn install(access: &Access, image: &Reference, log: &Path, screen: &Screen) -> Result<Vec<Value>> {
    for release in releases(image, "crd") {
        release.install(access, log, screen)?;
    }
    examples::apply(access, log, screen)
}

/// Brings the image to somebody else's cluster, by the tool that made it, or says how the user can.
fn deliver(
    access: &Access,
    image: &BuiltImage,
    registry: Option<&str>,
    log: &Path,
    screen: &Screen,
) -> Result<Reference> {
    if let Some(prefix) = registry {
        let reference = pushed(prefix, &image.tag);
        screen.note(&format!(
            "the cluster will pull {}/{}:{}; push it with\n  skopeo copy oci-archive:{} docker://{}/{}:{}",
            reference.registry,
            reference.repository,
            reference.tag,
            workspace::shown(&image.archive),
            reference.registry,
            reference.repository,
            reference.tag
        ));
        return Ok(reference);
    }
    let mut context = access.kubectl();
    context.args(["config", "current-context"]);
    let context = shell::read(context)?;
    let context = context.trim();
    let (tool, arguments) = load_command(context).with_context(|| {
        format!(
            "no way is known to bring the image to the cluster of context {context:?}, which was made neither by kind \
             nor by k3d; push {} to a registry, for example with skopeo copy, and name it with --image-registry",
            workspace::shown(&image.archive)
        )
    })?;
    let Some(program) = shell::find_program(tool) else {
        bail!(
            "context {context:?} was made by {tool}, which is not on the PATH; it loads the image into the nodes"
        );
    };
    let mut load = shell::command(program);
    let archive = image.archive.as_os_str();
    load.args(arguments.iter().map(|word| {
        if word == "ARCHIVE" {
            archive
        } else {
            word.as_ref()
        }
    }));
    screen.step(&format!("{tool}: load the image"), || {
        shell::run(load, log, &mut |_| {})
    })?;
    Ok(reference_of(image))
}

/// How the tool that made the cluster loads an archive into its nodes; `ARCHIVE` stands for the archive.
fn load_command(context: &str) -> Option<(&'static str, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if let Some(cluster) = context.strip_prefix("kind-") {
        return Some((
            "kind",
            words(&["load", "image-archive", "ARCHIVE", "--name", cluster]),
        ));
    }
    let cluster = context.strip_prefix("k3d-")?;
    Some((
        "k3d",
        words(&["image", "import", "ARCHIVE", "--cluster", cluster]),
    ))
}

/// The reference of our image below the user's prefix.
fn pushed(prefix: &str, tag: &str) -> Reference {
    let name = REPOSITORY.rsplit('/').next().unwrap_or(REPOSITORY);
    let prefix = prefix.trim_end_matches('/');
    let (registry, path) = prefix.split_once('/').unwrap_or((prefix, ""));
    let repository = if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    };
    Reference {
        registry: registry.to_owned(),
        repository,
        tag: tag.to_owned(),
    }
}

/// What runs, where, and what to type next.
fn summarise(
    access: &Access,
    cluster: Option<&Cluster>,
    examples: &[Value],
    screen: &Screen,
) -> Result<()> {
    if let Some(cluster) = cluster {
        crate::status::print(cluster, screen)?;
    }
    let names: Vec<String> = examples.iter().map(examples::name).collect();
    if !names.is_empty() {
        screen.say(&format!("examples, all ready: {}", names.join(", ")));
    }
    screen.say(&format!("kubeconfig: {}", access.kubeconfig().display()));
    screen.say("Try, in a shell of yours:");
    screen.say(&format!(
        "  export KUBECONFIG={}",
        access.kubeconfig().display()
    ));
    if let Some(cluster) = cluster {
        screen.say(&format!(
            "  export PATH={}:$PATH",
            cluster.bin_dir().display()
        ));
    }
    for line in suggestions(examples) {
        screen.say(&format!("  {line}"));
    }
    Ok(())
}

/// Three commands that show something.
fn suggestions(examples: &[Value]) -> [String; 3] {
    let text = |object: &Value, path: &str| {
        object
            .pointer(path)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let deployment = examples.iter().find(|object| {
        object["kind"] == "Deployment"
            && text(object, "/apiVersion")
                .is_some_and(|version| version.starts_with("apps.ironkeel.dev/"))
    });
    let name = deployment.and_then(|object| text(object, "/metadata/name"));
    let namespace = deployment.and_then(|object| text(object, "/metadata/namespace"));
    let name = name.unwrap_or_else(|| "NAME".to_owned());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    [
        "kubectl get ikdeploy,ikrs,pods --all-namespaces".to_owned(),
        format!("kubectl scale ikdeploy/{name} --namespace={namespace} --replicas=5"),
        format!("kubectl describe ikdeploy/{name} --namespace={namespace}"),
    ]
}

/// Nodes, and pods that run, as the API server has them.
fn count(access: &Access) -> Result<(usize, usize)> {
    let lines = |arguments: &[&str]| -> Result<usize> {
        let mut kubectl = access.kubectl();
        kubectl.args(["get", "--output=name"]).args(arguments);
        Ok(shell::read(kubectl)?.lines().count())
    };
    let pods = [
        "pods",
        "--all-namespaces",
        "--field-selector=status.phase=Running",
    ];
    Ok((lines(&["nodes"])?, lines(&pods)?))
}

/// Takes the local cluster down. An error names what could not be removed.
pub(crate) fn down(screen: &Screen) -> Result<()> {
    screen.start("down", None);
    let left = ironkeel_testbed::down(&state_dir()?, screen);
    let clean = left.as_ref().is_ok_and(Vec::is_empty);
    screen.finish(
        "down",
        if clean {
            Outcome::Done
        } else {
            Outcome::Failed
        },
    );
    let left = left?;
    if !left.is_empty() {
        bail!("could not remove:\n  {}", left.join("\n  "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn loops_are_off_as_kube_controller_manager_reads_its_list() {
        assert!(loops_off("*").is_empty());
        assert!(loops_off("*,-job-controller").is_empty());
        assert_eq!(
            loops_off("*,-deployment-controller"),
            ["deployment-controller"]
        );
        assert_eq!(
            loops_off("job-controller"),
            ["deployment-controller", "replicaset-controller"]
        );
        assert_eq!(
            loops_off("deployment-controller,-deployment-controller"),
            ["replicaset-controller"]
        );
    }

    #[test]
    fn a_prefix_is_a_host_and_perhaps_a_path() {
        let expected = |registry: &str, repository: &str| Reference {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: "t".to_owned(),
        };
        assert_eq!(
            pushed("registry.example.org/team/a/", "t"),
            expected("registry.example.org", "team/a/ironkeel-controller-manager")
        );
        assert_eq!(
            pushed("localhost:5000", "t"),
            expected("localhost:5000", "ironkeel-controller-manager")
        );
    }

    #[test]
    fn the_maker_of_a_cluster_loads_its_images() {
        let (tool, words) = load_command("kind-dev").unwrap();
        assert_eq!(
            (tool, words.join(" ")),
            ("kind", "load image-archive ARCHIVE --name dev".to_owned())
        );
        assert_eq!(load_command("k3d-dev").unwrap().0, "k3d");
        assert!(load_command("gke_project_zone_name").is_none());
    }

    #[test]
    fn suggestions_name_an_example_that_is_ours() {
        let examples = [
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "theirs" } }),
            json!({ "apiVersion": "apps.ironkeel.dev/v1", "kind": "Deployment",
                    "metadata": { "name": "web", "namespace": "demo" } }),
        ];
        assert_eq!(
            suggestions(&examples)[1],
            "kubectl scale ikdeploy/web --namespace=demo --replicas=5"
        );
    }
}
