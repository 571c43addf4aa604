//! More workers of a hospital, and more of every other process, share the jobs.

use std::collections::HashSet;

use crate::faults::{hospitals, paillier_training, training};
use crate::support::{Deployment, Role};

const JOBS: usize = 60;
const WORKERS_MAX: usize = 3;
const PARTIES: [u64; 3] = [2, 3, 4];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_shared_by_as_many_processes_as_there_are() {
    let mut deployment = Deployment::start(&hospitals(&PARTIES)).await;
    for workers in 1..=WORKERS_MAX {
        let before = led(&deployment);
        let clients = deployment.apis();
        assert_eq!(clients.len(), workers);
        let mut jobs = Vec::new();
        for number in 0..JOBS {
            let mut parties = PARTIES;
            parties.rotate_left(number % PARTIES.len());
            let request = match number % 10 {
                0 => paillier_training(&parties, 3),
                _ => training(&parties, 3),
            };
            jobs.push(clients[number % clients.len()].train(request).await);
        }
        for job in jobs {
            let report = deployment.finished(job.order).await;
            assert_eq!(report["attempts"], 1, "{report}");
        }
        let led = led(&deployment);
        let shares: Vec<usize> = led
            .iter()
            .zip(&before)
            .map(|(all, old)| all - old)
            .collect();
        assert_eq!(shares.iter().sum::<usize>(), JOBS, "{shares:?}");
        assert!(
            shares.iter().all(|share| *share > 0),
            "a worker had nothing: {shares:?}"
        );
        if workers < WORKERS_MAX {
            let platform = [Role::Api, Role::Status, Role::Arbiter];
            for role in platform.into_iter().chain(PARTIES.map(Role::Party)) {
                deployment.launch(role).await;
            }
        }
    }
}

/// How many jobs each worker led to their ends, by its log; a last word may be said twice.
fn led(deployment: &Deployment) -> Vec<usize> {
    let workers = PARTIES
        .iter()
        .flat_map(|party| deployment.of(Role::Party(*party)));
    let jobs = |worker| {
        let log = deployment.log(worker);
        let ends = log.split("Finished job.id=").skip(1);
        let jobs: HashSet<&str> = ends.filter_map(|end| end.split(' ').next()).collect();
        jobs.len()
    };
    workers.map(jobs).collect()
}
