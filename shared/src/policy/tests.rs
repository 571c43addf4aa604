use std::collections::BTreeMap;

use ndarray::Array2;

use super::*;
use crate::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use crate::id::{JobId, ModelId};
use crate::job::{Cohort, InferSpec, Protection, Reason, ReasonCode, TrainSpec};
use crate::party::Parties;
use crate::query::{Query, parse};
use crate::table::{Ids, Label, Needed, Table};

const ME: PartyId = PartyId(4);
const GUEST: PartyId = PartyId(3);
const BLOOD: &str = "select * from data.blood where age > 3";

/// A policy as in the example, for party 4.
fn policy() -> Policy {
    Policy {
        partners: Partners {
            guests: vec![GUEST],
            with: vec![PartyId(2), GUEST],
            ..Partners::default()
        },
        relation: vec![relation("data.blood")],
        ..Policy::default()
    }
}

fn relation(name: &str) -> Relation {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Relation {
        name: name.into(),
        unique_id: "id".into(),
        columns: list(&["C6", "C8"]),
        labels: list(&["diagnosis"]),
        filters: list(&["age"]),
        purposes: vec![Purpose::Train, Purpose::Infer],
    }
}

fn query(sql: &str) -> Query {
    parse(sql).unwrap()
}

fn spec() -> TrainSpec {
    let cohort = Cohort {
        pos: query(BLOOD),
        neg: query(BLOOD),
    };
    let all = [PartyId(2), GUEST, ME];
    TrainSpec {
        parties: Parties {
            guest: GUEST,
            hosts: vec![ME, PartyId(2)],
        },
        cohorts: all
            .iter()
            .map(|party| (*party, cohort.clone()))
            .collect::<BTreeMap<_, _>>(),
        unique_id: "id".into(),
        attributes: vec!["C6".into(), "C8".into()],
        label: Label {
            column: "diagnosis".into(),
            value: "38".into(),
        },
        hyperparameters: Hyperparameters {
            penalty: Penalty::None,
            optimizer: Optimizer::Sgd,
            convergence: Convergence::Diff,
            tolerance: 1e-5,
            iterations_max: 100,
            batch_rows: None,
            learning_rate: 0.1,
            decay: 1.0,
            decay_sqrt: true,
            start: Start::Zeros,
            intercept: true,
            random_seed: None,
            standardize: false,
            threshold: 0.5,
        },
        protection: Protection::Paillier { key_bits: 3072 },
    }
}

fn code(vetted: Result<(), Reason>) -> Option<ReasonCode> {
    vetted.err().map(|reason| {
        assert_eq!(reason.party, Some(ME));
        assert!(!reason.code.retryable());
        reason.code
    })
}

/// What comes of the request after a change to it.
fn asked(change: impl FnOnce(&mut TrainSpec)) -> Option<ReasonCode> {
    let mut spec = spec();
    change(&mut spec);
    code(policy().vet_training(ME, &spec))
}

fn reads(spec: &mut TrainSpec, sql: &str) {
    let cohort = Cohort {
        pos: query(sql),
        neg: query(sql),
    };
    spec.cohorts.insert(ME, cohort);
}

#[test]
fn nothing_is_allowed_where_no_policy_is_written() {
    let nothing = Policy::default();
    assert!(nothing.is_missing());
    assert_eq!(nothing.check(), Ok(()));
    assert_eq!(
        code(nothing.vet_training(ME, &spec())),
        Some(ReasonCode::PolicyMissing)
    );
    let without_relations = Policy {
        relation: Vec::new(),
        ..policy()
    };
    let missing = code(without_relations.vet_training(ME, &spec()));
    assert_eq!(missing, Some(ReasonCode::PolicyMissing));
    let inference = nothing.vet_inference(ME, &inference(BLOOD), &needed());
    assert_eq!(code(inference), Some(ReasonCode::PolicyMissing));
}

#[test]
fn what_the_policy_names_is_allowed() {
    assert_eq!(policy().check(), Ok(()));
    assert_eq!(asked(|_| ()), None);
    assert_eq!(asked(|spec| spec.protection = Protection::SecAgg), None);
    assert_eq!(
        asked(|spec| reads(spec, "select id, c6, C8, diagnosis from DATA.blood")),
        None
    );
}

#[test]
fn each_rule_has_its_code() {
    use ReasonCode::*;
    let two = |spec: &mut TrainSpec| spec.parties.hosts = vec![ME];
    assert_eq!(asked(two), Some(TwoPartyNotAllowed));
    let guest = |spec: &mut TrainSpec| {
        spec.parties = Parties {
            guest: PartyId(2),
            hosts: vec![GUEST, ME],
        };
    };
    assert_eq!(asked(guest), Some(GuestNotAllowed));
    let partner = |spec: &mut TrainSpec| spec.parties.hosts = vec![ME, PartyId(9)];
    assert_eq!(asked(partner), Some(PartnerNotAllowed));
    let open = |spec: &mut TrainSpec| spec.protection = Protection::None;
    assert_eq!(asked(open), Some(UnencryptedNotAllowed));
    let short = |spec: &mut TrainSpec| spec.protection = Protection::Paillier { key_bits: 2048 };
    assert_eq!(asked(short), Some(KeyTooShort));
    let long = |spec: &mut TrainSpec| spec.hyperparameters.iterations_max = 2_001;
    assert_eq!(asked(long), Some(ValueRange));
    assert_eq!(
        asked(|spec| spec.attributes.push("age".into())),
        Some(ColumnNotAllowed)
    );
    assert_eq!(
        asked(|spec| spec.unique_id = "C6".into()),
        Some(ColumnNotAllowed)
    );
    assert_eq!(
        asked(|spec| spec.label.column = "age".into()),
        Some(ColumnNotAllowed)
    );
    for (sql, refused) in [
        ("select * from data.canary", RelationNotAllowed),
        ("select * from blood", RelationNotAllowed),
        ("select * from other.blood", RelationNotAllowed),
        ("select * from data.blood where C6 > 1", ColumnNotAllowed),
        (
            "select * from data.blood where not (age > 1 or id = 7)",
            ColumnNotAllowed,
        ),
        (
            "select id, C6, C8, diagnosis, name from data.blood",
            ColumnNotAllowed,
        ),
    ] {
        assert_eq!(asked(|spec| reads(spec, sql)), Some(refused), "{sql}");
        let one_of_two = |spec: &mut TrainSpec| {
            spec.cohorts.get_mut(&ME).unwrap().neg = query(sql);
        };
        assert_eq!(asked(one_of_two), Some(refused), "{sql}");
        // What others read is theirs to allow.
        let elsewhere = |spec: &mut TrainSpec| {
            spec.cohorts.get_mut(&GUEST).unwrap().pos = query(sql);
        };
        assert_eq!(asked(elsewhere), None, "{sql}");
    }

    let secagg = Policy {
        partners: Partners {
            modes: vec![Mode::SecAgg],
            ..policy().partners
        },
        ..policy()
    };
    assert_eq!(code(secagg.vet_training(ME, &spec())), Some(ModeNotAllowed));
    let mut infer = policy();
    infer.relation[0].purposes = vec![Purpose::Infer];
    assert_eq!(
        code(infer.vet_training(ME, &spec())),
        Some(PurposeNotAllowed)
    );
}

#[test]
fn a_party_leads_without_being_named() {
    let own = TrainSpec {
        parties: Parties {
            guest: ME,
            hosts: vec![PartyId(2), GUEST],
        },
        ..spec()
    };
    assert_eq!(code(policy().vet_training(ME, &own)), None);
}

#[test]
fn a_star_is_every_column_and_no_unique_id() {
    let mut all = policy();
    all.relation[0].columns = vec![ALL.into()];
    let mut spec = spec();
    spec.attributes = vec!["anything".into()];
    assert_eq!(code(all.vet_training(ME, &spec)), None);
    spec.unique_id = "anything".into();
    assert_eq!(
        code(all.vet_training(ME, &spec)),
        Some(ReasonCode::ColumnNotAllowed)
    );
}

#[test]
fn what_is_read_is_what_the_policy_names_in_its_own_spelling() {
    let asked = query("select ID, c6 from Data.BLOOD where AGE > 3 and not (age is null)");
    let spelled = policy().spelled(&asked);
    let expected = query("select id, C6 from data.blood where age > 3 and not (age is null)");
    assert_eq!(spelled, expected);
    let needed = Needed {
        unique_id: "Id".into(),
        attributes: vec!["c8".into(), "C6".into()],
        label: Some("DIAGNOSIS".into()),
    };
    let spelled = policy().spelled_needed(&asked, &needed);
    assert_eq!(spelled.unique_id, "id");
    assert_eq!(spelled.attributes, ["C8", "C6"]);
    assert_eq!(spelled.label.as_deref(), Some("diagnosis"));
    let foreign = query("select * from elsewhere.Blood");
    assert_eq!(policy().spelled(&foreign), foreign);
    assert_eq!(policy().relations(ME, &spec()), ["data.blood"]);
}

#[test]
fn two_relations_that_spell_a_column_differently_do_not_make_one_table() {
    let mut two = policy();
    let mut other = relation("data.more");
    other.columns = vec!["c6".into(), "C8".into()];
    two.relation.push(other);
    let mut spec = spec();
    let neg = query("select * from data.more");
    spec.cohorts.get_mut(&ME).unwrap().neg = neg;
    let refused = code(two.vet_training(ME, &spec));
    assert_eq!(refused, Some(ReasonCode::ColumnNotAllowed));
    two.relation[1].columns = vec!["C6".into(), "C8".into()];
    assert_eq!(code(two.vet_training(ME, &spec)), None);
    assert_eq!(two.relations(ME, &spec), ["data.blood", "data.more"]);
}

fn table(positive: usize, negative: usize, columns: usize) -> Table {
    let rows = positive + negative;
    Table {
        ids: (0..rows).map(|row| row.to_string()).collect::<Ids>(),
        values: Array2::zeros((rows, columns)),
        positive: (0..rows).map(|row| row < positive).collect(),
    }
}

#[test]
fn a_cohort_keeps_every_threshold_and_is_refused_in_one_sentence() {
    let mut policy = policy();
    policy.train.rows_max = 1_000;
    for (positive, negative, columns) in [
        (25, 25, 3),
        (5, 45, 3),
        (50, 0, 3),
        (0, 50, 3),
        (30, 30, 18),
    ] {
        let vetted = policy.vet_cohort(ME, &table(positive, negative, columns));
        assert_eq!(vetted, Ok(()), "{positive} + {negative}, {columns} columns");
    }
    // 60 rows carry 19.8 parameters.
    for (positive, negative, columns) in [
        (25, 24, 3),
        (4, 60, 3),
        (60, 1, 3),
        (30, 30, 19),
        (600, 401, 3),
    ] {
        let vetted = policy.vet_cohort(ME, &table(positive, negative, columns));
        assert_eq!(vetted, Err(cohort_refused(ME)));
    }
}

fn inference(sql: &str) -> InferSpec {
    InferSpec {
        model: ModelId(1),
        trained_by: JobId(uuid::Uuid::from_u128(1)),
        party: ME,
        query: query(sql),
        result_key: None,
    }
}

fn needed() -> Needed {
    Needed {
        unique_id: "id".into(),
        attributes: vec!["C6".into()],
        label: None,
    }
}

#[test]
fn an_inference_has_rules_of_its_own() {
    let vet = |policy: &Policy, sql: &str, needed: &Needed| {
        code(policy.vet_inference(ME, &inference(sql), needed))
    };
    let mut policy = policy();
    assert_eq!(vet(&policy, BLOOD, &needed()), None);
    let canary = "select * from data.canary";
    assert_eq!(
        vet(&policy, canary, &needed()),
        Some(ReasonCode::RelationNotAllowed)
    );
    let by_id = "select * from data.blood where id = 7";
    assert_eq!(
        vet(&policy, by_id, &needed()),
        Some(ReasonCode::ColumnNotAllowed)
    );
    let foreign_id = Needed {
        unique_id: "C8".into(),
        ..needed()
    };
    assert_eq!(
        vet(&policy, BLOOD, &foreign_id),
        Some(ReasonCode::ColumnNotAllowed)
    );
    policy.relation[0].purposes = vec![Purpose::Train];
    assert_eq!(
        vet(&policy, BLOOD, &needed()),
        Some(ReasonCode::PurposeNotAllowed)
    );
}

/// What is said of a policy after a change.
fn wrong(change: impl FnOnce(&mut Policy)) -> String {
    let mut policy = policy();
    change(&mut policy);
    policy.check().unwrap_err().to_string()
}

#[test]
fn a_policy_below_the_floors_or_without_sense_is_refused() {
    let said = [
        wrong(|p| p.approval_hours = 0),
        wrong(|p| p.train.nfilter_subset = 4),
        wrong(|p| p.train.nfilter_tab = 0),
        wrong(|p| p.train.nfilter_glm = 0.0),
        wrong(|p| p.train.nfilter_glm = f64::NAN),
        wrong(|p| p.train.batch_rows_min = 4),
        wrong(|p| p.train.rows_max = limits::ROWS_MAX + 1),
        wrong(|p| p.train.ndiff = 0),
        wrong(|p| p.train.rounds_max = 0),
        wrong(|p| p.infer.rows_max = limits::SCORED_ROWS_MAX + 1),
        wrong(|p| p.partners.key_bits_min = 4097),
        wrong(|p| p.partners.guests.push(PartyId::ARBITER)),
        wrong(|p| p.partners.with.push(PartyId(limits::PARTY_ID_MAX + 1))),
        wrong(|p| p.partners.modes.clear()),
        wrong(|p| p.relation[0].purposes.clear()),
        wrong(|p| p.relation[0].unique_id = ALL.into()),
        wrong(|p| p.relation[0].filters.push(ALL.into())),
        wrong(|p| p.relation[0].labels.push(String::new())),
        wrong(|p| p.relation.push(relation("data.blood"))),
        wrong(|p| p.relation[0].name = "a.b.c".into()),
        wrong(|p| p.relation[0].name = "../blood".into()),
        wrong(|p| p.relation[0].name = String::new()),
    ];
    assert!(
        said.iter().all(|text| text.starts_with("policy.")),
        "{said:#?}"
    );
    let mut lowest = policy();
    lowest.train.nfilter_subset = limits::COHORT_ROWS_MIN;
    lowest.train.batch_rows_min = limits::BATCH_OWN_ROWS_MIN;
    assert_eq!(lowest.check(), Ok(()));
}

#[test]
fn what_a_file_leaves_out_has_the_default_and_what_it_misspells_is_refused() {
    let read = |json: &str| serde_json::from_str::<Policy>(json);
    assert_eq!(read("{}").unwrap(), Policy::default());
    let some =
        read(r#"{"approval": "manual", "train": {"ndiff": 20}, "infer": {"release": "clear"}}"#);
    let some = some.unwrap();
    assert_eq!((some.approval, some.train.ndiff), (Approval::Manual, 20));
    assert_eq!(
        (some.train.nfilter_subset, some.infer.release),
        (50, Release::Clear)
    );
    let key =
        read(r#"{"infer": {"result_keys": ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]}}"#);
    assert_eq!(key.unwrap().infer.result_keys, [SealPublic([1; 32])]);
    for text in [
        r#"{"aproval": "manual"}"#,
        r#"{"approval": "yes"}"#,
        r#"{"train": {"nfilter": 1}}"#,
        r#"{"partners": {"modes": ["none"]}}"#,
        r#"{"partners": {"guests": ["3"]}}"#,
        r#"{"relation": [{"name": "a", "unique_id": "id", "columns": ["*"]}]}"#,
        r#"{"infer": {"result_keys": ["AQEB"]}}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
