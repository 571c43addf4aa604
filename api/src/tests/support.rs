//! A server without a socket, and the seed's own words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use shared::bus::Bus;
use shared::id::{OrderId, PartyId, SessionId};
use shared::job::{Fence, Privacy, Protection, Reason};
use shared::message::{Outcome, Progress, Score};
use shared::seal::{Identity, PublicIdentity};
use shared::store::{Applied, Email, NewUser, Started, Store};
use shared::table::Dropped;
use tempfile::TempDir;
use tokio::sync::Notify;
use tower::ServiceExt;
use uuid::Uuid;

use crate::password::hash;
use crate::{Accounts, Callers, Secrets, State, app};

/// Of every account.
pub(super) const PASSWORD: &str = "correct horse";
/// Its hash, once for all tests.
static HASH: OnceLock<String> = OnceLock::new();
/// 32 bytes in base64.
pub(super) const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The keys of the four hospitals.
pub(super) fn identities() -> &'static BTreeMap<PartyId, Identity> {
    static IDENTITIES: OnceLock<BTreeMap<PartyId, Identity>> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        let mut rng = StdRng::seed_from_u64(2);
        let made = (2..=5).map(|party| (PartyId(party), Identity::generate(&mut rng)));
        made.collect()
    })
}

fn public((party, identity): (&PartyId, &Identity)) -> (PartyId, PublicIdentity) {
    (*party, identity.public())
}

pub(super) fn secrets(text: &str) -> Secrets {
    Secrets::parse(text).expect("secrets")
}

/// The document whose calls must work as they stand.
const SEED: &str = include_str!("../../testdata/federated-learning-api.md");

/// One heading of the seed: the JSON of its request, if it has one, and of its answer.
pub(super) fn seed(heading: &str) -> (Option<&'static str>, Value) {
    let start = SEED
        .find(&format!("### {heading}\n"))
        .expect("the heading is there");
    let section = &SEED[start + 4..];
    let section = section
        .split("\n### ")
        .next()
        .expect("split yields once at least");
    let blocks = section.split("```json").skip(1).map(|rest| {
        rest.split("```")
            .next()
            .expect("split yields once at least")
    });
    let mut blocks: Vec<&str> = blocks.collect();
    let answer = blocks.pop().expect("every call has an answer");
    (
        blocks.pop(),
        serde_json::from_str(answer).expect("the seed's answers are JSON"),
    )
}

/// A server with the seed's three hospitals.
pub(super) struct Server {
    pub(super) state: State,
    pub(super) app: Router,
    /// The header `token` of requests that do not say otherwise.
    pub(super) token: Option<String>,
    directory: TempDir,
}

pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("every answer is JSON")
    }

    pub(super) fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["data"].clone()
    }

    pub(super) fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .expect("a refusal has a sentence")
            .to_owned()
    }
}

impl Server {
    /// With the seed's three hospitals, and a fourth that takes part in nothing.
    pub(super) async fn new() -> Server {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("concord.db"))
            .await
            .expect("a store");
        let names = (2..=5)
            .map(|party| (PartyId(party), format!("医院 {party}")))
            .collect();
        store.register_parties(names).await.expect("registered");
        let state = State {
            store,
            bus: Bus::local(),
            submitted: Arc::new(Notify::new()),
            directory: Arc::new(identities().iter().map(public).collect()),
            callers: Callers::Open,
            base: None,
            now: || 1_800_000_000_000,
        };
        Server {
            app: app(state.clone()),
            state,
            token: None,
            directory,
        }
    }

    /// The same, for accounts alone; there is none yet.
    pub(super) async fn with_accounts() -> Server {
        let server = Server::new().await;
        server.calling(|state| state.callers = Callers::accounts(secrets(SECRET)))
    }

    /// The same, in another state.
    pub(super) fn calling(mut self, change: impl FnOnce(&mut State)) -> Server {
        change(&mut self.state);
        self.app = app(self.state.clone());
        self
    }

    /// What accounts are checked with.
    pub(super) fn accounts(&self) -> &Accounts {
        self.state.callers.of_accounts().expect("there are some")
    }

    /// Makes an account, with [`PASSWORD`].
    pub(super) async fn add(&self, email: &str, party: Option<u64>) {
        let mut rng = StdRng::seed_from_u64(1);
        let new = NewUser {
            email: Email::parse(email).expect("an address"),
            password: HASH
                .get_or_init(|| hash(PASSWORD, &mut rng).expect("fits"))
                .clone(),
            party: party.map(PartyId),
        };
        assert!(self.state.store.add_user(new).await.expect("up"));
    }

    /// A good token of an account, which need not be there.
    pub(super) fn token_of(&self, email: &str) -> String {
        let email = Email::parse(email).expect("an address");
        self.accounts().secrets.issue(&email, (self.state.now)())
    }

    /// The store's file.
    pub(super) fn database(&self) -> PathBuf {
        self.directory.path().join("concord.db")
    }

    /// Submits the seed's training; its model and order.
    pub(super) async fn train(&self) -> (i64, i64) {
        let data = self
            .post("/model/train", seed("模型训练").0.expect("a body"))
            .await
            .data();
        let id = |name: &str| data[name].as_i64().expect("an id");
        (id("model_id"), id("order_id"))
    }

    pub(super) async fn job_name(&self, order: i64) -> String {
        let report = self
            .get(&format!("/model/report?order_id={order}"))
            .await
            .data();
        report["job_name"].as_str().expect("a name").to_owned()
    }

    /// A session of the job's guest takes it.
    async fn claim(&self, order: i64) -> Fence {
        let job = self
            .state
            .store
            .job_by_order(OrderId(order))
            .await
            .expect("up")
            .expect("there");
        let session = SessionId(Uuid::new_v4());
        let fence = Fence {
            job: job.id,
            attempt: job.attempt,
            session,
        };
        let lease = Duration::from_secs(60);
        let granted = self
            .state
            .store
            .claim(fence, job.spec.guest(), lease)
            .await
            .expect("up");
        assert!(granted.is_some(), "nobody else has it");
        fence
    }

    /// Every party joined and counted its rows: those of the seed.
    pub(super) async fn start(&self, order: i64) -> Fence {
        let fence = self.claim(order).await;
        let rows = BTreeMap::from([(PartyId(2), 592), (PartyId(3), 702), (PartyId(4), 554)]);
        let dropped = BTreeMap::from([(
            PartyId(2),
            Dropped {
                missing: 1,
                repeated: 2,
            },
        )]);
        let privacy = Some(Privacy {
            protection: Protection::Paillier { key_bits: 3072 },
            slots: 7,
            ciphertexts: 1,
            bytes: BTreeMap::new(),
        });
        let started = Started {
            rows,
            dropped,
            digests: BTreeMap::new(),
            privacy,
        };
        self.state.store.started(fence, started).await.expect("up");
        fence
    }

    /// The training ends without a model.
    pub(super) async fn fail(&self, fence: Fence, reason: Reason) {
        let applied = self.state.store.fail(fence, reason).await.expect("up");
        assert_eq!(applied, Applied::Ended);
    }

    /// The training ends.
    pub(super) async fn finish(&self, fence: Fence) {
        let parts = (2..=4).map(|party| (PartyId(party), vec![0; 8])).collect();
        let progress = Progress {
            iterations: 5,
            iterations_max: 5,
            ..Progress::default()
        };
        let outcome = Outcome::Model(parts);
        let applied = self
            .state
            .store
            .finish(fence, progress, outcome)
            .await
            .expect("up");
        assert_eq!(applied, Applied::Ended);
    }

    /// The inference ends, with the seed's score.
    pub(super) async fn score(&self, order: i64) {
        let fence = self.claim(order).await;
        let scores = vec![Score {
            unique_id: "1".to_owned(),
            label: 0.0768,
        }];
        let (progress, outcome) = (
            Progress::default(),
            Outcome::Scores {
                scores,
                dropped: Dropped::default(),
            },
        );
        let applied = self
            .state
            .store
            .finish(fence, progress, outcome)
            .await
            .expect("up");
        assert_eq!(applied, Applied::Ended);
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(Method::GET, path, Body::empty()).await
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<Body>) -> Answered {
        self.send(Method::POST, path, body.into()).await
    }

    /// Without a Content-Type, as the seed's own client sends it.
    pub(super) async fn send(&self, method: Method, path: &str, body: Body) -> Answered {
        let request = Request::builder().method(method).uri(path);
        let mut request = request.header(header::HOST, "192.168.25.105:5000");
        if let Some(token) = &self.token {
            request = request.header("token", token);
        }
        self.request(request.body(body).expect("a valid request"))
            .await
    }

    pub(super) async fn request(&self, request: Request<Body>) -> Answered {
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("in memory");
        Answered {
            status,
            headers,
            text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        }
    }

    /// How many jobs there are.
    pub(super) async fn jobs(&self) -> usize {
        let page = self.get("/model/list").await.data();
        page["jobs"].as_array().expect("a list").len()
    }
}
