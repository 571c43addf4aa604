//! Bodies of the panel's requests, checked.

use serde_json::Value;
use shared::computation::{Learner, Operation, Reveal};
use shared::id::PanelId;
use shared::limits::EMAIL_BYTES_MAX;
use shared::store::{Email, InputProtection};

use super::{BY_FILE, BY_INPUT};
use crate::answer::Error;
use crate::fields::{Field, Fields, shortened};

/// Participants of a joint computation.
const PARTIES: usize = 3;
/// Pages that a list has at most, as far as a caller may ask.
const PAGES_MAX: u64 = 1_000_000;
/// The field that names a job.
pub(super) const JOB: &str = "jobID";

/// A joint computation to be made.
#[derive(Debug)]
pub(crate) struct Joint {
    pub(crate) operation: Operation,
    pub(crate) name: String,
    pub(crate) parties: [Email; PARTIES],
    /// Whether participants split their inputs themselves.
    pub(crate) client_sealed: bool,
}

/// Reads a body of createJobByInput, from which `input` was taken.
///
/// # Errors
/// `Error::Invalid` naming the first field that breaks a rule.
pub(crate) fn joint(body: &Value) -> Result<Joint, Error> {
    let mut fields = Fields::of(body)?;
    let operation = operation(&fields.required("computation")?)?;
    let name = fields.required("jobName")?.name()?.to_owned();
    let parties = parties(&fields.required("parties")?)?;
    let reveal = fields.optional("reveal");
    let protection = fields.optional("inputProtection");
    // It is known by its name, and is not here.
    fields.optional("input");
    fields.finish()?;
    let operation = match (operation, reveal) {
        (operation, None) => operation,
        (Operation::Comparison(_), Some(field)) => Operation::Comparison(
            field.word(&[("greater", Reveal::Greater), ("max", Reveal::Max)])?,
        ),
        (Operation::Addition | Operation::Multiplication, Some(field)) => {
            return Err(field.must("be absent: only a comparison can tell one thing or another"));
        }
    };
    let words = InputProtection::ALL.map(|word| (word.as_str(), word));
    let protection = protection.map(|field| field.word(&words)).transpose()?;
    Ok(Joint {
        operation,
        name,
        parties,
        client_sealed: protection == Some(InputProtection::ClientSealed),
    })
}

/// As [`joint`], of a body that came by the queue.
///
/// # Errors
/// As there; when the body has an input, or waits for one in the clear.
pub(crate) fn queued(body: &Value) -> Result<Joint, Error> {
    if body.get("input").is_some() {
        return Err(Error::Invalid(
            "`input` must be absent: what goes through the broker is no secret from it; fill it \
             in by HTTP, or sealed"
                .to_owned(),
        ));
    }
    let joint = joint(body)?;
    match joint.client_sealed {
        true => Ok(joint),
        false => Err(Error::Invalid(
            "`inputProtection` must be \"client-sealed\": the creator's input in the clear would \
             have to go through the broker"
                .to_owned(),
        )),
    }
}

fn operation(field: &Field<'_>) -> Result<Operation, Error> {
    let text = field.text()?;
    let names = [
        Operation::Addition,
        Operation::Multiplication,
        Operation::Comparison(Reveal::default()),
    ]
    .map(Operation::name);
    Operation::parse(text).ok_or_else(|| match Learner::parse(text) {
        Some(_) => field.must(format!(
            "be asked for by POST {BY_FILE}: it learns from files"
        )),
        None => field.must(format!("be one of {}, in any case", names.join(", "))),
    })
}

/// What is learned, by its name in a form.
///
/// # Errors
/// When it has no such name.
pub(super) fn learner(text: &str) -> Result<Learner, Error> {
    let refused = |rule: String| Err(Error::Invalid(format!("`computation` must {rule}")));
    match (Learner::parse(text), Operation::parse(text)) {
        (Some(learner), _) => Ok(learner),
        (None, Some(_)) => refused(format!(
            "be asked for by POST {BY_INPUT}: it computes over three participants' matrices"
        )),
        (None, None) => {
            let names = Learner::ALL.map(Learner::name).join(", ");
            refused(format!("be one of {names}, in any case"))
        }
    }
}

fn parties(field: &Field<'_>) -> Result<[Email; PARTIES], Error> {
    let mut parties: Vec<Email> = Vec::new();
    for item in field.items(PARTIES..=PARTIES)? {
        let email = Email::parse(item.text()?).ok_or_else(|| {
            item.must(format!(
                "be an e-mail address of at most {EMAIL_BYTES_MAX} bytes"
            ))
        })?;
        if parties.contains(&email) {
            return Err(item.must("be another account than the ones before, in any case"));
        }
        parties.push(email);
    }
    Ok(parties.try_into().expect("three, as the line above checks"))
}

/// A job's id, as a decimal string.
///
/// # Errors
/// When it is none.
pub(super) fn id(field: &Field<'_>) -> Result<PanelId, Error> {
    PanelId::parse(field.text()?).ok_or_else(|| {
        field.must("be a decimal of at most 256 bits, without sign or leading zeros")
    })
}

/// What is said to a creator that has a job of that name.
pub(crate) fn name_taken(name: &str) -> Error {
    let name = shortened(name);
    Error::Conflict(format!(
        "`jobName` is \"{name}\": it must be another than those of the jobs that you have made and \
         not deleted"
    ))
}

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// From 1.
    pub(crate) number: u64,
    /// Entries on it.
    pub(crate) size: usize,
}

/// Takes `pageNo` and `pageSize`, at most `most`.
///
/// # Errors
/// When one is absent or out of range.
pub(crate) fn page(fields: &mut Fields<'_>, most: usize) -> Result<Page, Error> {
    let number = fields.required("pageNo")?.id(PAGES_MAX)?;
    let size = fields.required("pageSize")?.id(most as u64)?;
    Ok(Page {
        number,
        size: usize::try_from(size).expect("at most `most`, which is a usize"),
    })
}
