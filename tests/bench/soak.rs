//! A long time of ordinary change, and what of it stays behind: memory, files, connections, or anything that is not in force.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    figures::{Report, Samples},
    installation::{self, PATIENCE, Size, person, share_name, team},
    settings,
    support::{
        product::Setup,
        random::Random,
        rest::{Service, ServiceSetup},
        vitals::Vitals,
        world::{View, World},
    },
};

const USERS: usize = 2_000;
const MINUTES: usize = 20;
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// At the end, of what it was after a quarter of the time.
const MEMORY: f64 = 1.1;
/// What may be open or run beyond that at any moment, because somebody is being answered just then.
const MORE_AT_TIMES: f64 = 5.0;
/// From the last change until nothing is left to do.
const CALM_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at all objects.
const LOOK: Duration = Duration::from_millis(500);
/// So many samples make up for the chance of a moment.
const TOGETHER: usize = 3;
const MEBIBYTE: f64 = (1 << 20) as f64;
/// How many people use the service, and how many folders each of them shares through it.
const PEOPLE: usize = 10;
const FOLDERS: usize = 20;

/// What people do, and how long they wait between one time and the next.
#[derive(Clone, Copy, Debug)]
enum Action {
    Share,
    Move,
    Disable,
    Rotate,
    Rest,
}

impl Action {
    const ALL: [(Self, Duration); 5] = [
        (Self::Share, Duration::from_millis(500)),
        (Self::Move, Duration::from_secs(3)),
        (Self::Disable, Duration::from_secs(5)),
        (Self::Rotate, Duration::from_secs(5)),
        (Self::Rest, Duration::from_secs(1)),
    ];
}

pub async fn measure(report: &mut Report) {
    let size = Size::of_users(settings::users(USERS));
    let time = settings::minutes(MINUTES);
    // In an hour people take back more than a tenth of a small installation.
    let world = installation::in_force(&size, Setup::default().with(&["--large-change-limit", "0"])).await;
    let people =
        (0..PEOPLE.min(size.users)).fold(ServiceSetup::default(), |setup, number| setup.person(&person(number), false));
    let service = Service::start(&world, people).await;
    let soak = Soak { world, service, size, tally: Mutex::default() };

    let started = Instant::now();
    let mut random = Random::from_environment("soak");
    let minds = Action::ALL.map(|(action, pace)| (action, pace, Random::new(random.below(usize::MAX) as u64)));
    let acting = join_all(minds.map(|(action, pace, mind)| soak.act(action, pace, mind, started + time)));
    let (course, _) = tokio::join!(soak.watch(started + time), acting);
    let last_change = Instant::now();
    soak.enable_all().await;
    soak.is_calm().await;
    report.within("soak: from the last change to calm", &Samples::of(vec![last_change.elapsed()]), CALM_WITHIN);
    soak.conclude(report, &course).await;
}

struct Soak {
    world: World,
    service: Arc<Service>,
    size: Size,
    tally: Mutex<Tally>,
}

/// What was done.
#[derive(Default)]
struct Tally {
    actions: BTreeMap<String, u64>,
    /// Calls of the service that were not answered as they should, and how.
    refusals: Vec<String>,
}

/// What was in use, of the controller and the service, sample by sample.
#[derive(Default)]
struct Course {
    controller: Vec<Vitals>,
    service: Vec<Vitals>,
    queue: Vec<f64>,
}

impl Soak {
    /// What the processes use, until the end and at it.
    async fn watch(&self, end: Instant) -> Course {
        let mut course = Course::default();
        while Instant::now() < end {
            sleep(SAMPLE_EVERY.min(end.saturating_duration_since(Instant::now()))).await;
            self.sample(&mut course);
        }
        course
    }

    fn sample(&self, course: &mut Course) {
        course.controller.push(self.world.product().vitals());
        course.service.push(self.service.vitals());
        course.queue.push(self.queue());
    }

    fn queue(&self) -> f64 {
        self.world.product().metrics().sum("minio_manager_queue_depth", &[])
    }

    /// Does one thing again and again until the end.
    async fn act(&self, action: Action, pace: Duration, mut random: Random, end: Instant) {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number = 0;
        while Instant::now() < end {
            ticks.tick().await;
            let what = match action {
                Action::Share => self.change_share(&mut random).await,
                Action::Move => self.move_member(&mut random).await,
                Action::Disable => self.disable(&mut random).await,
                Action::Rotate => self.rotate(&mut random, number).await,
                Action::Rest => self.use_service(&mut random).await,
            };
            number += 1;
            *self.tally.lock().await.actions.entry(what.to_owned()).or_default() += 1;
        }
    }

    /// One share comes, changes, or goes.
    async fn change_share(&self, random: &mut Random) -> &'static str {
        let number = random.below(self.size.shares);
        if random.percent(25) {
            self.world.try_delete("PathShare", &share_name(number)).await.unwrap();
            return "a share deleted";
        }
        let access = random.pick(&["Read", "ReadWrite"]);
        // One that was deleted a moment ago may not be gone yet.
        match self.world.try_apply(&self.size.share(number, access)).await {
            Ok(()) => "a share made or changed",
            Err(_) => "a share on its way out",
        }
    }

    /// One member leaves a group, another one joins.
    async fn move_member(&self, random: &mut Random) -> &'static str {
        let (number, away) = (random.below(self.size.groups), random.below(self.size.users));
        let members: BTreeSet<String> =
            (0..self.size.members).map(|member| person((away + member) % self.size.users)).collect();
        self.world.patch("MinioGroup", &team(number), json!({"spec": {"members": members}})).await;
        "members moved"
    }

    /// Whoever is disabled is enabled by the next one who comes by, and all others at the end.
    async fn disable(&self, random: &mut Random) -> &'static str {
        let name = person(self.somebody_else(random));
        let was = self.world.view("MinioUser", &name).await.0["spec"]["enabled"] == false;
        self.world.patch("MinioUser", &name, json!({"spec": {"enabled": was}})).await;
        if was { "a user enabled" } else { "a user disabled" }
    }

    /// Nobody who uses the service: disabled, they would be refused.
    fn somebody_else(&self, random: &mut Random) -> usize {
        let people = PEOPLE.min(self.size.users - 1);
        people + random.below(self.size.users - people)
    }

    async fn rotate(&self, random: &mut Random, number: usize) -> &'static str {
        let name = person(random.below(self.size.users));
        self.world.annotate("MinioUser", &name, "rotate", Some(&format!("soak-{number}"))).await;
        "a rotation"
    }

    /// Somebody shares a folder, takes it back, or asks for the key.
    async fn use_service(&self, random: &mut Random) -> &'static str {
        let owner = self.service.person(&person(random.below(PEOPLE.min(self.size.users))));
        let path = format!("s3a://lake/homes/{}/soak{}/", owner.name, random.below(FOLDERS));
        let with = person(self.somebody_else(random));
        let (what, answer) = match random.below(3) {
            0 => {
                let body = json!({"path": path, "with_users": [with], "permission": "read"});
                ("shared through REST", owner.post_json("/sharing/share", body).await)
            }
            1 => {
                let body = json!({"path": path, "from_users": [with]});
                ("unshared through REST", owner.post_json("/sharing/unshare", body).await)
            }
            _ => ("a key asked for through REST", owner.get("/credentials/").await),
        };
        if answer.status != 200 {
            self.tally.lock().await.refusals.push(format!("{what}: {} {}", answer.status, answer.text));
        }
        what
    }

    /// So that at the end everybody has what the objects say.
    async fn enable_all(&self) {
        for view in self.world.objects("MinioUser").await {
            if view.0["spec"]["enabled"] == false {
                let name = view.0["metadata"]["name"].as_str().expect("an object has a name");
                self.world.patch("MinioUser", name, json!({"spec": {"enabled": true}})).await;
            }
        }
    }

    /// Waits until nothing waits, and every object says that what it says now is in force.
    async fn is_calm(&self) {
        let started = Instant::now();
        loop {
            let behind = self.behind().await;
            if behind.is_empty() && self.queue() == 0.0 {
                return;
            }
            let some: Vec<&String> = behind.iter().take(10).collect();
            assert!(started.elapsed() < PATIENCE, "not in force: {some:?}\n{}", self.world.product().log_tail());
            sleep(LOOK).await;
        }
    }

    /// The objects that are on their way out, or whose present generation is not in force.
    async fn behind(&self) -> Vec<String> {
        let is_behind = |view: &View| {
            let metadata = &view.0["metadata"];
            !metadata["deletionTimestamp"].is_null()
                || view.status("/observedGeneration") != &metadata["generation"]
                || !view.says("Ready", "True")
        };
        let mut behind = Vec::new();
        for kind in ["MinioUser", "MinioGroup", "PathShare"] {
            let views = self.world.objects(kind).await;
            behind
                .extend(views.iter().filter(|view| is_behind(view)).map(|view| view.0["metadata"]["name"].to_string()));
        }
        behind
    }

    async fn conclude(&self, report: &mut Report, course: &Course) {
        let tally = self.tally.lock().await;
        report.tell("soak: changes", tally.actions.values().sum::<u64>() as f64, "in all", json!(tally.actions));
        let refused: Vec<&String> = tally.refusals.iter().take(10).collect();
        report.count("soak: calls of the service that failed", tally.refusals.len() as u64, 0, json!(refused));
        report_use(report, "controller", &course.controller);
        report_use(report, "REST service", &course.service);
        let deepest = course.queue.iter().copied().fold(0.0, f64::max);
        report.tell("soak: deepest queue", deepest, "subjects", json!({"samples": course.queue}));
        report.count("soak: subjects that wait at the end", self.queue() as u64, 0, json!({}));
        let (code, stdout, stderr) = tokio::task::block_in_place(|| self.world.product().plan());
        let details = if code == 0 { json!({}) } else { json!({"exitCode": code, "said": stdout + &stderr}) };
        report.count("soak: comparison that finds something to do", u64::from(code != 0), 0, details);
    }
}

/// What a process uses at last, beside what it used after a quarter of the time.
fn report_use(report: &mut Report, process: &str, course: &[Vitals]) {
    let mebibytes: Vec<f64> = course.iter().map(|vitals| vitals.resident_bytes as f64 / MEBIBYTE).collect();
    let (before, end) = quarter_and_end(&mebibytes);
    let name = format!("soak: memory of the {process}");
    report.at_most(&name, end, before * MEMORY, "MiB", details(before, &mebibytes));
    type Count = fn(&Vitals) -> u64;
    let counts: [(&str, Count); 3] = [
        ("open files", |vitals| vitals.descriptors),
        ("connections", |vitals| vitals.connections),
        ("threads", |vitals| vitals.threads),
    ];
    for (what, count) in counts {
        let numbers: Vec<f64> = course.iter().map(|vitals| count(vitals) as f64).collect();
        let (before, _) = quarter_and_end(&numbers);
        // Some more are open whenever much happens at once. Those that leak are never fewer again.
        let fewest = numbers[numbers.len() * 3 / 4..].iter().copied().fold(f64::INFINITY, f64::min);
        let name = format!("soak: {what} of the {process}");
        report.at_most(
            &name,
            fewest,
            before + MORE_AT_TIMES,
            "at the fewest, in the last quarter",
            details(before, &numbers),
        );
    }
}

fn details(after_a_quarter: f64, samples: &[f64]) -> Value {
    json!({"afterAQuarter": after_a_quarter, "samples": samples})
}

/// The middle of some samples after a quarter of the time, and of the last ones.
fn quarter_and_end(samples: &[f64]) -> (f64, f64) {
    let together = TOGETHER.min(samples.len());
    let quarter = (samples.len() / 4).min(samples.len() - together);
    (middle(&samples[quarter..quarter + together]), middle(&samples[samples.len() - together..]))
}

fn middle(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
