//! A federation on disk: hospitals, their CSV files, the federation file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use concord::export;
use concord::federation::Federation;
use ndarray::concatenate;
use shared::id::{ModelId, OrderId, PartyId};
use shared::job::{Spec, TrainSpec};
use shared::local::logistic_regression::fit;
use shared::model::Model;
use shared::source::Source;
use shared::store::Store;
use shared::table::{Needed, Table};
use tempfile::TempDir;

/// One hospital.
pub(crate) struct Hospital {
    id: u64,
    name: String,
    files: Vec<(String, String)>,
    permissive: bool,
}

impl Hospital {
    pub(crate) fn new(id: u64, name: &str) -> Hospital {
        Hospital {
            id,
            name: name.to_owned(),
            files: Vec::new(),
            permissive: false,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Its relations: paths of files and their CSV.
    pub(crate) fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// Gives it a relation: `data.patients` is `file("data/patients.csv", ..)`.
    pub(crate) fn file(mut self, path: &str, text: impl Into<String>) -> Hospital {
        self.files.push((path.to_owned(), text.into()));
        self
    }

    /// Lets it train without protection, and with one other party alone.
    pub(crate) fn permissive(mut self) -> Hospital {
        self.permissive = true;
        self
    }
}

/// What each hospital allows: every hospital, every file of any of them, as much as any may.
fn policies(hospitals: &[Hospital]) -> BTreeMap<u64, String> {
    let all: Vec<u64> = hospitals.iter().map(Hospital::id).collect();
    let mut relations: BTreeMap<String, &str> = BTreeMap::new();
    for (path, rows) in hospitals.iter().flat_map(Hospital::files) {
        let name = path.trim_end_matches(".csv").replace('/', ".");
        let first = rows.split([',', '\n']).next().expect("a header");
        relations.insert(name, first);
    }
    let policy = |hospital: &Hospital| {
        let (two_party, none) = match hospital.permissive {
            true => (true, ", \"None\""),
            false => (false, ""),
        };
        let mut text = format!(
            "[party.policy]\ncompute = \"any\"\n\n[party.policy.partners]\nguests = {all:?}\nwith = {all:?}\ntwo_party = {two_party}\n\
             modes = [\"Paillier\", \"SecAgg\"{none}]\nkey_bits_min = 2048\n\n\
             [party.policy.train]\nnfilter_subset = 5\nnfilter_tab = 1\nnfilter_glm = 100.0\n\
             batch_rows_min = 5\nndiff = 1\nrounds_max = 1000000\n\n\
             [party.policy.infer]\nrelease = \"clear\"\n"
        );
        for (name, unique_id) in &relations {
            text += &format!(
                "\n[[party.policy.relation]]\nname = {name:?}\nunique_id = {unique_id:?}\n\
                 columns = [\"*\"]\nlabels = [\"*\"]\nfilters = [\"*\"]\n\
                 purposes = [\"train\", \"infer\"]\n"
            );
        }
        (hospital.id, text)
    };
    hospitals.iter().map(policy).collect()
}

/// A federation in a folder of its own, which goes when this goes.
pub(crate) struct Site {
    folder: TempDir,
    /// What each hospital allows, as it stands in a federation file.
    pub(crate) policies: BTreeMap<u64, String>,
}

impl Site {
    pub(crate) fn new(hospitals: &[Hospital]) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let mut text =
            String::from("listen = \"127.0.0.1:0\"\ndata_dir = \"state\"\ncallers = \"open\"\n");
        let policies = policies(hospitals);
        for hospital in hospitals {
            let Hospital { id, name, .. } = hospital;
            let home = format!("hospital-{id}");
            text += &format!("\n[[party]]\nid = {id}\nname = {name:?}\n");
            text += &format!("source = \"csv:{home}\"\n\n{}", policies[id]);
            fs::create_dir(folder.path().join(&home)).expect("written");
            for (path, rows) in &hospital.files {
                let path = folder.path().join(&home).join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("written");
                fs::write(path, rows).expect("written");
            }
        }
        let site = Site { folder, policies };
        fs::write(site.config(), text).expect("written");
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The federation file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("federation.toml")
    }

    /// Where jobs and keys are kept.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state().join("concord.sqlite")
    }

    pub(crate) fn federation(&self) -> Federation {
        Federation::read(&self.config(), &|_| None).expect("a federation")
    }

    /// A model as a party opens it.
    pub(crate) async fn export(&self, party: u64, model: i64) -> Model {
        let opened = export::model(&self.federation(), PartyId(party), ModelId(model)).await;
        opened.expect("the party has the model")
    }

    /// What a training was told to do, as every party got it.
    pub(crate) async fn spec(&self, order: i64) -> TrainSpec {
        let store = Store::open(&self.database()).await.expect("a store");
        let job = store.job_by_order(OrderId(order)).await.expect("readable");
        match job.expect("there").spec {
            Spec::Train(spec) => spec,
            Spec::Infer(_) | Spec::Compute(_) | Spec::Learn(_) => {
                panic!("job {order} is no training")
            }
        }
    }

    /// The rows that each party of a training brings to it.
    pub(crate) async fn tables(&self, spec: &TrainSpec) -> BTreeMap<u64, Table> {
        let needed = Needed {
            unique_id: spec.unique_id.clone(),
            attributes: spec.attributes.clone(),
            label: Some(spec.label.column.clone()),
        };
        let mut tables = BTreeMap::new();
        for (party, cohort) in &spec.cohorts {
            let source = format!("csv:hospital-{party}");
            let source = Source::parse(&source, self.path(), &|_| None).expect("there");
            let read = source.training_table(cohort, &needed, &spec.label).await;
            tables.insert(party.0, read.expect("readable").0);
        }
        tables
    }

    /// What training on the rows of all parties in one table gives; `each_round` sees the weights
    /// after every update.
    pub(crate) async fn pooled(&self, order: i64, each_round: impl FnMut(&[f64])) -> Model {
        let spec = self.spec(order).await;
        self.pooled_by(&spec, each_round).await
    }

    pub(crate) async fn pooled_by(
        &self,
        spec: &TrainSpec,
        each_round: impl FnMut(&[f64]),
    ) -> Model {
        let tables = self.tables(spec).await;
        let views: Vec<_> = tables.values().map(|table| table.values.view()).collect();
        let pooled = Table {
            ids: tables.values().flat_map(|table| table.ids.iter()).collect(),
            values: concatenate(ndarray::Axis(0), &views).expect("equally wide"),
            positive: tables
                .values()
                .flat_map(|table| table.positive.clone())
                .collect(),
        };
        fit(spec, &pooled, each_round).expect("in range")
    }
}
