//! Learning from files: one worker fetches them, learns, and hands in what it made, each piece
//! sealed under the key of the job's files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::repeat::Repeat;
use super::{Effect, Input, Seat, Standing, because, stopped};
use crate::computation::FileKind;
use crate::job::{LearnSpec, Phase, Reason, ReasonCode};
use crate::limits::{FILE_BYTES_MAX, PIECE_BYTES};
use crate::local::learning::{Files, Learned};
use crate::message::{EventBody, Grant, Outcome, Progress};
use crate::seal::{self, ContentKey};

/// Uploaded files belong to every run of their job.
const UPLOADED: u32 = 0;

/// One worker's session for one learning.
pub struct Learning {
    seat: Seat,
    spec: LearnSpec,
    key: ContentKey,
    stage: Stage,
    /// What the platform has not answered yet; `None` while this party learns.
    said: Option<EventBody>,
    repeat: Repeat,
}

enum Stage {
    /// Pieces that arrived, by file.
    Fetching(BTreeMap<FileKind, Zeroizing<Vec<u8>>>),
    /// In the background.
    Working,
    /// Files made and not handed in yet, and how many pieces of the first of them were.
    Keeping {
        files: Vec<(FileKind, Zeroizing<Vec<u8>>)>,
        piece: u32,
        metrics: String,
        made: BTreeMap<FileKind, u64>,
    },
    /// Its last word is said.
    Over,
}

impl Learning {
    /// Sits down with a grant, and asks for the first piece.
    ///
    /// # Errors
    /// A reason to report when this party may not do the job.
    pub(super) fn new(
        now: Duration,
        seat: &Seat,
        grant: &Grant,
        spec: LearnSpec,
    ) -> Result<(Learning, Vec<Effect>), Reason> {
        let me = seat.party;
        if spec.worker != me {
            let text = "the request is for another party";
            return Err(because(ReasonCode::RequestRefused, me, text));
        }
        let most = FILE_BYTES_MAX as u64;
        if !spec.files.contains_key(&FileKind::Feature)
            || spec.files.values().any(|bytes| !(1..=most).contains(bytes))
        {
            let text = "the request names no feature file, or one of no length or too long";
            return Err(because(ReasonCode::RequestRefused, me, text));
        }
        let parties: Vec<_> = spec.party.into_iter().collect();
        seat.policy.vet_computing(me, &parties)?;
        let sealed = grant.key.as_deref().unwrap_or_default();
        let context = spec.key_context();
        let key = seal::open_input(seat.identity.sealing(), &context, sealed)
            .ok()
            .and_then(|bytes| ContentKey::from_bytes(&bytes).ok())
            .ok_or_else(|| {
                let text = "the key of the job's files does not open";
                because(ReasonCode::InputRefused, me, text)
            })?;
        let mut learning = Learning {
            seat: seat.clone(),
            stage: Stage::Fetching(BTreeMap::new()),
            spec,
            key,
            said: None,
            repeat: Repeat::from(now),
        };
        let effects = learning.fetch(now);
        Ok((learning, effects))
    }

    /// Asks for the next piece, or learns when all are there.
    fn fetch(&mut self, now: Duration) -> Vec<Effect> {
        let Stage::Fetching(files) = &mut self.stage else {
            return Vec::new();
        };
        for (file, bytes) in &self.spec.files {
            let got = files.entry(*file).or_insert_with(|| {
                // Large enough at once: a buffer that grew would leave rows behind.
                Zeroizing::new(Vec::with_capacity(*bytes as usize))
            });
            if (got.len() as u64) < *bytes {
                let piece = (got.len() / PIECE_BYTES) as u32;
                let (file, piece) = (*file, piece);
                return self.say(now, EventBody::Fetch { file, piece });
            }
        }
        let mut files = std::mem::take(files);
        self.stage = Stage::Working;
        self.said = None;
        let files = Files {
            feature: files.remove(&FileKind::Feature).unwrap_or_default(),
            target: files.remove(&FileKind::Target),
            testing: files.remove(&FileKind::Testing),
        };
        vec![Effect::Learn(self.spec.learner, Arc::new(files))]
    }

    pub(super) fn handle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        input: Input,
    ) -> Vec<Effect> {
        match input {
            Input::Piece(file, piece, sealed) => self.fetched(now, file, piece, sealed),
            Input::Learned(learned) => match *learned {
                Ok(learned) => self.learned(secrets, now, learned),
                Err(reason) => self.fail(now, reason),
            },
            Input::Kept(file, piece) => self.kept(secrets, now, file, piece),
            Input::Ended => vec![Effect::Close],
            Input::Stop => {
                let mut effects = Vec::new();
                if !matches!(self.stage, Stage::Over) {
                    effects.push(Effect::Report(stopped(self.seat.party)));
                }
                effects.push(Effect::Close);
                effects
            }
            _ => Vec::new(),
        }
    }

    fn fetched(
        &mut self,
        now: Duration,
        file: FileKind,
        piece: u32,
        sealed: Option<Vec<u8>>,
    ) -> Vec<Effect> {
        let awaited = matches!(&self.said, Some(EventBody::Fetch { file: f, piece: p })
            if (*f, *p) == (file, piece));
        let (true, Stage::Fetching(files)) = (awaited, &mut self.stage) else {
            return Vec::new();
        };
        let all = self.spec.files.get(&file).copied().unwrap_or_default();
        let got = files.entry(file).or_default();
        let due = (all - got.len() as u64).min(PIECE_BYTES as u64);
        let context = LearnSpec::piece_context(self.spec.panel, UPLOADED, file, piece, 0);
        let opened = sealed.and_then(|sealed| self.key.open_piece(&context, &sealed).ok());
        match opened.filter(|opened| opened.len() as u64 == due) {
            Some(opened) => {
                got.extend_from_slice(&opened);
                self.fetch(now)
            }
            None => {
                let name = file.as_str();
                let text = format!("piece {piece} of the {name} file is not there or not genuine");
                let reason = because(ReasonCode::InputRefused, self.seat.party, text);
                self.fail(now, reason)
            }
        }
    }

    fn learned(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        learned: Learned,
    ) -> Vec<Effect> {
        let Stage::Working = self.stage else {
            return Vec::new();
        };
        let Learned {
            result,
            model,
            metrics,
        } = learned;
        let result = result.map(|result| (FileKind::Result, Zeroizing::new(result)));
        let model = (FileKind::Model, Zeroizing::new(model));
        let files: Vec<_> = result.into_iter().chain([model]).collect();
        self.stage = Stage::Keeping {
            made: files
                .iter()
                .map(|(file, bytes)| (*file, bytes.len() as u64))
                .collect(),
            files,
            piece: 0,
            metrics: serde_json::to_string(&metrics).expect("plain data always serialises"),
        };
        self.keep(secrets, now)
    }

    /// Hands in the next piece, or says that all are there.
    fn keep(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Vec<Effect> {
        let Stage::Keeping {
            files,
            piece,
            metrics,
            made,
        } = &mut self.stage
        else {
            return Vec::new();
        };
        while let Some((file, bytes)) = files.first() {
            let from = *piece as usize * PIECE_BYTES;
            if from >= bytes.len() {
                files.remove(0);
                *piece = 0;
                continue;
            }
            let plain = &bytes[from..bytes.len().min(from + PIECE_BYTES)];
            let LearnSpec { panel, round, .. } = self.spec;
            let pieces = bytes.len().div_ceil(PIECE_BYTES) as u32;
            let context = LearnSpec::piece_context(panel, round, *file, *piece, pieces);
            let event = EventBody::Keep {
                file: *file,
                piece: *piece,
                sealed: self.key.seal_piece(secrets, &context, plain),
            };
            return self.say(now, event);
        }
        let outcome = Outcome::Learned {
            metrics: std::mem::take(metrics),
            files: std::mem::take(made),
        };
        self.stage = Stage::Over;
        let progress = progress();
        self.say(now, EventBody::Finished { progress, outcome })
    }

    fn kept(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        file: FileKind,
        piece: u32,
    ) -> Vec<Effect> {
        let awaited = matches!(&self.said, Some(EventBody::Keep { file: f, piece: p, .. })
            if (*f, *p) == (file, piece));
        match &mut self.stage {
            Stage::Keeping { piece, .. } if awaited => {
                *piece += 1;
                self.keep(secrets, now)
            }
            _ => Vec::new(),
        }
    }

    fn fail(&mut self, now: Duration, reason: Reason) -> Vec<Effect> {
        if let Stage::Over = self.stage {
            return Vec::new();
        }
        self.stage = Stage::Over;
        self.say(now, EventBody::Failed { reason })
    }

    /// Says something until it is answered.
    fn say(&mut self, now: Duration, event: EventBody) -> Vec<Effect> {
        self.said = Some(event.clone());
        self.repeat = Repeat::from(now);
        vec![Effect::Report(event)]
    }

    pub(super) fn tick(&mut self, now: Duration) -> Vec<Effect> {
        match &self.said {
            Some(event) if self.repeat.is_due(now) => vec![Effect::Report(event.clone())],
            _ => Vec::new(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            progress: progress(),
            waiting: Vec::new(),
            awaiting: false,
        }
    }
}

fn progress() -> Progress {
    Progress {
        phase: Phase::Learning,
        ..Progress::default()
    }
}
