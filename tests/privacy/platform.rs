//! "The platform sees nothing": every byte that reaches it, searched for everything that only the
//! parties may know.
//!
//! **Looked at**: all that passes between our processes and RabbitMQ, PostgreSQL and the API, in
//! both directions; what every process writes; a dump of all tables; the directories of RabbitMQ
//! and PostgreSQL with their write-ahead logs, and PostgreSQL's own log of all statements.
//!
//! **Looked for**: values of rows, ids, scores, every party's gradient and loss, their sums, the
//! weights of every round, parts of key files; in the forms that [`Needles`] lists.
//!
//! **Seen by design**, and so expected rather than forbidden: the texts of requests. The canonical
//! request, with the queries' literals, stands in `requests.spec`, comes over HTTP and goes to the
//! guest in its grant; it is metadata that the threat model gives to the platform. With results
//! released in the clear (the data owner's decision) also the scored rows' ids and rounded scores.
//!
//! **Why there would be a hit** if there were something to see: clear results are found where they
//! are expected; the very training that was run is run once more without protection and seal, and
//! its steps go over the recorded broker; and all gradients and weights are written in every form to
//! broker and database. Training "without protection" as a request may ask for is no such control:
//! its letters are sealed to their readers like all others, and the platform sees as little of it.
//! It is one more training that is looked for.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::bus::{Bus, QueueKind, rabbitmq};
use shared::fixed_point;
use shared::id::{JobId, OrderId};
use shared::limits::FRACTION_BITS;
use shared::local::logistic_regression::{gradient_sum, loss_sum, score};
use shared::store::Store;
use shared::table::Table;
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::letters::{alike, are_the_same, entropy, letters, sizes};
use super::needles::{Found, Needles, without_decimals_of};
use super::recorder::Recorder;
use super::{LITERAL, unsealed, without_times};
use crate::support::{
    Client, Deployment, Hospital, Job, Patient, Role, Server, Services, csv, patients, train,
};

const PARTIES: [u64; 3] = [2, 3, 4];
const GUEST: u64 = 3;
/// Whose rows are scored.
const SCORED: u64 = 4;
const ROWS: usize = 40;
/// Long enough for checkpoints, which are made once a second.
const ITERATIONS: u32 = 300;
/// Of a few rounds all forms are looked for, of all others how memory holds them.
const ROUNDS_APART: usize = 60;
/// As many bytes as tell chance from order.
const POOLED_BYTES_MIN: usize = 1 << 16;
const FOUND_MIN: f64 = 0.99;

const ROW: &str = "a value of a row";
const ID: &str = "a row's id";
const SCORED_ID: &str = "a scored row's id";
const SCORE: &str = "a released score";
const EXACT_SCORE: &str = "a score in all digits";
const WEIGHT: &str = "a weight";
const GRADIENT: &str = "a party's gradient";
const HOST_GRADIENT: &str = "a host's gradient";
const SUM: &str = "a sum over all parties";
const SHORT: &str = "weights or gradients as short floats";
const KEY: &str = "a part of a key";
const QUERY: &str = "a literal of a query";

/// Two relations of one shape with other rows; their names are equally long.
const RELATIONS: [&str; 2] = ["data.patients", "data.visitors"];

/// Rows that no other text holds by chance: long decimals, marked ids.
fn rows(party: u64, relation: usize) -> Vec<Patient> {
    let mark = |(index, patient): (usize, Patient)| Patient {
        unique_id: format!("平台测试-{party}-{relation}{index:04}"),
        c6: patient.c6 + 0.000_731_829_417 * (index + 1) as f64,
        c6dc: patient.c6dc * 1.000_417_311_7,
        c8: patient.c8 * 1.000_529_102_3,
        ..patient
    };
    let seed = 40 + 10 * relation as u64 + party;
    let patients = patients(seed, 1, ROWS).into_iter().enumerate();
    patients.map(mark).collect()
}

fn hospitals() -> Vec<Hospital> {
    let hospital = |party| {
        let files = RELATIONS.iter().enumerate();
        files.fold(
            Hospital::new(party, "医院").permissive(),
            |hospital, (number, name)| {
                let path = format!("{}.csv", name.replace('.', "/"));
                hospital.file(&path, csv(LITERAL, &rows(party, number)))
            },
        )
    };
    PARTIES.into_iter().map(hospital).collect()
}

fn sql(relation: &str) -> String {
    format!("select * from {relation} where 医院 = '{LITERAL}';")
}

fn training(relation: &str, protection: &Value, iterations: u32) -> Value {
    let parameters = json!({
        "optimizer": "sgd", "max_iter": iterations, "eps": 0, "batch_size": -1, "decay": 0,
        "learning_rate": 0.1, "encrypt_param": protection,
    });
    let mut request = train(&[GUEST, 4, 2], relation, parameters);
    for party in PARTIES {
        let sql = sql(relation);
        request["data_info"][party.to_string()] = json!({ "pos": sql, "neg": sql });
    }
    request
}

/// A federation, with a recorder before each of its servers.
pub(super) struct Platform {
    broker: Server,
    postgres: Server,
    /// The database's address, past the recorder.
    pub(super) database: String,
    pub(super) amqp: Recorder,
    pub(super) sql: Recorder,
    http: Recorder,
    pub(super) deployment: Deployment,
    client: Client,
}

/// Places and what is in each.
pub(super) type Places = Vec<(&'static str, Vec<Vec<u8>>)>;

impl Platform {
    pub(super) async fn start() -> Platform {
        let [broker, postgres] = std::thread::scope(|scope| {
            let start = |kind| scope.spawn(move || Server::start(kind));
            ["rabbitmq", "postgres"]
                .map(start)
                .map(|server| server.join().expect("it starts"))
        });
        let mut services = Services::beside(Some(&broker), Some(&postgres)).await;
        let database = services.database.clone();
        let (amqp, sql) = (
            Recorder::before(&services.broker),
            Recorder::before(&services.database),
        );
        services.broker = amqp.instead_of(&services.broker);
        services.database = sql.instead_of(&services.database);
        let superuser = connect(&database).await;
        for statement in [
            "ALTER SYSTEM SET log_statement = 'all'",
            "SELECT pg_reload_conf()",
        ] {
            superuser
                .batch_execute(statement)
                .await
                .expect("a superuser may");
        }
        let mut deployment = Deployment::without_parties(services, &hospitals()).await;
        for party in PARTIES {
            release(&deployment, party, ["clear", "sealed"]);
            deployment.launch(Role::Party(party)).await;
        }
        superuser
            .batch_execute(UNCOMPRESSED)
            .await
            .expect("a superuser may");
        let log = deployment.log(deployment.of(Role::Api)[0]);
        let (_, address) = log
            .split_once("The API listens address=")
            .expect("it works");
        let address = address.split_whitespace().next().expect("an address");
        let http = Recorder::before(address);
        let client = Client::new(&http.instead_of(address));
        Platform {
            broker,
            postgres,
            database,
            amqp,
            sql,
            http,
            deployment,
            client,
        }
    }

    async fn train(&mut self, relation: &str, protection: &Value, iterations: u32) -> Job {
        let job = self
            .client
            .train(training(relation, protection, iterations))
            .await;
        self.client.finished(job.order).await;
        job
    }

    /// Has the rows of one party scored; what the API has of it.
    async fn infer(&self, model: i64) -> Value {
        let input = json!({ "user_id": SCORED, "data_sql": sql(RELATIONS[0]) });
        let request = json!({ "model_id": model, "input_data": input });
        let order = self.client.infer(request).await;
        self.client.finished(order).await;
        let status = format!("/model/infer_status?order_id={order}");
        self.client.get(&status).await.data()["result"].clone()
    }

    /// What processes wrote, those of the platform and of the parties.
    fn logs(&self) -> Vec<Vec<u8>> {
        let roles = [Role::Api, Role::Status, Role::Arbiter].into_iter();
        let roles = roles.chain(PARTIES.map(Role::Party));
        let numbers = roles.flat_map(|role| self.deployment.of(role));
        let logs = numbers.map(|number| without_times(&self.deployment.log(number)).into_bytes());
        let mut logs: Vec<Vec<u8>> = logs.collect();
        for entry in fs::read_dir(self.deployment.site.path()).expect("ours") {
            let entry = entry.expect("readable");
            if entry.file_name().to_string_lossy().starts_with("stdout-") {
                logs.push(fs::read(entry.path()).expect("readable"));
            }
        }
        logs
    }

    /// Everything that the platform has, or that passed by.
    pub(super) async fn places(&self) -> Places {
        vec![
            ("AMQP", self.amqp.streams()),
            ("SQL", self.sql.streams()),
            ("HTTP", self.http.streams()),
            ("logs", self.logs()),
            ("dump", dump(&self.database).await),
            ("broker's disk", files(self.broker.folder())),
            ("database's disk", files(self.postgres.folder())),
        ]
    }
}

/// Changes how a party releases scores; whoever runs already goes on as before.
fn release(deployment: &Deployment, party: u64, [old, new]: [&str; 2]) {
    let path = deployment.site.path().join(format!("party-{party}.toml"));
    let text = fs::read_to_string(&path).expect("written");
    let said = |how: &str| format!("release = \"{how}\"");
    let changed = text.replace(&said(old), &said(new));
    assert_ne!(changed, text, "party {party} says nothing of releases");
    fs::write(path, changed).expect("written");
}

/// So that what is long stands in files as it is.
const UNCOMPRESSED: &str = "
    DO $$ DECLARE at record; BEGIN
        FOR at IN SELECT class.oid::regclass AS name, attname FROM pg_attribute
            JOIN pg_class AS class ON class.oid = attrelid
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attstorage = 'x'
                AND attnum > 0 AND NOT attisdropped
        LOOP
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE EXTERNAL', at.name,
                at.attname);
        END LOOP;
    END $$";

pub(super) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("it answers");
    tokio::spawn(connection);
    client
}

/// Every table, as text and as the server sends it in binary. Also makes the server write down what
/// it holds.
pub(super) async fn dump(database: &str) -> Vec<Vec<u8>> {
    let client = connect(database).await;
    let sql = "SELECT oid::regclass::text FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let tables = client.query(sql, &[]).await.expect("a catalog");
    assert!(tables.len() > 5, "few tables");
    let mut dump = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        for format in ["text", "binary"] {
            let copy = format!("COPY {table} TO STDOUT (FORMAT {format})");
            let rows = client.copy_out(copy.as_str()).await.expect("readable");
            let rows: Vec<_> = rows.try_collect().await.expect("readable");
            dump.push(rows.concat());
        }
    }
    client
        .batch_execute("CHECKPOINT")
        .await
        .expect("a superuser may");
    dump
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    // What vanishes while we look is not there.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.extend(fs::read(entry.path())),
            _ => {}
        }
    }
    found
}

/// Which secrets are in one place.
pub(super) fn found_in(needles: &Needles, place: &[Vec<u8>]) -> Found {
    let found = place.iter().flat_map(|bytes| {
        // The one long decimal that is told openly.
        needles.all_found_in(&without_decimals_of(bytes, "round_milliseconds"))
    });
    found.collect()
}

/// A number of a training as a float, and as the integer that is sent, if one is.
type Number = (f64, Option<i128>);

/// What a training has computed, by round.
#[derive(Default)]
struct Computed {
    weights: Vec<Vec<f64>>,
    /// Of each party: gradient, then loss.
    parts: Vec<Vec<(u64, Vec<i128>)>>,
}

impl Computed {
    async fn of(platform: &Platform, order: i64) -> Computed {
        let site = &platform.deployment.site;
        let spec = platform.deployment.spec(order).await;
        let tables = site.tables(&spec).await;
        let mut computed = Computed::default();
        computed.weights.push(vec![0.0; 4]);
        site.pooled_by(&spec, |now| computed.weights.push(now.to_vec()))
            .await;
        for now in &computed.weights {
            let part = |(party, table): (&u64, &Table)| {
                let (values, positive) = (table.values.view(), &table.positive);
                let sum = gradient_sum(values, positive, now, |_| true).expect("in range");
                let mut sums = sum.gradient;
                // At zero the loss says nothing but how many rows there are.
                if now.iter().any(|weight| *weight != 0.0) {
                    sums.push(loss_sum(values, positive, now).expect("in range"));
                }
                (*party, sums)
            };
            computed.parts.push(tables.iter().map(part).collect());
        }
        computed
    }

    /// Whether all forms of this round's numbers are looked for.
    fn is_chosen(&self, round: usize) -> bool {
        round < 5 || round.is_multiple_of(ROUNDS_APART) || round + 1 == self.weights.len()
    }

    /// All rounds, or only those of which all forms are looked for.
    fn add_to(&self, needles: &mut Needles, guest: u64, only_chosen: bool) {
        for (round, weights) in self.weights.iter().enumerate() {
            let chosen = self.is_chosen(round);
            if only_chosen && !chosen {
                continue;
            }
            for weight in weights {
                if chosen {
                    needles.number(WEIGHT, *weight);
                } else {
                    needles.raw_number(WEIGHT, *weight);
                }
            }
            needles.short_floats(SHORT, weights, chosen);
            let mut all = vec![0; weights.len() + 1];
            for (party, sums) in &self.parts[round] {
                let what = if *party == guest {
                    GRADIENT
                } else {
                    HOST_GRADIENT
                };
                for (sum, of_all) in sums.iter().zip(&mut all) {
                    needles.fixed(what, *sum, chosen);
                    needles.raw_number("a party's mean", mean(*sum, ROWS));
                    *of_all += sum;
                }
                let floats: Vec<f64> = sums.iter().map(|sum| float(*sum)).collect();
                needles.short_floats(SHORT, &floats, chosen);
            }
            for sum in all {
                needles.fixed(SUM, sum, chosen);
                needles.raw_number("a mean over all parties", mean(sum, ROWS * PARTIES.len()));
            }
        }
    }

    /// What is looked for in all forms.
    fn chosen(&self) -> Vec<Number> {
        let rounds = (0..self.weights.len()).filter(|round| self.is_chosen(*round));
        let numbers = rounds.flat_map(|round| {
            let weights = self.weights[round].iter().map(|weight| (*weight, None));
            let sums = self.parts[round].iter().flat_map(|(_, sums)| sums);
            weights.chain(sums.map(|sum| (float(*sum), Some(*sum))))
        });
        numbers.collect()
    }
}

fn float(sum: i128) -> f64 {
    fixed_point::decode(sum, FRACTION_BITS)
}

fn mean(sum: i128, rows: usize) -> f64 {
    float(sum) / rows as f64
}

fn secrets_of_rows(needles: &mut Needles) {
    for party in PARTIES {
        for (relation, _) in RELATIONS.iter().enumerate() {
            for patient in rows(party, relation) {
                let values = [patient.c6, patient.c6dc, patient.c8];
                for value in values {
                    needles.number(ROW, value);
                    let fixed = fixed_point::encode(value, FRACTION_BITS);
                    needles.fixed(ROW, fixed.expect("in range"), true);
                }
                needles.short_floats(ROW, &values, true);
                let is_scored = party == SCORED && relation == 0;
                needles.text(if is_scored { SCORED_ID } else { ID }, &patient.unique_id);
            }
        }
    }
}

async fn secrets_of_scores(needles: &mut Needles, platform: &Platform, job: Job) -> usize {
    let model = platform.deployment.model(SCORED, job.model).await;
    let spec = platform.deployment.spec(job.order).await;
    let tables = platform.deployment.site.tables(&spec).await;
    let table = &tables[&SCORED];
    for (id, row) in table.ids.iter().zip(table.values.rows()) {
        let exact = score(&model, row);
        needles.number(EXACT_SCORE, exact);
        let released = (exact * 1e4).round() / 1e4;
        let forms = [
            format!("\"unique_id\":\"{id}\",\"label\":{released}").into_bytes(),
            format!("\"label\":{released},\"unique_id\":\"{id}\"").into_bytes(),
            [id.as_bytes(), &released.to_le_bytes()].concat(),
        ];
        needles.any_of(SCORE, &forms);
    }
    table.ids.len()
}

fn secrets_of_keys(needles: &mut Needles, platform: &Platform) {
    for party in [1].into_iter().chain(PARTIES) {
        let file = platform
            .deployment
            .site
            .path()
            .join(format!("party-{party}.key"));
        for part in fs::read(file).expect("made at start").chunks_exact(16) {
            needles.bytes(KEY, part);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_sees_no_row_gradient_weight_or_key() {
    let mut platform = Platform::start().await;
    let secagg = json!({ "method": "SecAgg" });
    let strong = json!({ "method": "Paillier", "key_length": 2048 });
    let long = platform.train(RELATIONS[0], &secagg, ITERATIONS).await;
    let encrypted = platform.train(RELATIONS[0], &strong, 10).await;
    // Letters are sealed in every mode.
    let open = json!({ "method": "None" });
    platform.train(RELATIONS[0], &open, 10).await;
    platform.infer(encrypted.model).await;

    let mut needles = Needles::default();
    secrets_of_rows(&mut needles);
    secrets_of_keys(&mut needles, &platform);
    needles.text(QUERY, LITERAL);
    assert_eq!(
        secrets_of_scores(&mut needles, &platform, encrypted).await,
        ROWS
    );
    // Protection changes no bit: the other training's rounds are the first ones of this.
    let computed = Computed::of(&platform, long.order).await;
    computed.add_to(&mut needles, GUEST, false);
    look(&needles, &platform.places().await, false);

    release(&platform.deployment, SCORED, ["sealed", "clear"]);
    platform.deployment.crash(Role::Party(SCORED)).await;
    let result = platform.infer(encrypted.model).await;
    assert_eq!(result.as_array().map(Vec::len), Some(ROWS), "{result}");
    look(&needles, &platform.places().await, true);

    the_letters_look_like_chance(&mut platform, [&secagg, &strong]).await;
    what_is_in_the_open_is_found(&platform, &needles, &computed, long).await;
}

/// No place has more than it may, and it has what it must: texts of requests and, where results are
/// `clear`, these.
fn look(needles: &Needles, places: &Places, clear: bool) {
    let mut wrong = Vec::new();
    for (place, all) in places {
        let found = found_in(needles, all);
        let is_queried = *place != "logs" && *place != "broker's disk";
        let mut allowed = Vec::new();
        if is_queried {
            allowed.push(QUERY);
            assert_eq!(needles.share(QUERY, &found), 1.0, "{place} has no query");
        }
        if clear && *place != "logs" {
            allowed.extend([SCORE, SCORED_ID]);
            if is_queried {
                let shares = [SCORE, SCORED_ID].map(|what| needles.share(what, &found));
                assert_eq!(shares, [1.0; 2], "{place} lacks results");
            }
        }
        let length: usize = all.iter().map(Vec::len).sum();
        println!("{place}: {length} bytes, {:?}", needles.kinds(&found));
        assert!(length > 1000, "{place} is empty");
        let kinds = needles.kinds(&found).into_iter();
        wrong.extend(
            kinds
                .filter(|kind| !allowed.contains(kind))
                .map(|kind| (*place, kind)),
        );
    }
    println!("{} forms of secrets", needles.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Sealed payloads have no order in them, and their lengths tell shapes only.
async fn the_letters_look_like_chance(platform: &mut Platform, protections: [&Value; 2]) {
    let mut jobs = Vec::new();
    for protection in protections {
        let mut pair = Vec::new();
        for relation in RELATIONS {
            let job = platform.train(relation, protection, 3).await;
            pair.push(id_of(platform, job.order).await);
        }
        jobs.push(pair);
    }
    let streams = [platform.amqp.streams(), platform.sql.streams()].concat();
    let letters = letters(streams.iter().map(Vec::as_slice));
    let (bytes, entropy) = entropy(&letters);
    println!(
        "{} letters, {bytes} bytes sealed, {entropy:.4} bits a byte",
        letters.len()
    );
    assert!(
        bytes > POOLED_BYTES_MIN && entropy > 7.9,
        "{entropy} bits of {bytes} bytes"
    );
    assert_eq!(alike(&letters), 0, "letters share bytes");
    for pair in jobs {
        let [one, other] = [pair[0], pair[1]].map(|job| sizes(&letters, job));
        assert!(one.len() > 5, "{one:?}");
        assert!(are_the_same(&one, &other), "{one:?} {other:?}");
    }
}

/// Every way of writing numbers that a program could have, with what must be found of it.
fn written(numbers: &[Number]) -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    const ALL: &[&str] = &[WEIGHT, GRADIENT, HOST_GRADIENT];
    const SUMS: &[&str] = &[GRADIENT, HOST_GRADIENT];
    let floats = |form: fn(&f64) -> Vec<u8>| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|(number, _)| form(number))
            .collect()
    };
    let texts = |form: fn(&f64) -> String| -> Vec<u8> {
        let texts: Vec<_> = numbers.iter().map(|(number, _)| form(number)).collect();
        texts.join(" ").into_bytes()
    };
    let sums = numbers.iter().filter_map(|(_, sum)| *sum);
    let le = floats(|number| number.to_le_bytes().to_vec());
    let hex: String = le.iter().map(|byte| format!("{byte:02x}")).collect();
    let encoded = |before: &[u8]| STANDARD_NO_PAD.encode([before, &le].concat()).into_bytes();
    let full = texts(|number| number.to_string());
    vec![
        (
            "floats, big end first",
            floats(|number| number.to_be_bytes().to_vec()),
            ALL,
        ),
        (
            "short floats",
            floats(|number| (*number as f32).to_le_bytes().to_vec()),
            &[SHORT],
        ),
        (
            "integers",
            sums.clone().flat_map(i128::to_le_bytes).collect(),
            SUMS,
        ),
        (
            "integers, big end first",
            sums.flat_map(i128::to_be_bytes).collect(),
            SUMS,
        ),
        ("six digits", texts(|number| format!("{number:.5e}")), ALL),
        ("ten digits", texts(|number| format!("{number:.9e}")), ALL),
        (
            "seventeen digits",
            texts(|number| format!("{number:.16e}")),
            ALL,
        ),
        ("hexadecimal", hex.into_bytes(), ALL),
        ("base64", encoded(b""), ALL),
        ("base64 after a byte", encoded(b"a"), ALL),
        ("base64 after two bytes", encoded(b"ab"), ALL),
        (
            "base64 of decimals",
            STANDARD_NO_PAD.encode(&full).into_bytes(),
            ALL,
        ),
        ("decimals", full, ALL),
        ("floats", le, ALL),
    ]
}

/// The same search finds what is there: see the head of this file.
async fn what_is_in_the_open_is_found(
    platform: &Platform,
    needles: &Needles,
    computed: &Computed,
    job: Job,
) {
    let url = platform.deployment.broker().to_owned();
    let bus = Bus::rabbitmq(rabbitmq::Config {
        url,
        prefix: format!("{}.", Uuid::new_v4().simple()),
        certificates: None,
    });
    let bus = bus.expect("an address");
    bus.declare("open", QueueKind::Durable)
        .await
        .expect("declared");
    let spec = platform.deployment.spec(job.order).await;
    platform.amqp.forget();
    for step in unsealed::steps(&spec, platform.deployment.site.tables(&spec).await) {
        bus.publish("open", step).await.expect("published");
    }
    // The guest adds by itself: its own part is in no message.
    for (place, all) in [
        ("AMQP", platform.amqp.streams()),
        ("broker's disk", files(platform.broker.folder())),
    ] {
        let found = found_in(needles, &all);
        for what in [WEIGHT, HOST_GRADIENT] {
            let share = needles.share(what, &found);
            println!("unsealed, {place}, {what}: {share}");
            assert!(share >= FOUND_MIN, "{place} shows {share} of {what}");
        }
    }

    let mut needles = Needles::default();
    computed.add_to(&mut needles, GUEST, true);
    let store = connect(platform.deployment.database()).await;
    for (how, bytes, kinds) in written(&computed.chosen()) {
        platform.amqp.forget();
        platform.sql.forget();
        bus.publish("open", bytes.clone()).await.expect("published");
        let write = "UPDATE model_parts SET sealed = $1";
        store.execute(write, &[&bytes]).await.expect("written");
        for (place, all) in [
            ("AMQP", platform.amqp.streams()),
            ("SQL", platform.sql.streams()),
            ("dump", dump(&platform.database).await),
        ] {
            let found = found_in(&needles, &all);
            for what in kinds {
                let share = needles.share(what, &found);
                assert!(
                    share >= FOUND_MIN,
                    "{place} shows {share} of {what} as {how}"
                );
            }
        }
    }
    // Long values are cut into pieces there, each time elsewhere.
    let found = found_in(&needles, &files(platform.postgres.folder()));
    for what in [WEIGHT, GRADIENT, HOST_GRADIENT, SHORT] {
        let share = needles.share(what, &found);
        assert!(
            share >= FOUND_MIN,
            "the database's disk shows {share} of {what}"
        );
    }
}

/// A job's id, which envelopes bear.
async fn id_of(platform: &Platform, order: i64) -> JobId {
    let store = Store::connect(&platform.database)
        .await
        .expect("it answers");
    let job = store.job_by_order(OrderId(order)).await.expect("readable");
    job.expect("there").id
}
