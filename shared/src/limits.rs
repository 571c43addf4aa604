//! Every bound of the system, its unit last in the name.

/// Bits of a Paillier modulus that a request may ask for.
pub const KEY_BITS_ALLOWED: [u32; 3] = [2048, 3072, 4096];
/// Bits of a Paillier modulus when the request names none (128-bit strength).
pub const KEY_BITS_DEFAULT: u32 = 3072;
/// Width of one plaintext slot.
pub const SLOT_BITS: u32 = 128;
/// A party's value in a slot lies within plus or minus two to this power.
pub const SLOT_VALUE_BITS: u32 = 90;
/// Data parties in one job, so that a slot's sum stays below 2^96.
pub const PARTIES_MAX: usize = 64;
/// Data parties in one job, unless every party's policy says `two_party`.
pub const PARTIES_MIN: usize = 3;
/// The tag's field is the integers modulo 2^107 - 1.
pub const TAG_BITS: u32 = 107;
/// Binary digits after the point of gradients, losses and first moments.
pub const FRACTION_BITS: u32 = 40;
/// Binary digits after the point of squared deviations, carried in two limbs.
pub const SQUARE_FRACTION_BITS: u32 = 64;

/// Party ids end here, so that the board's `10001 - user_id` stays positive.
pub const PARTY_ID_MAX: u64 = 10_000;
/// Attributes of one model.
pub const ATTRIBUTES_MAX: usize = 10_000;
/// Bytes of a column name.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of one SQL text in a request.
pub const SQL_BYTES_MAX: usize = 4096;
/// Conditions in one query.
pub const CONDITIONS_MAX: usize = 64;
/// Rows one query may read for training.
pub const ROWS_MAX: usize = 10_000_000;
/// Rows one inference may score: its result is one message.
pub const SCORED_ROWS_MAX: usize = 100_000;
/// Passes over the data that a request may ask for.
pub const ITERATIONS_MAX: u32 = 100_000;
/// Rounds of one job: its iterations times its batches.
pub const ROUNDS_MAX: u64 = 1_000_000;
/// The smallest positive `batch_size`.
pub const BATCH_ROWS_MIN: i64 = 10;

/// Bytes of one HTTP request body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one message on the bus.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a job's outcome, so that the event that carries it is one message.
pub const OUTCOME_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 64 * 1024;
/// Connections the HTTP edge serves at once.
pub const CONNECTIONS_MAX: usize = 1024;
/// Seconds until the first byte, and until the whole header, of an HTTP request.
pub const HTTP_HEADER_SECONDS_MAX: u64 = 10;
/// Seconds for a whole HTTP request.
pub const HTTP_REQUEST_SECONDS_MAX: u64 = 30;

/// Seconds between two beats of a session.
pub const BEAT_SECONDS: u64 = 2;
/// Seconds a job belongs to a session after its last beat.
pub const LEASE_SECONDS: u64 = 8;
/// Seconds that an invitation waits for a worker; the sweep makes another then.
pub const INVITATION_SECONDS: u64 = 60;
/// Invitations that the sweep adds at each look to a queue which holds some.
pub const INVITED_AGAIN_MAX: usize = 16;
/// Invitations that the sweep adds at each look to an empty queue: more than its workers claim.
pub const INVITED_MAX: usize = 256;
/// Seconds between two looks of the sweep over all jobs.
pub const SWEEP_SECONDS: u64 = 2;
/// Seconds before an unanswered step is sent again; doubles up to `REPEAT_SECONDS_MAX`.
pub const REPEAT_SECONDS: u64 = 2;
/// Seconds between two repeats of an offer at most.
pub const OFFER_REPEAT_SECONDS_MAX: u64 = 16;
/// Seconds between two repeats of anything else at most: several fit into the silence limit.
pub const REPEAT_SECONDS_MAX: u64 = 4;
/// Seconds without progress that a round may last, beside what the parties' work is expected to take.
pub const ROUND_SILENCE_SECONDS_MAX: u64 = 30;
/// Seconds that a worker which is told to stop takes to give its jobs back.
pub const WORKER_STOP_SECONDS_MAX: u64 = 5;
/// Seconds without any message after which a host or the arbiter leaves a session.
pub const SESSION_IDLE_SECONDS_MAX: u64 = 60;
/// Seconds until a party that has not joined is named in the report.
pub const JOIN_WAIT_SECONDS: u64 = 10;
/// Seconds from submission until a job that has not ended fails.
pub const JOB_DEADLINE_SECONDS: i64 = 24 * 60 * 60;
/// Failed attempts without a new checkpoint after which a job fails.
pub const FAILURES_MAX: i32 = 5;
/// Seconds between two checkpoints that reach the store, at least.
pub const CHECKPOINT_SECONDS: u64 = 1;
/// Deliveries of one message before it is parked as poison.
pub const DELIVERIES_MAX: u32 = 5;
/// Messages a consumer of invitations holds unanswered.
pub const INVITATION_PREFETCH: usize = 8;
/// Claims of one worker process that wait for the platform's answer at once.
pub const CLAIMS_MAX: usize = 16;
/// Sessions one worker process leads at once, and beside them those it only takes part in: waiting
/// leaders must not take the seats that others' jobs need.
pub const SESSIONS_MAX: usize = 256;
/// Letters that wait for one session; the rest is dropped, and repeated by its writer.
pub const SESSION_LETTERS_MAX: usize = 256;
/// Characters of a reason that another party gave.
pub const REASON_CHARACTERS_MAX: usize = 500;
/// Rows of a party in a training; no policy says less.
pub const COHORT_ROWS_MIN: usize = 5;
/// Own rows of a party in a mini-batch in which it has any: fewer would show in the sum. No policy
/// says less.
pub const BATCH_OWN_ROWS_MIN: u32 = 5;
/// Magnitude of a weight that parties answer for, as a power of two.
pub const WEIGHT_BITS_MAX: u32 = 40;

/// Seconds between two pieces of an HTTP request's body.
pub const HTTP_CHUNK_SECONDS_MAX: u64 = 10;
/// Seconds an HTTP connection lives, after which it ends with the request it is at.
pub const HTTP_CONNECTION_SECONDS_MAX: u64 = 300;
/// Seconds for the HTTP requests under way when a connection or the server ends.
pub const HTTP_DRAIN_SECONDS_MAX: u64 = 30;
/// Seconds the API spends on a hint that a job is there; the sweep repeats a lost one.
pub const HINT_SECONDS_MAX: u64 = 1;

/// Nested parentheses, NOTs, ANDs and ORs of one query.
pub const CONDITION_DEPTH_MAX: usize = 16;
/// Values of one IN list.
pub const IN_LITERALS_MAX: usize = 1000;
/// Bytes of one constant of a query.
pub const LITERAL_BYTES_MAX: usize = 256;
/// `%` in one LIKE pattern.
pub const LIKE_WILDCARDS_MAX: usize = 2;
/// Seconds that reading one query's rows from a source may take.
pub const SOURCE_READ_SECONDS_MAX: u64 = 120;

/// Messages that wait in one queue of the in-process bus.
pub const QUEUE_MESSAGES_MAX: usize = 100_000;
/// Bytes that wait in one queue of the in-process bus.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Signs of life that wait; the oldest give way.
pub const BEATS_WAITING_MAX: usize = 4096;
/// Seconds after which a sign of life says nothing: the lease it would extend has ended.
pub const BEAT_LIFE_SECONDS: u64 = LEASE_SECONDS;
/// Jobs of one page of the list.
pub const JOBS_PAGE_MAX: usize = 100;
/// Rows the sweep looks at in one query.
pub const SWEEP_ROWS_MAX: i64 = 1000;
/// Records of unreadable messages; the oldest give way.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// Dead letters that a job's report tells of.
pub const DEAD_LETTERS_TOLD_MAX: usize = 20;
/// Messages the status aggregator holds unanswered, of each queue.
pub const AGGREGATOR_PREFETCH: usize = 64;
/// Milliseconds before the first repeat of what an outage stopped; doubles with each.
pub const RETRY_MILLISECONDS: u64 = 50;
/// Milliseconds between two such repeats at most.
pub const RETRY_MILLISECONDS_MAX: u64 = 2000;

/// Seconds until somebody who publishes, declares or subscribes is told that the broker is away.
pub const BROKER_SECONDS_MAX: u64 = 10;
/// Bytes of one AMQP frame; each connection keeps buffers for 64 of them.
pub const FRAME_BYTES_MAX: u32 = 32 * 1024;
/// Seconds between two heartbeats of the broker; it is away after twice that, which is less than a
/// lease: who counts leases knows of an outage before they end by it.
pub const HEARTBEAT_SECONDS: u16 = 3;
/// Seconds after an outage within which a missing queue may only not be back yet.
pub const QUEUE_RETURN_SECONDS_MAX: u64 = 5;
/// Messages that one process has on the way to the broker at once.
pub const PUBLISHING_MAX: usize = 64;
/// Connections to the store's server that answer polls: as many polls look at once.
pub const STORE_READERS_MAX: usize = 8;
/// Connections to the store's server that move jobs; no poll takes one.
pub const STORE_WRITERS_MAX: usize = 16;
/// Seconds to wait for a free connection to the store.
pub const STORE_WAIT_SECONDS_MAX: u64 = 2;
/// Seconds to open a connection to a database server.
pub const CONNECT_SECONDS_MAX: u64 = 5;
/// Seconds without use after which a connection to the store must show that it still works.
pub const STORE_TRUSTED_SECONDS_MAX: u64 = 1;
/// Seconds in which an idle connection to the store must show that it still works.
pub const STORE_CHECK_SECONDS_MAX: u64 = 2;
/// Seconds one statement of the store may take.
pub const STORE_STATEMENT_SECONDS_MAX: u64 = 10;
/// Seconds a transaction of the store may lie idle before the server ends it.
pub const STORE_IDLE_SECONDS_MAX: u64 = 30;
/// Seconds to wait for another process that brings the store's tables up to date.
pub const STORE_MIGRATION_SECONDS_MAX: u64 = 60;
/// Times one transaction of the store is tried when the server undoes it.
pub const STORE_TRIES_MAX: u32 = 5;
/// Characters of a caller's name for its request.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Submissions that one API process holds unanswered.
pub const SUBMISSION_PREFETCH: usize = 16;
/// Seconds the API spends on handing an answer to the broker; who misses it asks again.
pub const ANSWER_SECONDS_MAX: u64 = 1;
/// Lines of one batch.
pub const BATCH_LINES_MAX: usize = 100_000;
/// Lines of a batch that are sent and not answered.
pub const BATCH_UNANSWERED_MAX: usize = 32;
/// Seconds before an unanswered line of a batch is sent again; doubles with each.
pub const BATCH_REPEAT_SECONDS: u64 = 5;
/// Seconds between two such repeats at most.
pub const BATCH_REPEAT_SECONDS_MAX: u64 = 60;

/// Bytes of one row's `unique_id`: those of both queries' rows together stay below 4 GiB.
pub const ID_BYTES_MAX: usize = 128;
/// Reads of its source that one worker makes at once.
pub const SOURCE_READS_MAX: usize = 8;
/// Milliseconds that a hospital's database waits for a lock on what is read.
pub const SOURCE_LOCK_MILLISECONDS_MAX: u64 = 5_000;
/// Seconds to tell a hospital's database that nobody waits for its answer any more.
pub const SOURCE_CANCEL_SECONDS_MAX: u64 = 5;

/// Hours that a party takes at most to decide on a job.
pub const APPROVAL_HOURS_MAX: u32 = 24 * 365;
/// Cohorts of one relation that a party's ledger remembers for the difference rule.
pub const COHORTS_REMEMBERED_MAX: usize = 200;
/// Milliseconds that one process of a party waits for another's use of the ledger.
pub const LEDGER_WAIT_MILLISECONDS_MAX: u64 = 5_000;
/// Milliseconds between two moments at which the ledger is safe from a power cut.
pub const LEDGER_SYNC_MILLISECONDS: u64 = 1_000;

/// Seconds for the TLS handshake of an HTTP connection.
pub const HTTP_TLS_SECONDS_MAX: u64 = 10;
/// Jobs whose guests a status aggregator keeps in mind.
pub const GUESTS_REMEMBERED_MAX: usize = 10_000;

/// Bytes of an account's e-mail address.
pub const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of a password that is given to a new account.
pub const PASSWORD_BYTES_MIN: usize = 12;
/// Bytes of a password; a longer one is not even hashed.
pub const PASSWORD_BYTES_MAX: usize = 128;
/// Passwords that one API process checks at once; each takes 19 MiB.
pub const PASSWORD_CHECKS_MAX: usize = 2;
/// Passwords that wait for that; the next ones are told to come again.
pub const PASSWORD_CHECKS_WAITING_MAX: usize = 32;
/// Seconds a token lives.
pub const TOKEN_SECONDS: i64 = 60 * 60;
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Bytes of a secret that tokens are signed with, at least.
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;
/// Tokens that one account may ask for at once.
pub const ACCOUNT_TOKENS_BURST_MAX: i64 = 10;
/// Milliseconds until it may ask for one more.
pub const ACCOUNT_TOKEN_MILLISECONDS: i64 = 6_000;
/// Tokens that one client address may ask for at once; many users may share it.
pub const ADDRESS_TOKENS_BURST_MAX: i64 = 30;
/// Milliseconds until it may ask for one more.
pub const ADDRESS_TOKEN_MILLISECONDS: i64 = 1_000;
/// Jobs that one account may ask for at once by HTTP.
pub const ACCOUNT_JOBS_BURST_MAX: i64 = 200;
/// Milliseconds until it may ask for one more.
pub const ACCOUNT_JOB_MILLISECONDS: i64 = 50;
/// Places in which callers' rates are counted; callers beyond that share places.
pub const RATE_PLACES: usize = 8192;

/// Values in a matrix of a joint computation, and in any product on the way to its result.
pub const MATRIX_VALUES_MAX: usize = 32_768;
/// Decimals after the point of a value in a joint computation.
pub const DECIMALS_MAX: u32 = 12;
/// Digits before the point of a value in a sum or a comparison: it lies below ten to this power.
pub const SUM_DIGITS_MAX: u32 = 24;
/// Digits before the point of a value in a product.
pub const PRODUCT_DIGITS_MAX: u32 = 12;

/// Rounds of a joint computation: a comparison's eight, one for the greatest, the opening.
pub const JOINT_ROUNDS_MAX: u32 = 16;

/// Joint computations and learnings that one worker process leads at once, beside its trainings.
pub const COMPUTATIONS_MAX: usize = 64;
/// Attempts at one run of a joint computation that a worker takes part in: each opens once.
pub const COMPUTATION_ATTEMPTS_MAX: u32 = 16;
/// Bytes of one worker's step in a joint computation: the most that a place needs, for each value.
pub const STEP_BYTES_MAX: usize = 48 * MATRIX_VALUES_MAX;
/// Steps that a worker holds which came before it could take any; others are a round or two ahead.
pub const EARLY_STEPS_MAX: usize = 8;
/// Seconds that one learning may take.
pub const LEARNING_SECONDS_MAX: u64 = 60 * 60;
/// Learnings that one worker process is at at once; the others wait for their turn.
pub const LEARNINGS_MAX: usize = 1;

/// Bytes of one uploaded file.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one piece of a file, which is sealed and stored by itself.
pub const PIECE_BYTES: usize = 1024 * 1024;
/// Columns of an uploaded file.
pub const FILE_COLUMNS_MAX: usize = 4_096;
/// Columns after each text has become one for each of its values.
pub const ENCODED_COLUMNS_MAX: usize = 16_384;
/// Bytes of one cell of an uploaded file.
pub const CELL_BYTES_MAX: usize = 4_096;
/// Classes that a target file may name.
pub const CLASSES_MAX: usize = 1_000;
/// Rows whose similarities a spectral clustering holds: one square matrix of them, 200 MB.
pub const SPECTRAL_ROWS_MAX: usize = 5_000;

/// Magnitude that a number of an uploaded file stays below, so that sums of squares stay finite.
pub const FILE_NUMBER_MAX: f64 = 1e100;
/// Values in the matrix of an encoded file, of eight bytes each.
pub const ENCODED_VALUES_MAX: usize = 64 * 1024 * 1024;
/// Coefficients of a logistic regression: its classes times its encoded columns.
pub const COEFFICIENTS_MAX: usize = 1 << 20;
/// Rows that support vectors are sought among; the time grows with their square.
pub const SUPPORT_ROWS_MAX: usize = 100_000;
/// Coefficients of support vectors: rows times the classes beside their own.
pub const SUPPORT_COEFFICIENTS_MAX: usize = 1 << 22;

/// Seconds that a run of a joint computation waits for its participants' inputs.
pub const INPUT_DEADLINE_SECONDS: u64 = 7 * 24 * 60 * 60;
/// Bytes of one participant's input, split and sealed: three of them are one grant.
pub const INPUT_BYTES_MAX: usize = (MESSAGE_BYTES_MAX - 64 * 1024) / 3;
/// Bytes that sealing adds to a piece of a file.
pub const PIECE_OVERHEAD_BYTES_MAX: usize = 64;
/// Bytes of one file that a run makes.
pub const MADE_FILE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of what a run tells of how well it learned.
pub const METRICS_BYTES_MAX: usize = 256 * 1024;
/// Values that the rows in a model may have: each is written in at most 25 bytes, and what is
/// beside them in a model still fits.
pub const MODEL_VALUES_MAX: usize = 10 * 1024 * 1024;
/// Nodes of a decision tree, each of which is written in at least 32 bytes.
pub const TREE_NODES_MAX: usize = MADE_FILE_BYTES_MAX / 32;
/// Seconds that an upload may lie about before it is dropped.
pub const UPLOAD_SECONDS_MAX: u64 = 60 * 60;
/// Finished runs of one page: each may be a message long.
pub const SUBMISSIONS_PAGE_MAX: usize = 20;

/// Subclusters to which Birch may condense rows. Ward's method compares all pairs of them, again and
/// again: 50,000 of 20 columns take about ten seconds on two cores.
pub const BIRCH_SUBCLUSTERS_MAX: usize = 50_000;

/// Bytes of a form with files: three of them, and a little around.
pub const FORM_BYTES_MAX: usize = 3 * FILE_BYTES_MAX + BODY_BYTES_MAX;
/// Bytes of the header of a part, roughly.
pub const FORM_HEADER_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a text in a form.
pub const FORM_TEXT_BYTES_MAX: usize = 1024;
/// Seconds for a whole form with files, from its header to its answer.
pub const HTTP_UPLOAD_SECONDS_MAX: u64 = 10 * 60;

/// Bytes of files, uploaded and made, that the live jobs of one account have, as they are stored.
pub const FILES_BYTES_PER_ACCOUNT_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Finished runs of one job whose made files are kept: the newest.
pub const RUNS_KEPT_MAX: usize = 3;
/// Forms with files that one API process takes in at once.
pub const UPLOADS_AT_ONCE_MAX: usize = 4;
/// Forms with files that it takes in at once from one account.
pub const UPLOADS_PER_ACCOUNT_MAX: usize = 1;
/// Seconds after which who is refused for that may ask again.
pub const UPLOAD_RETRY_SECONDS: u64 = 10;
/// Bytes of results on one page of runs; of one run there are more.
pub const SUBMISSIONS_BYTES_MAX: usize = 8 * 1024 * 1024;
