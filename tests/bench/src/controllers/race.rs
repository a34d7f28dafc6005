//! The order of the runs: probes, pairs and what is repeated.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::api::Target;
use super::cluster::Cluster;
use super::objects::{Family, deployment, owned_pod};
use super::population::Population;
use super::scenarios::{self, Scenario};
use super::sizes::Sizes;
use super::subject::{Running, Subject};
use crate::proc;
use crate::results::{Probe, Run};
use crate::screen::Screen;

/// A pair counts only if the raw client's speed before and after it differs by no more than this part.
const STEADY: f64 = 0.15;
/// Pairs that are repeated at most, in one scenario.
const REPEATS: usize = 2;
/// Pairs of the subjects that ride along, where a scenario is not about them.
const RIDE_ALONG: usize = 2;
/// Namespace of the objects that show that a subject works.
const CANARY: &str = "canary";

/// What the scenarios share.
pub struct Race {
    /// The API server.
    pub cluster: Cluster,
    /// How large everything is.
    pub sizes: Sizes,
    /// Our program.
    pub manager: PathBuf,
    /// Where logs of the subjects go.
    pub logs: PathBuf,
    /// Where progress is shown.
    pub screen: Screen,
    /// Pairs per scenario.
    pub pairs: usize,
    /// No pair begins after this.
    pub deadline: Instant,
    /// Whether a pair is repeated where the machine changed its speed.
    pub repeats: bool,
    save: Save,
    number: AtomicU32,
    gathered: Mutex<Gathered>,
}

/// What a race is run with.
pub struct Settings {
    /// How large everything is.
    pub sizes: Sizes,
    /// Our program.
    pub manager: PathBuf,
    /// Where logs of the subjects go.
    pub logs: PathBuf,
    /// Pairs per scenario.
    pub pairs: usize,
    /// No pair begins later than this.
    pub minutes: f64,
    /// Whether a pair is repeated where the machine changed its speed.
    pub repeats: bool,
    /// Called after each pair, so that little is lost if the machine is.
    pub save: Save,
}

/// Keeps what there is by now.
pub type Save = Box<dyn Fn(&Gathered) + Send + Sync>;

/// What a race has brought so far.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Every run.
    pub runs: Vec<Run>,
    /// Every probe.
    pub probes: Vec<Probe>,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Race {
    /// A race on a running cluster.
    pub fn new(cluster: Cluster, settings: Settings, screen: Screen) -> Self {
        Self {
            cluster,
            sizes: settings.sizes,
            manager: settings.manager,
            logs: settings.logs,
            screen,
            pairs: settings.pairs,
            deadline: Instant::now() + Duration::from_secs_f64(settings.minutes * 60.0),
            repeats: settings.repeats,
            save: settings.save,
            number: AtomicU32::new(0),
            gathered: Mutex::default(),
        }
    }

    /// What there is by now.
    pub fn gathered(&self) -> Gathered {
        self.gathered.lock().clone()
    }

    /// A namespace that nobody has used.
    pub async fn namespace(&self) -> Result<String> {
        let name = format!("race-{}", self.next());
        self.cluster.namespace(&name).await?;
        Ok(name)
    }

    fn next(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a subject and returns when it has made a pod for a Deployment and is quiet: all its controllers work.
    pub async fn start(&self, subject: Subject) -> Result<Running> {
        self.cluster.clear(CANARY).await?;
        let mut running = self.spawn(subject, false)?;
        self.sees_canary(&mut running).await?;
        Ok(running)
    }

    /// Returns when `running` has made a canary's pod and is quiet.
    pub async fn sees_canary(&self, running: &mut Running) -> Result<()> {
        let family = running.subject.family();
        let name = format!("canary-{}", self.next());
        let deployments = Target::new(family, CANARY, "deployments");
        self.cluster
            .api
            .create(&deployments, &deployment(family, &name, 1))
            .await?;
        let pods = Target::new(Family::BuiltIn, CANARY, "pods");
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.cluster.api.count(&pods).await? == 0 {
            running.check()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} made no pod within a minute after its start",
                running.subject.title()
            );
            // Before anything is measured, and the subject has to be looked at too: it may have ended.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running.quiet().await
    }

    /// Starts a subject and waits for nothing.
    pub fn spawn(&self, subject: Subject, elected: bool) -> Result<Running> {
        Running::start(
            &self.cluster,
            subject,
            elected.then_some(self.sizes.election),
            &self.manager,
            &self.logs,
            &format!(
                "{:03}-{}",
                self.next(),
                subject.title().replace([',', ' '], "-")
            ),
        )
    }

    /// Warms the API server up and makes what every run needs.
    pub async fn warm_up(&self) -> Result<()> {
        self.screen.doing("warming the API server up");
        self.cluster.namespace(CANARY).await?;
        self.raw(self.sizes.warm_up).await?;
        self.raw(self.sizes.warm_up).await?;
        Ok(())
    }

    /// The raw client: the creates that a ReplicaSet controller would send, under the same kind of account, 64 in flight,
    /// and nothing else.
    async fn raw(&self, count: u32) -> Result<Probe> {
        let namespace = self.namespace().await?;
        let pods = Target::new(Family::BuiltIn, &namespace, "pods");
        let before = proc::cpu_seconds(self.cluster.apiserver()?)?;
        let began = Instant::now();
        // Of a ReplicaSet that there is not; nobody who would mind runs now.
        let owner = "00000000-0000-4000-8000-000000000000";
        let objects = (0..count).map(|number| {
            let pod = owned_pod(Family::BuiltIn, "raw", owner, number);
            (pods.clone(), pod)
        });
        self.cluster.raw.create_all(objects).await?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu = proc::cpu_seconds(self.cluster.apiserver()?)? - before;
        self.cluster.api.delete_all(&pods).await?;
        Ok(Probe {
            pods: u64::from(count),
            pods_per_s: f64::from(count) / seconds,
            apiserver_cpu_s: cpu * 1000.0 / f64::from(count),
        })
    }

    /// Measures the machine by what the raw client can do. A larger set costs the API server more for each pod, so that
    /// P1 is compared with one of its own size.
    async fn probe(&self, scenario: Scenario) -> Result<f64> {
        self.screen.doing("probing the machine with the raw client");
        let pods = match scenario {
            Scenario::OneSet => self.sizes.one_set,
            _ => self.sizes.probe,
        };
        let probe = self.raw(pods).await?;
        self.gathered.lock().probes.push(probe);
        Ok(probe.pods_per_s)
    }

    fn failed(&self, what: &str, error: &anyhow::Error) {
        let text = format!("{what}: {error:#}");
        self.screen.note(&format!("FAIL {text}"));
        self.gathered.lock().failures.push(text);
    }

    fn save(&self) {
        (self.save)(&self.gathered());
    }

    fn out_of_time(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// Runs the scenarios one after the other.
    pub async fn run(&self, wanted: &[Scenario]) {
        let total: usize = wanted.iter().map(|scenario| self.size_of(*scenario)).sum();
        self.screen.total(total as u64);
        for scenario in wanted {
            let outcome = match scenario {
                Scenario::Cached => self.with_population().await,
                _ => self.pairs(*scenario, None).await,
            };
            if let Err(error) = outcome {
                self.failed(scenario.name(), &error);
            }
            self.save();
        }
    }

    /// How many runs a scenario has.
    fn size_of(&self, scenario: Scenario) -> usize {
        let pairs = self.pairs;
        let along = pairs.min(RIDE_ALONG);
        match scenario {
            Scenario::Start | Scenario::Update => 3 * pairs,
            Scenario::OneSet => 3 * pairs + 1,
            Scenario::Many => 2 * pairs + along,
            Scenario::Cached => 2 * pairs + along + 3,
            Scenario::FailOver => 2 * pairs + 1,
            Scenario::Growth => 3 * self.sizes.growth.len(),
        }
    }

    /// Who runs in the pair with this number.
    fn subjects(scenario: Scenario, pair: usize) -> Vec<Subject> {
        let mut subjects = vec![Subject::Native, Subject::Upstream];
        let with_crd = match scenario {
            Scenario::OneSet | Scenario::Update | Scenario::Start | Scenario::Growth => true,
            Scenario::Many => pair < RIDE_ALONG,
            Scenario::FailOver => pair == 0,
            // These need pods of their own.
            Scenario::Cached => false,
        };
        if with_crd {
            subjects.insert(1, Subject::Crd);
        }
        // A B B A: who is first changes from pair to pair.
        if pair % 2 == 1 {
            subjects.reverse();
        }
        subjects
    }

    /// All pairs of one scenario.
    async fn pairs(&self, scenario: Scenario, population: Option<&Population>) -> Result<()> {
        if scenario == Scenario::Growth {
            return self.growth().await;
        }
        let mut before = self.probe(scenario).await?;
        let mut repeats = if self.repeats { REPEATS } else { 0 };
        let mut pair = 0;
        while pair < self.pairs {
            if self.out_of_time() {
                self.failed(
                    scenario.name(),
                    &anyhow::anyhow!("out of time after {pair} of {} pairs", self.pairs),
                );
                return Ok(());
            }
            let mut runs = Vec::new();
            for subject in Self::subjects(scenario, pair) {
                runs.extend(self.once(scenario, subject, population, pair).await);
            }
            let after = self.probe(scenario).await?;
            let steady = (after / before - 1.0).abs() <= STEADY;
            let raw = f64::midpoint(before, after);
            before = after;
            let kept = steady || repeats == 0 || self.out_of_time();
            if !kept {
                repeats -= 1;
                self.screen.note(&format!(
                    "{} pair {}: the machine changed its speed; once more",
                    scenario.name(),
                    pair + 1
                ));
                self.screen.more(runs.len() as u64);
            }
            for run in &mut runs {
                run.kept = kept;
                run.figures.insert("raw_pods_per_s".to_owned(), raw);
                run.figures
                    .insert("steady".to_owned(), f64::from(u8::from(steady)));
                if let Some(speed) = run.figures.get("pods_per_s").copied() {
                    run.figures.insert("of_raw".to_owned(), speed / raw);
                }
            }
            self.gathered.lock().runs.append(&mut runs);
            self.save();
            if kept {
                pair += 1;
            }
        }
        if scenario == Scenario::OneSet {
            let mut runs = self.once(scenario, Subject::UpstreamDefault, None, 0).await;
            self.gathered.lock().runs.append(&mut runs);
        }
        Ok(())
    }

    /// One subject, once. What goes wrong is noted and gives no run.
    async fn once(
        &self,
        scenario: Scenario,
        subject: Subject,
        population: Option<&Population>,
        pair: usize,
    ) -> Vec<Run> {
        let what = format!(
            "{}, pair {}, {}",
            scenario.name(),
            pair + 1,
            subject.title()
        );
        self.screen.doing(&what);
        let outcome = scenarios::run(self, scenario, subject, population).await;
        match outcome {
            Ok(mut run) => {
                run.pair = pair;
                self.screen.done(&what, &run);
                vec![run]
            }
            Err(error) => {
                self.failed(&what, &error);
                self.screen.step();
                Vec::new()
            }
        }
    }

    /// P8 to P10, on pods that are made once for each family.
    async fn with_population(&self) -> Result<()> {
        for family in [Family::BuiltIn, Family::Ours] {
            let subjects: &[Subject] = match family {
                Family::BuiltIn => &[Subject::Native, Subject::Upstream],
                Family::Ours => &[Subject::Crd],
            };
            let population = Population::make(self, family)
                .await
                .context("making the pods that fill the caches")?;
            for subject in subjects.iter().rev() {
                population.settle(self, *subject).await?;
            }
            if family == Family::BuiltIn {
                self.pairs(Scenario::Cached, Some(&population)).await?;
            } else {
                for pair in 0..self.pairs.min(RIDE_ALONG) {
                    let runs = self
                        .once(Scenario::Cached, Subject::Crd, Some(&population), pair)
                        .await;
                    self.gathered.lock().runs.extend(runs);
                }
            }
            self.save();
            for subject in subjects {
                let what = format!("P10, {}", subject.title());
                self.screen.doing(&what);
                match scenarios::cached::churn(self, *subject, &population).await {
                    Ok(runs) => {
                        if let Some(last) = runs.last() {
                            self.screen.done(&what, last);
                        }
                        self.gathered.lock().runs.extend(runs);
                    }
                    Err(error) => self.failed(&what, &error),
                }
            }
            self.screen
                .doing("deleting the pods that filled the caches");
            self.cluster.clear(&population.namespace).await?;
            self.save();
        }
        Ok(())
    }

    /// P11: each size once, the small ones first.
    async fn growth(&self) -> Result<()> {
        for (number, pods) in self.sizes.growth.iter().enumerate() {
            for subject in Self::subjects(Scenario::Growth, number) {
                if subject == Subject::Crd && *pods > self.sizes.growth_crd {
                    self.screen.step();
                    continue;
                }
                let what = format!("P11, {pods} pods, {}", subject.title());
                if self.out_of_time() {
                    self.failed(&what, &anyhow::anyhow!("out of time"));
                    continue;
                }
                self.screen.doing(&what);
                match scenarios::one_set::run(self, subject, "P11", *pods).await {
                    Ok(mut run) => {
                        run.pair = number;
                        self.screen.done(&what, &run);
                        self.gathered.lock().runs.push(run);
                    }
                    Err(error) => self.failed(&what, &error),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_first_changes_from_pair_to_pair() {
        let first = Race::subjects(Scenario::OneSet, 0);
        let mut second = Race::subjects(Scenario::OneSet, 1);
        assert_eq!(first, [Subject::Native, Subject::Crd, Subject::Upstream]);
        second.reverse();
        assert_eq!(first, second);
        let late = Race::subjects(Scenario::Many, RIDE_ALONG);
        assert!(!late.contains(&Subject::Crd));
    }
}
