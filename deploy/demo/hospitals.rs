//! Three hospitals made of one public table.
//!
//! The rows are the Breast Cancer Wisconsin (Diagnostic) data set: W. Wolberg, O. Mangasarian,
//! N. Street, W. Street (1993), UCI Machine Learning Repository, doi:10.24432/C5DW2B, licensed
//! CC BY 4.0. 569 tumours, 30 measurements of cell nuclei each; `diagnosis` is 1 for malignant.
//! `unique_id` numbers the rows; the numbers are the original's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use csv::StringRecord;
use serde::Serialize;
use serde_json::{Value, json};
use shared::draw::Draw;
use shared::table::{Label, Rows, Table};

const TABLE: &str = include_str!("../wdbc.csv");
/// Where the rows are from, as the demo says it.
pub(super) const ATTRIBUTION: &str =
    "Breast Cancer Wisconsin (Diagnostic), Wolberg et al. 1995, UCI, CC BY 4.0";

/// Column that names a row.
pub(super) const UNIQUE_ID: &str = "unique_id";
/// Column that carries the class.
pub(super) const LABEL: &str = "diagnosis";
/// What every hospital calls its table.
pub(super) const RELATION: &str = "data.breast_cancer";
/// Where a kept federation listens.
const LISTEN: &str = "127.0.0.1:5000";

/// Id, rows and name of each; ids and names are those of the API documents.
const HOSPITALS: [(u64, usize, &str); 3] = [
    (2, 234, "苏州市立医院 (suzhou-szslyy)"),
    (3, 189, "浙大儿院 (zhejiang-zdey)"),
    (4, 146, "西北妇幼保健院 (shanxi-xbfy)"),
];

/// The rows, dealt.
pub(super) struct Hospitals {
    header: StringRecord,
    /// Ascending by id.
    pub(super) all: Vec<Hospital>,
}

/// One hospital with its rows.
pub(super) struct Hospital {
    pub(super) id: u64,
    pub(super) name: &'static str,
    records: Vec<StringRecord>,
}

#[derive(Serialize)]
struct File<'a> {
    listen: &'a str,
    data_dir: &'a str,
    callers: &'a str,
    party: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: u64,
    name: &'a str,
    source: String,
    policy: Value,
}

impl Hospitals {
    /// Deals the embedded rows, the same way every time.
    ///
    /// # Errors
    /// When the embedded table is not what it should be.
    pub(super) fn deal() -> anyhow::Result<Hospitals> {
        let mut reader = csv::Reader::from_reader(TABLE.as_bytes());
        let header = reader.headers()?.clone();
        let mut records = reader.into_records().collect::<Result<Vec<_>, _>>()?;
        let rows: usize = HOSPITALS.iter().map(|(_, rows, _)| rows).sum();
        ensure!(
            records.len() == rows,
            "the embedded table has {} rows, not {rows}",
            records.len()
        );
        shuffle(&mut records);
        let mut rest = records.into_iter();
        let all = HOSPITALS.map(|(id, rows, name)| Hospital {
            id,
            name,
            records: rest.by_ref().take(rows).collect(),
        });
        Ok(Hospitals {
            header,
            all: all.into(),
        })
    }

    /// The measurements: every column but the row's name and its class.
    pub(super) fn attributes(&self) -> Vec<String> {
        let measured = |name: &&str| ![UNIQUE_ID, LABEL].contains(name);
        let names = self.header.iter().filter(measured);
        names.map(str::to_owned).collect()
    }

    /// What each hospital allows: the other two, this table, and scores in the clear.
    fn policy(&self) -> Value {
        let all = HOSPITALS.map(|(id, ..)| id);
        json!({
            "partners": { "guests": all, "with": all },
            "relation": [{
                "name": RELATION,
                "unique_id": UNIQUE_ID,
                "columns": self.attributes(),
                "labels": [LABEL],
                "filters": [LABEL],
                "purposes": ["train", "infer"],
            }],
            "infer": { "release": "clear" },
        })
    }

    /// Writes each hospital's folder and the federation file; returns the file's path.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let (schema, table) = RELATION.split_once('.').context("a schema and a table")?;
        let mut party = Vec::new();
        for Hospital { id, name, records } in &self.all {
            let hospital = format!("hospital-{id}");
            let schema = folder.join(&hospital).join(schema);
            fs::create_dir_all(&schema)?;
            let mut writer = csv::Writer::from_path(schema.join(format!("{table}.csv")))?;
            writer.write_record(&self.header)?;
            for record in records {
                writer.write_record(record)?;
            }
            writer.flush()?;
            party.push(Entry {
                id: *id,
                name,
                source: format!("csv:{hospital}"),
                policy: self.policy(),
            });
        }
        let file = File {
            listen: LISTEN,
            data_dir: "platform",
            // It listens on this machine alone.
            callers: "open",
            party,
        };
        let path = folder.join("federation.toml");
        fs::write(&path, toml::to_string(&file)?)?;
        Ok(path)
    }

    /// The rows of these hospitals as one table, read from what is embedded: no file, source,
    /// message or party has a hand in it.
    ///
    /// # Errors
    /// When the embedded table is not what it should be.
    pub(super) fn table(&self, ids: &[u64], label: &Label) -> anyhow::Result<Table> {
        let column = |name| self.header.iter().position(|column| column == name);
        let unique_id = column(UNIQUE_ID).context("the embedded table has no ids")?;
        let class = column(LABEL).context("the embedded table has no classes")?;
        let mut rows = Rows::new(self.attributes().len());
        let wanted = self.all.iter().filter(|each| ids.contains(&each.id));
        for record in wanted.flat_map(|hospital| &hospital.records) {
            let own = record.iter().enumerate();
            let own = own.filter(|(index, _)| *index != unique_id && *index != class);
            let values: Vec<f64> = own
                .map(|(_, field)| field.parse())
                .collect::<Result<_, _>>()?;
            let positive = label.is(&record[class]);
            rows.push(
                Some(&record[unique_id]),
                Some(positive),
                values.into_iter().map(Ok),
            )?;
        }
        let (table, _) = Table::for_training(rows)?;
        Ok(table)
    }
}

impl Hospital {
    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.records.len()
    }
}

/// Fisher and Yates, from a stream that is the same on every machine.
fn shuffle<T>(items: &mut [T]) {
    let mut draw = Draw::new(b"concord demo", "hospitals");
    for last in (1..items.len()).rev() {
        let other = (draw.uniform() * (last + 1) as f64) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::federation::Federation;

    fn ids(hospital: &Hospital) -> Vec<&str> {
        hospital.records.iter().map(|record| &record[0]).collect()
    }

    #[test]
    fn every_row_goes_to_one_hospital() {
        let hospitals = Hospitals::deal().unwrap();
        let rows: Vec<usize> = hospitals.all.iter().map(Hospital::rows).collect();
        assert_eq!(rows, [234, 189, 146]);
        let all: Vec<&str> = hospitals.all.iter().flat_map(ids).collect();
        let distinct: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!((all.len(), distinct.len()), (569, 569));
        assert_eq!(hospitals.attributes().len(), 30);
    }

    #[test]
    fn every_run_deals_the_same_rows_and_not_in_the_order_of_the_table() {
        let (first, second) = (Hospitals::deal().unwrap(), Hospitals::deal().unwrap());
        for (first, second) in first.all.iter().zip(&second.all) {
            assert_eq!(first.records, second.records);
        }
        assert_eq!(ids(&first.all[0])[..4], ["157", "387", "284", "152"]);
    }

    #[test]
    fn the_federation_file_names_sources_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = Hospitals::deal().unwrap().write(folder.path()).unwrap();
        let federation = Federation::read(&path, &|_| None).unwrap();
        let names: Vec<&str> = federation
            .parties
            .values()
            .map(|party| party.name.as_str())
            .collect();
        assert_eq!(names, HOSPITALS.map(|(_, _, name)| name));
        assert!(federation.data_dir.starts_with(folder.path()));
    }

    #[test]
    fn the_pooled_table_has_every_row_with_its_class() {
        let label = Label {
            column: LABEL.to_owned(),
            value: "1".to_owned(),
        };
        let hospitals = Hospitals::deal().unwrap();
        let table = hospitals.table(&[2, 3, 4], &label).unwrap();
        assert_eq!(table.ids.len(), 569);
        assert_eq!(
            table.positive.iter().filter(|positive| **positive).count(),
            212
        );
        assert_eq!(table.values[[0, 0]], 17.99);
        assert_eq!(hospitals.table(&[4], &label).unwrap().ids.len(), 146);
    }
}
