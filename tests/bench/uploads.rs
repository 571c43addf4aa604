//! Memory of the API while files of the greatest length pass through it, in and out: the most that
//! was resident (`VmHWM`) beside what was resident before.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use shared::limits::FILE_BYTES_MAX;

use super::federation::hospitals;
use super::figures::{load, rounded};
use crate::support::people::{self, People, line};
use crate::support::{Deployment, Role};

/// Who uploads at once: each account one file at a time.
const AT_ONCE: [usize; 2] = [0, 2];
const COLUMNS: usize = 16;

/// A line of `/proc/PID/status`, in MiB.
fn resident(process: u32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes
        .and_then(|number| number.parse().ok())
        .expect("Linux tells it");
    kilobytes / 1024.0
}

/// Has Linux forget what was the most until now.
fn forget_most(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("ours");
}

/// As many rows of numbers as a file may hold.
fn rows() -> String {
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let mut text = String::with_capacity(FILE_BYTES_MAX);
    text += &format!("{}\n", names.join(","));
    for at in 0_u64.. {
        let cell = |column: u64| format!("{:.6}", (at * 31 + column * 17) as f64 % 997.0 / 7.0);
        let row: Vec<String> = (0..COLUMNS as u64).map(cell).collect();
        let row = row.join(",");
        if text.len() + row.len() + 1 > FILE_BYTES_MAX {
            break;
        }
        text += &format!("{row}\n");
    }
    text
}

fn upload(people: &People, who: usize, name: &str, file: &Path) -> String {
    let line = line("Creating a machine learning clustering job")
        .replace("birch clustering job test", name)
        .replace("feature dataset path", file.to_str().expect("UTF-8"));
    let made = people.curl(who, &line).done();
    made["jobID"].as_str().expect("text").to_owned()
}

pub(crate) async fn measure() -> Value {
    println!("\nUploads: files of {FILE_BYTES_MAX} bytes, one and two at once; a download");
    let mut deployment = Deployment::start(&hospitals()).await;
    people::let_in(&mut deployment).await;
    let people = People::of_deployment(&deployment).await;
    let text = rows();
    let file = people.file("rows.csv", &text);
    let api = deployment.running().find(|(role, _)| *role == Role::Api);
    let (_, api) = api.expect("it runs");
    // Nobody is to learn from them.
    for party in [2, 3, 4] {
        deployment.signal(Role::Party(party), "STOP");
    }
    let idle = resident(api, "VmRSS:");
    let mut figures = Vec::new();
    let mut jobs = Vec::new();
    let mut note = |what: &str, began: Instant| {
        let (most, seconds) = (resident(api, "VmHWM:"), began.elapsed().as_secs_f64());
        println!("{what:20} at most {most:6.1} MiB, {seconds:5.1} s");
        figures.push(json!({
            "what": what, "most_mib": rounded(most), "seconds": rounded(seconds),
        }));
    };
    println!("{:20}         {idle:6.1} MiB", "idle");
    for (what, count) in [("one upload", 1), ("two uploads at once", AT_ONCE.len())] {
        forget_most(api);
        let began = Instant::now();
        std::thread::scope(|scope| {
            let send = |at: usize| {
                let (people, file) = (&people, &file);
                let who = AT_ONCE[at];
                scope.spawn(move || (who, upload(people, who, &format!("{what} {at}"), file)))
            };
            let sending: Vec<_> = (0..count).map(send).collect();
            let made = sending.into_iter().map(|one| one.join().expect("made"));
            jobs.extend(made);
        });
        note(what, began);
    }
    forget_most(api);
    let began = Instant::now();
    let path = "/sdk/computation/panel/downloadDataset?datasetType=feature";
    let same = people.get(0, &format!("{path}&jobID={}", jobs[0].1)).text == text;
    assert!(same, "the file comes back as it was");
    note("one download", began);
    for (who, job) in &jobs {
        people
            .post(*who, "deleteJobByUser", &json!({ "jobID": job }))
            .done();
    }
    json!({
        "bytes": text.len(), "idle_mib": rounded(idle), "figures": figures,
        "load_average": load(),
    })
}
