//! The difference rule: two sums over almost the same rows would tell the few that differ.

use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use super::Error;
use crate::admission::{Cohort, Mark};
use crate::limits::COHORTS_REMEMBERED_MAX;

/// Bytes of a stored mark.
const MARK_BYTES: usize = 16;

/// How far two cohorts are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Distances {
    /// Over all rows, whatever their class.
    rows: usize,
    /// Of the rows of one class, by class of the newer and of the older cohort: a request may call
    /// positive what another calls negative.
    classes: [[usize; 2]; 2],
    /// Rows that are in both, by classes as above.
    common: [[usize; 2]; 2],
}

impl Distances {
    /// Counts ids that are in one cohort only, and, where contents are comparable, ids in both
    /// whose content differs. Both lists ascend by id.
    fn between(newer: &[Mark], older: &[Mark], comparable: bool) -> Distances {
        let mut found = Distances::default();
        let (mut newer, mut older) = (newer.iter().peekable(), older.iter().peekable());
        loop {
            let (new, old) = match (newer.peek(), older.peek()) {
                (None, None) => return found,
                (Some(new), Some(old)) => match new.id.cmp(&old.id) {
                    std::cmp::Ordering::Less => (newer.next(), None),
                    std::cmp::Ordering::Greater => (None, older.next()),
                    std::cmp::Ordering::Equal => (newer.next(), older.next()),
                },
                (Some(_), None) => (newer.next(), None),
                (None, Some(_)) => (None, older.next()),
            };
            found.count(new, old, comparable);
        }
    }

    fn count(&mut self, new: Option<&Mark>, old: Option<&Mark>, comparable: bool) {
        let edited = match (new, old) {
            (Some(new), Some(old)) => comparable && new.values() != old.values(),
            _ => true,
        };
        self.rows += usize::from(edited);
        for (class, row) in self.classes.iter_mut().enumerate() {
            for (other, distance) in row.iter_mut().enumerate() {
                let is_new = new.is_some_and(|mark| usize::from(mark.is_positive()) == class);
                let is_old = old.is_some_and(|mark| usize::from(mark.is_positive()) == other);
                self.common[class][other] += usize::from(is_new && is_old);
                *distance += usize::from(is_new != is_old || (is_new && edited));
            }
        }
    }

    fn is_refused(&self, ndiff: usize) -> bool {
        let near = |distance: usize| (1..ndiff).contains(&distance);
        let classes = [(0, 0), (1, 1)]
            .iter()
            .any(|(new, old)| near(self.classes[*new][*old]));
        // Two classes without a common row are no two versions of one set.
        let crossed = [(0, 1), (1, 0)]
            .iter()
            .any(|(new, old)| self.common[*new][*old] > 0 && near(self.classes[*new][*old]));
        near(self.rows) || classes || crossed
    }
}

/// Whether a cohort is too close to one that an admitted or awaiting job uses.
pub(super) fn is_too_close(
    ledger: &Transaction<'_>,
    cohort: &Cohort,
    ndiff: usize,
    now_ms: i64,
) -> Result<bool, Error> {
    let stored = encoded(&cohort.marks);
    let hash: [u8; 32] = Sha256::digest(&stored).into();
    let rows = cohort.marks.len();
    let positive = cohort
        .marks
        .iter()
        .filter(|mark| mark.is_positive())
        .count();
    let mut remembered = ledger.prepare_cached(
        "SELECT id, columns, hash, rows, positive FROM cohort
         WHERE id IN (SELECT cohort FROM cohort_relation WHERE relation = ?1)
             AND EXISTS (
                 SELECT 1 FROM job WHERE job.cohort = cohort.id
                     AND (standing IN ('auto', 'approved')
                         OR standing = 'pending' AND expires_ms > ?2)
             )
         ORDER BY used_ms DESC, id DESC LIMIT ?3",
    )?;
    let mut marks = ledger.prepare_cached("SELECT marks FROM cohort WHERE id = ?1")?;
    for relation in &cohort.relations {
        let mut found =
            remembered.query(params![relation, now_ms, COHORTS_REMEMBERED_MAX as i64])?;
        while let Some(row) = found.next()? {
            let (columns, older): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
            let comparable = columns == cohort.columns;
            if older == hash && comparable {
                continue;
            }
            let counts: (i64, i64) = (row.get(3)?, row.get(4)?);
            if are_apart(
                (rows, positive),
                (counts.0 as usize, counts.1 as usize),
                ndiff,
            ) {
                continue;
            }
            let id: i64 = row.get(0)?;
            let older: Vec<u8> = marks.query_row([id], |row| row.get(0))?;
            let older = decoded(&older);
            if Distances::between(&cohort.marks, &older, comparable).is_refused(ndiff) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether the counts of rows and of positive rows alone show that no distance is below `ndiff`.
fn are_apart(newer: (usize, usize), older: (usize, usize), ndiff: usize) -> bool {
    let sides = |(rows, positive): (usize, usize)| [rows - positive, positive];
    let far = |one: usize, other: usize| one.abs_diff(other) >= ndiff;
    let (new, old) = (sides(newer), sides(older));
    let classes = new.iter().all(|new| old.iter().all(|old| far(*new, *old)));
    far(newer.0, older.0) && classes
}

/// Remembers a cohort, equal ones once; gives its id. The oldest are forgotten.
pub(super) fn remember(
    ledger: &Transaction<'_>,
    cohort: &Cohort,
    now_ms: i64,
) -> Result<i64, Error> {
    let stored = encoded(&cohort.marks);
    let hash: [u8; 32] = Sha256::digest(&stored).into();
    let relations = cohort.relations.join("\n");
    let positive = cohort
        .marks
        .iter()
        .filter(|mark| mark.is_positive())
        .count();
    let known = ledger
        .prepare_cached(
            "UPDATE cohort SET used_ms = ?1 WHERE hash = ?2 AND relations = ?3 AND columns = ?4
             RETURNING id",
        )?
        .query_row(params![now_ms, hash, relations, cohort.columns], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    ledger.execute(
        "INSERT INTO cohort (columns, relations, hash, rows, positive, used_ms, marks)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            cohort.columns,
            relations,
            hash,
            cohort.marks.len() as i64,
            positive as i64,
            now_ms,
            stored
        ],
    )?;
    let id = ledger.last_insert_rowid();
    for relation in &cohort.relations {
        let sql = "INSERT OR IGNORE INTO cohort_relation (relation, cohort) VALUES (?1, ?2)";
        ledger.execute(sql, params![relation, id])?;
    }
    // First those that nothing was answered for: whoever asks for many must not make room for more.
    forget(
        ledger,
        "SELECT id FROM cohort WHERE id NOT IN (
             SELECT cohort FROM (
                 SELECT cohort, row_number() OVER (
                     PARTITION BY relation ORDER BY answered DESC, used_ms DESC, id DESC
                 ) AS place
                 FROM cohort_relation JOIN (
                     SELECT *, EXISTS (
                         SELECT 1 FROM job JOIN pledge USING (job) WHERE job.cohort = cohort.id
                     ) AS answered
                     FROM cohort
                 ) AS cohort ON cohort.id = cohort
             ) WHERE place <= ?1
         )",
        COHORTS_REMEMBERED_MAX as i64,
    )?;
    Ok(id)
}

/// Forgets a cohort that no job uses any more.
pub(super) fn release(ledger: &Transaction<'_>, cohort: i64) -> Result<(), Error> {
    let unused = "SELECT id FROM cohort WHERE id = ?1
        AND NOT EXISTS (SELECT 1 FROM job WHERE job.cohort = cohort.id)";
    forget(ledger, unused, cohort)
}

fn forget(ledger: &Transaction<'_>, which: &str, value: i64) -> Result<(), Error> {
    let relations = format!("DELETE FROM cohort_relation WHERE cohort IN ({which})");
    ledger.execute(&relations, [value])?;
    ledger.execute(
        &format!("DELETE FROM cohort WHERE id IN ({which})"),
        [value],
    )?;
    Ok(())
}

fn encoded(marks: &[Mark]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(marks.len() * MARK_BYTES);
    for mark in marks {
        bytes.extend_from_slice(&mark.id.to_le_bytes());
        bytes.extend_from_slice(&mark.content.to_le_bytes());
    }
    bytes
}

fn decoded(bytes: &[u8]) -> Vec<Mark> {
    let (marks, _) = bytes.as_chunks::<MARK_BYTES>();
    let word = |mark: &[u8; MARK_BYTES], at: usize| {
        u64::from_le_bytes(std::array::from_fn(|index| mark[at + index]))
    };
    let mark = |bytes| Mark {
        id: word(bytes, 0),
        content: word(bytes, 8),
    };
    marks.iter().map(mark).collect()
}
