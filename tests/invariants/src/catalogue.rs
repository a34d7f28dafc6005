//! The rules on commits in words, for documents and messages.

/// A rule in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// Its short name, as in a [`Violation`](crate::Violation).
    pub id: &'static str,
    /// What must hold.
    pub statement: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

const fn rule(id: &'static str, statement: &'static str, source: &'static str) -> RuleText {
    RuleText {
        id,
        statement,
        source,
    }
}

const RULES: &[RuleText] = &[
    rule(
        "G1-owner",
        "Only objects whose managing controller is one of ours are deleted or released; Deployments are neither created nor deleted",
        "§6 G1",
    ),
    rule(
        "G1-foreign",
        "Nothing is written but pods, sets, Deployments, events and the lease",
        "§6 G1",
    ),
    rule(
        "G1-adopt",
        "An orphan is adopted only if the owner's selector picks it and the owner was live when it was read before",
        "§6 G1, kubernetes#42639",
    ),
    rule(
        "G1-release",
        "An object that the selector picks is not released",
        "§6 G1",
    ),
    rule(
        "G2-controller",
        "Every object is created with exactly one managing controller: the UID, kind and name of an object of ours in its namespace",
        "§6 G2",
    ),
    rule(
        "G3-steal",
        "No object changes its managing controller in one write",
        "§6 G3",
    ),
    rule(
        "G4-deleting",
        "Nothing is created for an owner that the process must know to be deleted",
        "§6 G4",
    ),
    rule(
        "G5-generation",
        "A status speaks of no generation that the object has not had yet",
        "§6 G5",
    ),
    rule("G5-monotone", "observedGeneration never falls", "§6 G5"),
    rule(
        "G5-acted",
        "A generation is observed only once it was acted on, or the failure is told in the same status",
        "§6 G5: spec before status",
    ),
    rule(
        "G5-noop",
        "No write changes nothing but times and versions, unless it sets right what a clock that was ahead had written",
        "§6 G5",
    ),
    rule(
        "G7-lease",
        "A process writes nothing later than its last renewal, the renew deadline and one request",
        "§6 G7",
    ),
    rule(
        "G8-finalizer",
        "No object gets a finalizer of ours",
        "§6 G8",
    ),
    rule(
        "G8-leftover",
        "At the end nothing is left of an owner that is gone",
        "§6 G8",
    ),
    rule(
        "G9-fields",
        "Only the controllers' own fields, conditions and annotations change; what others wrote stays",
        "§6 G9",
    ),
    rule(
        "RS-replicas",
        "At each create the set has no more active pods of the controllers than some spec wants that the process may hold",
        "§6 RS",
    ),
    rule(
        "RS-surplus",
        "A delete leaves the set with as many active pods as the spec wanted that was live when it was read, but for pods lost meanwhile",
        "§6 RS",
    ),
    rule(
        "RS-deleting",
        "Pods of a set that is being deleted are left to the garbage collector",
        "§6 RS",
    ),
    rule(
        "RS-rank",
        "A pod is deleted only after those that are not bound, not running, not ready or cheaper than it",
        "§6 RS, upstream's ActivePodsWithRanks",
    ),
    rule(
        "RS-status",
        "What a status counts was true at a time that the process may still see",
        "§6 G5",
    ),
    rule(
        "RS-settled",
        "At the end a set has the pods that it wants, or tells of the failure, and its status is true",
        "§6 liveness",
    ),
    rule(
        "D-surge",
        "A growing set leaves the sizes of all sets within replicas and surge of some spec that the process may hold",
        "§6 Deployment",
    ),
    rule(
        "D-available",
        "A rollout shrinks an old set only as far as replicas minus maxUnavailable pods stay: available pods, and old ones that may not work",
        "§6 Deployment",
    ),
    rule(
        "D-one-new",
        "There is at most one set of ours for a template",
        "§6 Deployment",
    ),
    rule(
        "D-recreate",
        "Under Recreate the new set grows only when no old pod runs",
        "§6 Deployment",
    ),
    rule(
        "D-paused",
        "A paused Deployment gets no new set",
        "§6 Deployment",
    ),
    rule(
        "D-revision",
        "Revision numbers rise, and no two sets have the same",
        "§6 Deployment",
    ),
    rule(
        "D-history",
        "Only old, empty and answered sets beyond the history limit are deleted",
        "§6 Deployment",
    ),
    rule(
        "D-complete",
        "A rollout is complete only if all its pods were ready at one time",
        "§6 G5",
    ),
    rule(
        "D-settled",
        "At the end the status of a Deployment is true, and a rollout whose pods all work is finished",
        "§6 liveness",
    ),
    rule(
        "D-deadline",
        "A rollout without progress is called failed after its deadline",
        "upstream's progressDeadlineSeconds; kubernetes#34458",
    ),
];

/// Every rule, in the order of its chapter.
pub fn catalogue() -> &'static [RuleText] {
    RULES
}
