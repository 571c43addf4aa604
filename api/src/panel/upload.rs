//! createJobByFile: files are sealed piece by piece as they arrive; no piece is ever written, and no
//! file ever in memory, in the clear.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde_json::json;
use shared::computation::{FileKind, Learner};
use shared::id::{Attempt, PanelId, PartyId};
use shared::job::{JobStatus, LearnSpec, Spec};
use shared::limits::{
    FILE_BYTES_MAX, FILES_BYTES_PER_ACCOUNT_MAX, JOB_DEADLINE_SECONDS, NAME_BYTES_MAX, PIECE_BYTES,
};
use shared::message::queue;
use shared::seal::{ContentKey, SealPublic, seal_input};
use shared::store::{Created, Keys, NewPanel, Run, Store, UploadId};
use zeroize::Zeroizing;

use super::form::{Form, Part, Source};
use super::table_shape::{Measured, TableShape};
use super::{BY_FILE, Echo, UPLOADED, new_id, own_worker, request};
use crate::State;
use crate::answer::Error;
use crate::callers::Account;
use crate::idempotency::Idempotency;
use crate::jobs;

/// Files on their way in; what no job has taken over when this goes is forgotten.
struct Upload {
    store: Store,
    /// `None` until the first piece, and again when a job has it.
    id: Option<UploadId>,
    panel: PanelId,
    key: ContentKey,
    files: BTreeMap<FileKind, (u64, Measured)>,
}

/// A form that was read to its end.
struct Asked {
    learner: Learner,
    name: String,
}

/// Makes a job of the panel that learns from the files of a form. A refused form is read on to its
/// end, when that is not far.
///
/// # Errors
/// Of the form nothing is read: [`Error::Conflict`] when the account has no party whose worker could
/// learn, or has too many files; [`Error::Busy`] while there are other uploads. Otherwise what is
/// wrong with the form; nothing of it is left then.
pub(crate) async fn learn(
    state: &State,
    account: &Account,
    headers: &HeaderMap,
    body: Body,
) -> Result<Run, Error> {
    let worker = own_worker(state, account).await?;
    let _turn = state.callers.of_accounts()?.uploads.take(&account.email)?;
    if state.store.file_bytes_of(&account.email).await? >= FILES_BYTES_PER_ACCOUNT_MAX {
        return Err(jobs::no_room());
    }
    let mut source = Source::new(headers, body)?;
    let mut upload = Upload {
        store: state.store.clone(),
        id: None,
        panel: new_id(),
        key: ContentKey::generate(&mut UnwrapErr(SysRng)),
        files: BTreeMap::new(),
    };
    let asked = match Form::new(headers, &mut source) {
        Ok(form) => upload.take(form).await,
        Err(error) => Err(error),
    };
    let made = match (asked, source.discard().await) {
        (Ok(asked), Ok(())) => upload.create(state, account, worker, headers, asked).await,
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
    };
    if let Some(id) = upload.id.take() {
        upload.store.drop_upload(id).await?;
    }
    made
}

/// When the client goes, or its time is over, whoever waited for the upload goes too. What is not
/// reached here the sweep forgets.
impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let store = self.store.clone();
        runtime.spawn(async move {
            if let Err(error) = store.drop_upload(id).await {
                tracing::warn!(%error, "an upload is left to the sweep");
            }
        });
    }
}

impl Upload {
    async fn take(&mut self, mut form: Form<'_>) -> Result<Asked, Error> {
        let (mut learner, mut name) = (None, None);
        while let Some(part) = form.next().await? {
            let kind = match part.name.as_str() {
                "computation" => {
                    learner = Some(request::learner(&part.text().await?)?);
                    continue;
                }
                "jobName" => {
                    name = Some(job_name(part.text().await?)?);
                    continue;
                }
                "featureData" => FileKind::Feature,
                "targetData" => FileKind::Target,
                "testingData" => FileKind::Testing,
                other => {
                    let other = crate::fields::shortened(other);
                    return Err(Error::Invalid(format!(
                        "`{other}` is unknown: the fields here are `computation`, `jobName`, \
                         `featureData`, `targetData`, `testingData`"
                    )));
                }
            };
            may_have(learner, kind)?;
            self.file(kind, part).await?;
        }
        let missing = |name| Error::Invalid(format!("`{name}` is missing: it is required"));
        let learner: Learner = learner.ok_or_else(|| missing("computation"))?;
        let name = name.ok_or_else(|| missing("jobName"))?;
        self.check(learner)?;
        Ok(Asked { learner, name })
    }

    /// Seals a file in pieces.
    async fn file(&mut self, kind: FileKind, mut part: Part<'_>) -> Result<(), Error> {
        let mut shape = TableShape::new();
        let mut piece = Zeroizing::new(Vec::with_capacity(PIECE_BYTES));
        let (mut bytes, mut pieces) = (0, 0);
        while let Some(chunk) = part.chunk().await? {
            bytes += chunk.len();
            if bytes > FILE_BYTES_MAX {
                return Err(Error::Long(format!(
                    "`{}` is too long: at most {FILE_BYTES_MAX} bytes are taken",
                    field(kind)
                )));
            }
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let (fits, more) = rest.split_at(rest.len().min(PIECE_BYTES - piece.len()));
                piece.extend_from_slice(fits);
                rest = more;
                if piece.len() == PIECE_BYTES {
                    self.put(kind, pieces, &mut shape, &piece).await?;
                    pieces += 1;
                    piece.clear();
                }
            }
        }
        if !piece.is_empty() {
            self.put(kind, pieces, &mut shape, &piece).await?;
        }
        let measured = shape.end().map_err(|error| unfit(kind, error))?;
        self.files.insert(kind, (bytes as u64, measured));
        Ok(())
    }

    async fn put(
        &mut self,
        kind: FileKind,
        number: u32,
        shape: &mut TableShape,
        piece: &[u8],
    ) -> Result<(), Error> {
        shape.read(piece).map_err(|error| unfit(kind, error))?;
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(self.store.begin_upload().await?),
        };
        // How many there will be nobody knows yet: the key is bound to the lengths.
        let context = LearnSpec::piece_context(self.panel, UPLOADED, kind, number, 0);
        let sealed = self.key.seal_piece(&mut UnwrapErr(SysRng), &context, piece);
        Ok(self.store.put_piece(id, kind, number, sealed).await?)
    }

    /// Whether the files are those that the learner needs, and fit each other.
    fn check(&self, learner: Learner) -> Result<(), Error> {
        let invalid = |sentence: String| Err(Error::Invalid(sentence));
        let needed = match learner.classifies() {
            true => &[FileKind::Feature, FileKind::Target][..],
            false => &[FileKind::Feature],
        };
        if let Some(kind) = needed.iter().find(|kind| !self.files.contains_key(kind)) {
            let (field, learner) = (field(*kind), learner.name());
            return invalid(format!("`{field}` is missing: {learner} needs it"));
        }
        for kind in self.files.keys() {
            may_have(Some(learner), *kind)?;
        }
        let measured = |kind| self.files.get(&kind).map(|(_, measured)| *measured);
        let Some(feature) = measured(FileKind::Feature) else {
            return Ok(());
        };
        if let Some(Measured { rows, columns }) = measured(FileKind::Target) {
            if columns != 1 {
                return invalid(format!(
                    "`targetData` has {columns} columns: it must have one"
                ));
            }
            if rows != feature.rows {
                let wanted = feature.rows;
                return invalid(format!(
                    "`targetData` has {rows} rows below its header: it must have as many as \
                     `featureData`, which has {wanted}"
                ));
            }
        }
        match measured(FileKind::Testing) {
            Some(testing) if testing.columns != feature.columns => invalid(format!(
                "`testingData` has {} columns: it must have those of `featureData`, which has {}",
                testing.columns, feature.columns
            )),
            _ => Ok(()),
        }
    }

    async fn create(
        &mut self,
        state: &State,
        account: &Account,
        worker: PartyId,
        headers: &HeaderMap,
        asked: Asked,
    ) -> Result<Run, Error> {
        let files: BTreeMap<FileKind, u64> = self
            .files
            .iter()
            .map(|(kind, (bytes, _))| (*kind, *bytes))
            .collect();
        let request = json!({
            "computation": asked.learner,
            "files": files,
            "jobName": asked.name,
        });
        let name = Idempotency::of_headers(headers, BY_FILE, Some(&account.email), &request)?;
        let (field, key) = name.map(|name| (name.field, name.key)).unzip();
        let parties = vec![account.email.clone()];
        let echo = Echo {
            id: self.panel,
            name: asked.name.clone(),
            parties: parties.clone(),
        };
        let spec = LearnSpec {
            panel: self.panel,
            round: 1,
            learner: asked.learner,
            worker,
            party: account.party,
            files,
        };
        let upload = match self.id {
            Some(id) => Some((id, self.keys(state, &spec)?)),
            None => None,
        };
        let new = NewPanel {
            id: self.panel,
            name: asked.name.clone(),
            creator: account.email.clone(),
            parties,
            spec: Spec::Learn(spec),
            owner: worker,
            echo: echo.text(),
            key,
            fill: None,
            client_sealed: false,
            upload,
            files_bytes_max: FILES_BYTES_PER_ACCOUNT_MAX,
        };
        let deadline = Duration::from_secs(JOB_DEADLINE_SECONDS.unsigned_abs());
        let created = self.store.create_panel(new, deadline).await;
        let run = match created.map_err(|error| jobs::refused(error, field))? {
            Created::Run(run) => run,
            Created::NameTaken => return Err(request::name_taken(&asked.name)),
        };
        if run.panel == self.panel {
            // It is the job's now.
            self.id = None;
        }
        if run.status == JobStatus::Pending {
            jobs::hint(state, &queue::compute(worker), run.job, Attempt(1)).await;
        }
        Ok(run)
    }

    /// The files' key, for the worker and for the API itself. It opens for the job alone whose files
    /// have come, as long as they are.
    fn keys(&self, state: &State, spec: &LearnSpec) -> Result<Keys, Error> {
        let (context, worker) = (spec.key_context(), spec.worker);
        let mut secrets = UnwrapErr(SysRng);
        let public = state.directory.get(&worker).ok_or(Error::Internal)?;
        let reader = SealPublic(public.sealing);
        let sealed = seal_input(&mut secrets, &reader, &context, &*self.key.to_bytes());
        let sealed = sealed.map_err(|error| {
            tracing::error!(%error, %worker, "nothing can be sealed to a worker's key");
            Error::Internal
        })?;
        let secrets_of_tokens = &state.callers.of_accounts()?.secrets;
        Ok(Keys {
            worker: sealed,
            api: secrets_of_tokens.wrap(&mut secrets, &context, &self.key),
        })
    }
}

/// The field of the form that has a file.
fn field(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Feature => "featureData",
        FileKind::Target => "targetData",
        FileKind::Testing => "testingData",
        FileKind::Result | FileKind::Model => "a file that is made",
    }
}

fn unfit(kind: FileKind, error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("`{}` {error}", field(kind)))
}

/// Refuses a file that the learner, as far as it is known, takes no notice of.
fn may_have(learner: Option<Learner>, kind: FileKind) -> Result<(), Error> {
    match learner {
        Some(learner) if !learner.classifies() && kind != FileKind::Feature => {
            let (field, learner) = (field(kind), learner.name());
            Err(Error::Invalid(format!(
                "`{field}` must be absent: {learner} takes `featureData` alone"
            )))
        }
        Some(_) | None => Ok(()),
    }
}

fn job_name(text: String) -> Result<String, Error> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    fits.then_some(text).ok_or_else(|| {
        Error::Invalid(format!(
            "`jobName` must have 1 to {NAME_BYTES_MAX} bytes without control characters"
        ))
    })
}
