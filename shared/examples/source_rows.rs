//! How fast, and in how much memory, a hospital's PostgreSQL becomes a table:
//!
//!     deploy/with-services.sh sh -c \
//!         'cargo run --release -p shared --example source_rows -- "$CONCORD_TEST_POSTGRES"'
//!
//! Fills a database of its own on the server with 1,000,000 rows of 30 floats (or as many as the
//! second and third argument say), in no order, reads it once as a training does, and drops it.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use shared::job::Cohort;
use shared::query::parse;
use shared::source::Source;
use shared::table::{Label, Needed};
use tokio_postgres::NoTls;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the example makes on the server, and removes.
const NAME: &str = "concord_source_rows";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments
        .next()
        .ok_or("the first argument is a superuser's url")?;
    let rows: usize = arguments
        .next()
        .map_or(Ok(1_000_000), |rows| rows.parse())?;
    let columns: usize = arguments.next().map_or(Ok(30), |columns| columns.parse())?;
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let (host, _) = server.rsplit_once('/').ok_or("the url names no database")?;
    let (_, place) = host.rsplit_once('@').ok_or("the url names no role")?;
    execute(&server, &format!("CREATE DATABASE {NAME}")).await?;
    execute(
        &server,
        &format!("CREATE ROLE {NAME} LOGIN PASSWORD '{NAME}'"),
    )
    .await?;
    let measured = async {
        fill(&format!("{host}/{NAME}"), rows, &names).await?;
        measure(
            &format!("postgres://{NAME}:{NAME}@{place}/{NAME}"),
            rows,
            names,
        )
        .await
    };
    let measured = measured.await;
    execute(&server, &format!("DROP DATABASE {NAME} WITH (FORCE)")).await?;
    execute(&server, &format!("DROP ROLE {NAME}")).await?;
    measured
}

async fn execute(url: &str, sql: &str) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await?;
    drop(client);
    Ok(connection.await??)
}

async fn fill(url: &str, rows: usize, names: &[String]) -> Result<()> {
    let columns: Vec<String> = names.iter().map(|name| format!("{name} float8")).collect();
    let values: Vec<String> = names.iter().map(|_| "random()".to_owned()).collect();
    // A prime steps through all ids in no order.
    let script = format!(
        "CREATE TABLE t (unique_id int, diagnosis int, {});
         INSERT INTO t SELECT i * 7919::bigint % {rows}, i % 40, {}
             FROM generate_series(1, {rows}) AS i;
         GRANT SELECT ON t TO {NAME};
         VACUUM ANALYZE t",
        columns.join(", "),
        values.join(", ")
    );
    for statement in script.split(';') {
        execute(url, statement).await?;
    }
    Ok(())
}

async fn measure(url: &str, rows: usize, attributes: Vec<String>) -> Result<()> {
    let source = Source::parse("env:URL", Path::new(""), &|_| Some(url.to_owned()))?;
    let array = rows * attributes.len() * 8;
    let needed = Needed {
        unique_id: "unique_id".into(),
        attributes,
        label: Some("diagnosis".into()),
    };
    let label = Label {
        column: "diagnosis".into(),
        value: "38".into(),
    };
    let all = parse("select * from t")?;
    let cohort = Cohort {
        pos: all.clone(),
        neg: all,
    };
    // From here on the peak is that of the reading.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = resident("VmRSS")?;
    let began = Instant::now();
    let (table, _) = source.training_table(&cohort, &needed, &label).await?;
    let took = began.elapsed().as_secs_f64();
    let growth = resident("VmHWM")?.saturating_sub(before);
    assert_eq!(table.ids.len(), rows, "every row is there");
    writeln!(
        io::stdout(),
        "{rows} rows x {} in {took:.2} s: {:.0} rows/s; peak memory grew by {:.1} MB, {:.3} of the \
         array's {:.1} MB",
        needed.attributes.len(),
        rows as f64 / took,
        growth as f64 / 1e6,
        growth as f64 / array as f64,
        array as f64 / 1e6,
    )?;
    Ok(())
}

/// Bytes that a line of /proc/self/status tells.
fn resident(line: &str) -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let found = found.ok_or("Linux tells the memory of a process")?;
    let kibibytes: String = found.chars().filter(char::is_ascii_digit).collect();
    Ok(kibibytes.parse::<usize>()? * 1024)
}
