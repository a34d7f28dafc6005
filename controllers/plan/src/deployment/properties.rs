//! Safety in every order of events, and that every order ends well.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::fixture::{NATIVE, OWN, template};
use super::world::World;
use super::*;
use crate::pod::Phase;
use crate::workload::{PodReplacementPolicy, RollbackPolicy};

/// Something that happens.
#[derive(Clone, Debug)]
enum Op {
    Deployment,
    /// The controller dies after that many writes.
    Crash(usize),
    Set(usize),
    Start(usize),
    Unready(usize),
    Fail(usize),
    Kill(usize),
    Gone(usize),
    Template(usize),
    Scale(i32),
    Pause(bool),
    Recreate(bool),
    MinReady(i32),
    Tick(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Deployment),
        2 => (0..3_usize).prop_map(Op::Crash),
        8 => (0..6_usize).prop_map(Op::Set),
        8 => (0..20_usize).prop_map(Op::Start),
        1 => (0..20_usize).prop_map(Op::Unready),
        1 => (0..20_usize).prop_map(Op::Fail),
        1 => (0..20_usize).prop_map(Op::Kill),
        5 => (0..20_usize).prop_map(Op::Gone),
        2 => (0..4_usize).prop_map(Op::Template),
        1 => (0..12_i32).prop_map(Op::Scale),
        1 => any::<bool>().prop_map(Op::Pause),
        1 => any::<bool>().prop_map(Op::Recreate),
        1 => (0..3_i32).prop_map(Op::MinReady),
        1 => prop_oneof![Just(1_i64), Just(700)].prop_map(Op::Tick),
    ]
}

fn run(world: &mut World, op: &Op) {
    match *op {
        Op::Deployment => {
            world.sync_deployment(None);
        }
        Op::Crash(steps) => {
            world.sync_deployment(Some(steps));
        }
        Op::Set(at) => {
            let count = world.sets.len().max(1);
            let name = world.sets.keys().nth(at % count).cloned();
            if let Some(name) = name {
                world.sync_set(&name);
            }
        }
        Op::Start(at) => world.start_pod(at),
        Op::Unready(at) => world.change_pod(at, |pod| pod.ready, |pod| pod.ready = false),
        Op::Fail(at) => world.change_pod(
            at,
            |pod| pod.phase == Phase::Running,
            |pod| {
                pod.phase = Phase::Failed;
                pod.ready = false;
            },
        ),
        Op::Kill(at) => {
            let now = world.now;
            world.change_pod(
                at,
                |pod| pod.deleting.is_none(),
                |pod| pod.deleting = Some(now),
            );
        }
        Op::Gone(at) => world.end_terminating(at),
        Op::Template(at) => world.edit(|spec| spec.template = template(&at.to_string())),
        Op::Scale(replicas) => world.edit(|spec| spec.replicas = Some(replicas)),
        Op::Pause(paused) => world.edit(|spec| spec.paused = paused),
        Op::Recreate(recreate) => world.edit(|spec| {
            let kind = if recreate {
                "Recreate"
            } else {
                "RollingUpdate"
            };
            spec.strategy.kind = Some(kind.to_owned());
        }),
        Op::MinReady(seconds) => world.edit(|spec| spec.min_ready_seconds = seconds),
        Op::Tick(seconds) => world.now += SignedDuration::from_secs(seconds),
    }
}

fn bounds() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("25%", "25%"),
        ("0%", "25%"),
        ("100%", "0%"),
        ("0%", "100%"),
        ("30%", "0%"),
        ("1%", "1%"),
    ])
}

fn policy() -> impl Strategy<Value = Option<PodReplacementPolicy>> {
    prop::sample::select(vec![
        None,
        Some(PodReplacementPolicy::TerminationStarted),
        Some(PodReplacementPolicy::TerminationComplete),
    ])
}

proptest! {
    #![proptest_config(crate::fixture::cases(32))]

    /// Whatever happens: the bounds hold at every write (see `World`), and once things calm
    /// down the rollout completes and nothing more is written.
    #[test]
    fn every_order_is_safe_and_ends_well(
        ops in prop::collection::vec(op(), 1..60),
        (surge, unavailable) in bounds(),
        replicas in 0..8_i32,
        own in any::<bool>(),
        recreate in any::<bool>(),
        policy in policy(),
        on_progress_deadline in any::<bool>(),
    ) {
        let mut world = World::new(if own { OWN } else { NATIVE }, replicas, surge, unavailable);
        world.deployment.spec.rollback = Some(RollbackPolicy { on_progress_deadline });
        world.deployment.spec.pod_replacement_policy = policy.filter(|_| own);
        if recreate {
            world.deployment.spec.strategy.kind = Some("Recreate".to_owned());
        }
        for op in &ops {
            run(&mut world, op);
        }
        world.edit(|spec| spec.paused = false);
        world.settle();
        world.assert_complete();
        let writes = world.writes;
        world.sync_deployment(None);
        prop_assert_eq!(world.writes, writes, "a write when nothing is to be done");
    }

    /// While pods only start and stop as asked, what really runs stays within the bounds too,
    /// however late each controller looks. Pods beyond the surge can be seen only where
    /// terminating ones are not waited for: old ones are told to go when new ones are told to come.
    #[test]
    fn real_pods_stay_within_the_bounds(
        ops in prop::collection::vec(prop_oneof![
            Just(Op::Deployment),
            (0..4_usize).prop_map(Op::Set),
            (0..20_usize).prop_map(Op::Start),
            (0..20_usize).prop_map(Op::Gone),
        ], 1..80),
        (surge, unavailable) in bounds(),
        replicas in 1..10_i32,
        policy in policy(),
    ) {
        let mut world = World::new(OWN, replicas, surge, unavailable);
        world.deployment.spec.pod_replacement_policy = policy;
        world.settle();
        world.edit(|spec| spec.template = template("1"));
        let bounds = world.bounds();
        let counts_terminating = policy == Some(PodReplacementPolicy::TerminationComplete);
        for op in &ops {
            run(&mut world, op);
            prop_assert!(world.available() >= replicas - bounds.unavailable);
            if counts_terminating {
                prop_assert!(world.running(true) <= replicas + bounds.surge);
            }
        }
        world.settle();
        world.assert_complete();
    }

    /// Planning again on the result of a plan gives nothing. A plan that creates comes alone, and
    /// a scaling is followed by the rollout that it interrupted.
    #[test]
    fn planning_twice_gives_nothing(
        ops in prop::collection::vec(op(), 1..40),
        (surge, unavailable) in bounds(),
        own in any::<bool>(),
    ) {
        let mut world = World::new(if own { OWN } else { NATIVE }, 5, surge, unavailable);
        for op in &ops {
            run(&mut world, op);
            let first = plan(&world.scene().observed());
            world.sync_deployment(None);
            let creates = first
                .actions
                .iter()
                .any(|action| matches!(action, Action::CreateSet { .. }));
            let notes = first.actions.iter().any(|action| match action {
                Action::PatchSet { patch, .. } => {
                    patch.pointer("/metadata/annotations").is_some_and(|annotations| {
                        annotations.get(crate::revision::DESIRED_REPLICAS).is_some()
                    })
                }
                _ => false,
            });
            if !creates && !notes {
                prop_assert_eq!(plan(&world.scene().observed()).actions, Vec::new());
            }
            // A scaling, then the end of the old ReplicaSets, then the new one of a Recreate.
            for _ in 0..3 {
                world.sync_deployment(None);
            }
            prop_assert_eq!(plan(&world.scene().observed()).actions, Vec::new());
            let left = status(&world.scene().observed(), &Outcome::default());
            prop_assert_eq!(left.filter(|write| !write.may_wait), None);
        }
    }
}

/// A template that never gets ready is rolled back once, and only once.
#[test]
fn a_broken_template_is_rolled_back_once() {
    let mut world = World::new(OWN, 3, "1%", "0%");
    world.deployment.spec.rollback = Some(RollbackPolicy {
        on_progress_deadline: true,
    });
    world.settle();
    let good = world.deployment.spec.template.clone();
    let broken = template("broken");
    world.edit(|spec| spec.template = broken.clone());
    let let_time_pass = |world: &mut World| {
        for _ in 0..30 {
            world.sync_deployment(None);
            world.sync_sets();
            world.now += SignedDuration::from_secs(61);
        }
    };
    let_time_pass(&mut world);
    assert!(world.deployment.spec.template == good, "not rolled back");
    let rolled_back = |world: &World| {
        let known = crate::condition::find(&world.deployment.status.conditions, "RolledBack");
        known.map(|known| (known.status.clone(), known.message.clone()))
    };
    let (status, message) = rolled_back(&world).unwrap();
    assert_eq!(status, "True");
    assert!(
        message.starts_with("returned from revision 2 "),
        "{message}"
    );
    world.settle();
    world.assert_complete();
    assert_eq!(
        world.deployment.metadata.annotations[crate::revision::REVISION],
        "3"
    );
    // Somebody insists: the same template fails again and is left alone.
    world.edit(|spec| spec.template = broken.clone());
    let_time_pass(&mut world);
    assert!(
        world.deployment.spec.template == broken,
        "rolled back again"
    );
    assert_eq!(rolled_back(&world).unwrap().0, "False");
    // A template that works makes all of it history.
    world.edit(|spec| spec.template = template("fixed"));
    world.settle();
    world.assert_complete();
    assert_eq!(rolled_back(&world), None);
    assert!(
        !world
            .deployment
            .metadata
            .annotations
            .contains_key(crate::revision::ROLLBACK)
    );
}
