use super::*;

use std::collections::BTreeMap;

use shared::seal::{Identity, PublicIdentity};

fn identities() -> BTreeMap<PartyId, Identity> {
    let made = |id| (PartyId(id), Identity::generate(&mut UnwrapErr(SysRng)));
    [1, 2, 3, 4].map(made).into()
}

fn directory(identities: &BTreeMap<PartyId, Identity>) -> Directory {
    let keys = identities.iter().map(|(id, own)| (*id, own.public()));
    let keys: BTreeMap<PartyId, PublicIdentity> = keys.collect();
    let names = keys.keys().filter(|id| **id != PartyId::ARBITER);
    Directory {
        names: names.map(|id| (*id, format!("医院 {id}"))).collect(),
        keys,
    }
}

fn detail() -> Detail {
    Detail {
        name: "午餐".to_owned(),
        computation: "matrix addition".to_owned(),
        parties: ["a@x.cn", "b@x.cn", "c@x.cn"].map(str::to_owned).into(),
        round: 2,
        status: JobStatus::AwaitingInput,
        workers: [4, 2, 3].map(PartyId).into(),
        filled: vec![true, false, false],
        reveal: None,
    }
}

const JOB: PanelId = PanelId([7; 32]);

#[test]
fn what_is_sealed_opens_for_its_worker_in_its_job_round_and_place_alone() {
    let identities = identities();
    let spec = detail().spec(JOB).unwrap();
    let pinned = readers(&spec.workers, &directory(&identities)).unwrap();
    let bundle = split(&spec, 1, "[[18, 34, 18.2]]\n", &pinned).unwrap();
    let domain = spec.operation.domain();
    let open = |worker: usize, reader: u64, context: &[u8]| {
        let secret = identities[&PartyId(reader)].sealing();
        sharing::open(secret, worker, domain, context, &bundle).is_ok()
    };
    let context = spec.input_context(1);
    for (worker, reader) in [(0, 4), (1, 2), (2, 3)] {
        assert!(open(worker, reader, &context));
        assert!(!open(worker, 1, &context), "another reader");
        assert!(!open(worker, reader, &spec.input_context(0)), "other place");
    }
    let mut later = detail();
    later.round = 3;
    let later = later.spec(JOB).unwrap();
    assert!(!open(0, 4, &later.input_context(1)), "another round");
}

#[test]
fn workers_that_are_not_three_pinned_parties_get_nothing() {
    let directory = directory(&identities());
    for (workers, rule) in [
        ([2, 3, 2], "not three different parties"),
        ([2, 3, 1], "worker 1 is no party of the pinned directory"),
        ([2, 3, 9], "worker 9 is no party of the pinned directory"),
    ] {
        let error = readers(&workers.map(PartyId), &directory).err().unwrap();
        assert!(error.to_string().contains(rule), "{error}");
    }
    let mut two = detail();
    two.workers.pop();
    assert!(two.spec(JOB).is_err());
}

#[test]
fn a_job_that_takes_no_input_of_the_caller_is_told_apart() {
    assert_eq!(detail().position("c@x.cn").unwrap(), 2);
    let stranger = detail().position("d@x.cn").unwrap_err().to_string();
    assert_eq!(stranger, "d@x.cn takes no part in the job");
    let mut running = detail();
    running.status = JobStatus::Running;
    let late = running.position("a@x.cn").unwrap_err().to_string();
    assert!(late.starts_with("the job is running"), "{late}");
    let mut learns = detail();
    learns.computation = "svm".to_owned();
    let learns = learns.spec(JOB).unwrap_err().to_string();
    assert!(learns.contains("takes no input"), "{learns}");
}

#[test]
fn what_is_wrong_with_an_input_is_told_without_it() {
    let identities = identities();
    let spec = detail().spec(JOB).unwrap();
    let pinned = readers(&spec.workers, &directory(&identities)).unwrap();
    for input in ["[[1], [2345678, 3]]", "2345678x", "", "2345678e30", "[]"] {
        let error = split(&spec, 0, input, &pinned).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.starts_with("the input is refused: row "), "{said}");
        assert!(!said.contains("2345678"), "{said}");
    }
    let long = read(&*vec![b' '; TEXT_BYTES_MAX + 1]).unwrap_err();
    assert!(long.to_string().contains("too long"), "{long}");
}

#[test]
fn what_was_done_and_what_is_next_is_said() {
    let identities = identities();
    let detail = detail();
    let directory = directory(&identities);
    let spec = detail.spec(JOB).unwrap();
    let pinned = readers(&spec.workers, &directory).unwrap();
    let bundle = split(&spec, 1, "[[1.5, 2]]", &pinned).unwrap();
    let said = detail.said(JOB, 1, &bundle, &directory, "http://h:1");
    assert!(said.starts_with(
        "Filled in: 1 x 2 as P1 of matrix addition \"午餐\", round 2, with\n  P0 a@x.cn\n"
    ));
    for part in [
        "  party 4 医院 4\n",
        "Missing: c@x.cn.",
        "curl -s http://h:1/",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("1.5"), "{said}");
}
