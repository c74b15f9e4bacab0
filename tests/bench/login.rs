//! The first login: a user who does not exist asks for a key, alone and in a crowd.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::{
    figures::{Report, Samples},
    support::{
        product::Setup,
        rest::{Person, Service, ServiceSetup},
        s3::Try,
        world::World,
    },
};

const ALONE: usize = 30;
const WARM_UP: usize = 2;
const CROWD: usize = 100;
/// A first login takes no longer than this; clients of a crowd give up at ten times as much.
const LIMIT: Duration = Duration::from_secs(1);
const LIMIT_IN_A_CROWD: Duration = Duration::from_secs(8);

pub async fn measure(report: &mut Report) {
    let world = World::own(Setup::default()).await;
    let names = |kind: &str, number: usize| (0..number).map(|one| format!("{kind}{one}")).collect::<Vec<_>>();
    let (alone, crowd) = (names("alone", ALONE + WARM_UP), names("crowd", CROWD));
    let people = alone.iter().chain(&crowd).fold(ServiceSetup::default(), |setup, name| setup.person(name, false));
    let service = Service::start(&world, people.person("one", false)).await;
    let mut one_by_one = Samples::new();
    for (round, name) in alone.iter().enumerate() {
        let took = login(&world, &service.person(name)).await;
        if round >= WARM_UP {
            one_by_one.push(took);
        }
    }
    report.within("GET /credentials/, a new user", &one_by_one, LIMIT);
    let same = join_all((0..CROWD).map(async |_| login(&world, &service.person("one")).await)).await;
    report.within("the same, 100 callers of one new user", &Samples::of(same), LIMIT);
    let all = join_all(crowd.iter().map(async |name| login(&world, &service.person(name)).await)).await;
    report.within("the same, 100 new users at once", &Samples::of(all), LIMIT_IN_A_CROWD);
}

/// Until the answer, whose key works at the moment it arrives.
async fn login(world: &World, person: &Person) -> Duration {
    let started = Instant::now();
    let caller = person.at_s3(world).await;
    let took = started.elapsed();
    let file = format!("lake/homes/{}/file", person.name);
    assert!(caller.may(Try::Put, &file).await, "the key of {} works when it arrives", person.name);
    took
}
