//! How server-side apply merges a pod template, as upstream's OpenAPI of 1.37.1 has it
//! (`x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`).
//!
//! A list that is not named here is atomic: one manager owns all of it. Types are named by the
//! last part of their OpenAPI name.

/// Lists that merge by key: type, field, keys.
pub(super) const LIST_MAPS: &[(&str, &str, &[&str])] = &[
    ("Container", "env", &["name"]),
    ("Container", "ports", &["containerPort", "protocol"]),
    ("Container", "volumeDevices", &["devicePath"]),
    ("Container", "volumeMounts", &["mountPath"]),
    ("PodSpec", "containers", &["name"]),
    ("PodSpec", "evictionResponders", &["name"]),
    ("PodSpec", "hostAliases", &["ip"]),
    ("PodSpec", "imagePullSecrets", &["name"]),
    ("PodSpec", "initContainers", &["name"]),
    ("PodSpec", "resourceClaims", &["name"]),
    ("PodSpec", "schedulingGates", &["name"]),
    (
        "PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    ("PodSpec", "volumes", &["name"]),
    ("ResourceRequirements", "claims", &["name"]),
];

/// Keys that upstream does not require: type, field, key, and the default that upstream has for it.
pub(super) const KEY_DEFAULTS: &[(&str, &str, &str, &str)] = &[
    ("Container", "ports", "protocol", "TCP"),
    ("PodSpec", "imagePullSecrets", "name", ""),
];

/// Lists of scalars that merge as sets: type, field.
pub(super) const SETS: &[(&str, &str)] = &[
    ("ContainerRestartRuleOnExitCodes", "values"),
    ("ObjectMeta", "finalizers"),
    ("VolumeMount", "bindMountOptions"),
];

/// Types that one manager owns as a whole.
pub(super) const ATOMIC_STRUCTS: &[&str] = &[
    "ConfigMapKeySelector",
    "EvictionResponder",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ResourceFieldSelector",
    "SecretKeySelector",
    "TypedLocalObjectReference",
];

/// Lists of objects that upstream has as atomic: type, field. Named so that a new list in a
/// later Kubernetes is not taken for atomic by mistake.
#[cfg(test)]
pub(super) const ATOMIC_LISTS: &[(&str, &str)] = &[
    ("ConfigMapProjection", "items"),
    ("ConfigMapVolumeSource", "items"),
    ("Container", "envFrom"),
    ("Container", "resizePolicy"),
    ("Container", "restartPolicyRules"),
    ("DownwardAPIProjection", "items"),
    ("DownwardAPIVolumeSource", "items"),
    ("HTTPGetAction", "httpHeaders"),
    ("LabelSelector", "matchExpressions"),
    (
        "NodeAffinity",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ),
    ("NodeSelector", "nodeSelectorTerms"),
    ("NodeSelectorTerm", "matchExpressions"),
    ("NodeSelectorTerm", "matchFields"),
    (
        "PodAffinity",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ),
    (
        "PodAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
    ),
    (
        "PodAntiAffinity",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ),
    (
        "PodAntiAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
    ),
    ("PodDNSConfig", "options"),
    ("PodSecurityContext", "sysctls"),
    ("PodSpec", "readinessGates"),
    ("PodSpec", "tolerations"),
    ("ProjectedVolumeSource", "sources"),
    ("SecretProjection", "items"),
    ("SecretVolumeSource", "items"),
];
