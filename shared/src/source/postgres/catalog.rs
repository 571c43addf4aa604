//! What a database says about its relations, and how their cells are read.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::query::{self, Relation, Resolved};
use crate::source::Error;
use crate::table::Cell;

/// A table or view that the role may read.
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    oid: u32,
}

/// A column that the role may read.
pub(super) struct Column {
    name: String,
    pub(super) kind: Kind,
}

/// What a column holds, as far as reading it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of 2, 4 or 8 bytes.
    Integer,
    /// Reads as 1 and 0, as in SQLite.
    Boolean,
    /// Of 8 bytes.
    Float,
    /// Decimal, of any length.
    Numeric,
    /// Text, and what reads like it: dates, enumerations, and floats of 4 bytes, whose decimal is
    /// what the hospital wrote while their value is next to it.
    Text,
    /// Neither number nor text.
    Other,
}

/// Tables, partitioned tables, views and materialised views. What lies outside of the database
/// (foreign tables) is not reached through it.
const RELATIONS: &str = "
    SELECT space.nspname::pg_catalog.text, class.relname::pg_catalog.text, class.oid
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'p', 'v', 'm')
        AND space.nspname <> 'information_schema' AND space.nspname NOT LIKE 'pg\\_%'
        AND pg_catalog.has_schema_privilege(space.oid, 'USAGE')
        AND pg_catalog.has_any_column_privilege(class.oid, 'SELECT')
    ORDER BY 1, 2";

/// A domain is read as the type below it.
const COLUMNS: &str = "
    SELECT attribute.attname::pg_catalog.text, base.oid, base.typtype = 'e'
    FROM pg_catalog.pg_attribute AS attribute
    JOIN pg_catalog.pg_type AS own ON own.oid = attribute.atttypid
    JOIN pg_catalog.pg_type AS base
        ON base.oid = CASE own.typtype WHEN 'd' THEN own.typbasetype ELSE own.oid END
    WHERE attribute.attrelid = $1 AND attribute.attnum > 0 AND NOT attribute.attisdropped
        AND pg_catalog.has_column_privilege(attribute.attrelid, attribute.attnum, 'SELECT')
    ORDER BY attribute.attnum";

/// The schema of relations that are named without one.
const SCHEMA_DEFAULT: &str = "public";

/// Everything that the role may read.
pub(super) async fn relations(client: &Client) -> Result<Vec<Table>, tokio_postgres::Error> {
    let rows = client.query_typed(RELATIONS, &[]).await?;
    let table = |row: &Row| {
        Ok(Table {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            oid: row.try_get(2)?,
        })
    };
    rows.iter().map(table).collect()
}

pub(super) async fn columns(
    client: &Client,
    table: &Table,
) -> Result<Vec<Column>, tokio_postgres::Error> {
    let rows = client
        .query_typed(COLUMNS, &[(&table.oid, Type::OID)])
        .await?;
    let column = |row: &Row| {
        let kind = match row.try_get(2)? {
            true => Kind::Text,
            false => kind(row.try_get(1)?),
        };
        let name = row.try_get(0)?;
        Ok(Column { name, kind })
    };
    rows.iter().map(column).collect()
}

/// Finds the relation that is meant. Without a schema it is the one in `public`, else the only one.
pub(super) fn resolve(mut tables: Vec<Table>, wanted: &Relation) -> Result<Table, Error> {
    let unknown = || Error::RelationUnknown {
        relation: wanted.to_string(),
    };
    let ambiguous = || Error::RelationAmbiguous {
        relation: wanted.to_string(),
    };
    let mut schemas: Vec<String> = tables.iter().map(|table| table.schema.clone()).collect();
    schemas.dedup();
    let schema = match &wanted.schema {
        Some(schema) => match query::resolve(&schemas, schema) {
            Resolved::At(index) => Some(schemas[index].as_str()),
            Resolved::Unknown => return Err(unknown()),
            Resolved::Ambiguous => return Err(ambiguous()),
        },
        None => {
            let default = tables.iter().filter(|table| table.schema == SCHEMA_DEFAULT);
            let names: Vec<&str> = default.map(|table| table.name.as_str()).collect();
            let is_there = query::resolve(&names, &wanted.name) != Resolved::Unknown;
            is_there.then_some(SCHEMA_DEFAULT)
        }
    };
    if let Some(schema) = schema {
        tables.retain(|table| table.schema == schema);
    }
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    match query::resolve(&names, &wanted.name) {
        Resolved::At(index) => {
            let name = names[index];
            match names.iter().filter(|other| **other == name).count() {
                1 => Ok(tables.swap_remove(index)),
                _ => Err(ambiguous()),
            }
        }
        Resolved::Unknown => Err(unknown()),
        Resolved::Ambiguous => Err(ambiguous()),
    }
}

fn kind(oid: u32) -> Kind {
    match Type::from_oid(oid) {
        Some(Type::INT2 | Type::INT4 | Type::INT8) => Kind::Integer,
        Some(Type::BOOL) => Kind::Boolean,
        Some(Type::FLOAT8) => Kind::Float,
        Some(Type::NUMERIC) => Kind::Numeric,
        Some(
            Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::FLOAT4
            | Type::DATE
            | Type::TIME
            | Type::TIMETZ
            | Type::TIMESTAMP
            | Type::TIMESTAMPTZ
            | Type::INTERVAL
            | Type::UUID,
        ) => Kind::Text,
        _ => Kind::Other,
    }
}

impl AsRef<str> for Column {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl Column {
    /// The column in a list of what is selected, as one of the types that [`Column::cell`] reads.
    pub(super) fn sql(&self) -> String {
        let name = quoted(&self.name);
        match self.kind {
            Kind::Integer => format!("{name}::pg_catalog.int8"),
            Kind::Boolean => format!("{name}::pg_catalog.int4::pg_catalog.int8"),
            Kind::Float => format!("{name}::pg_catalog.float8"),
            Kind::Numeric | Kind::Text => format!("{name}::pg_catalog.text"),
            // Unlike IS NOT NULL it calls no composite value with a NULL inside one.
            Kind::Other => format!("NULLIF({name} IS DISTINCT FROM NULL, false)"),
        }
    }

    /// The column's cell of a row in which it is at `place`.
    pub(super) fn cell<'r>(&self, row: &'r Row, place: usize) -> Cell<'r> {
        match self.kind {
            Kind::Integer | Kind::Boolean => row
                .try_get::<_, Option<i64>>(place)
                .map_or(Cell::Bytes, |cell| {
                    cell.map_or(Cell::Missing, Cell::Integer)
                }),
            Kind::Float => row
                .try_get::<_, Option<f64>>(place)
                .map_or(Cell::Bytes, |cell| cell.map_or(Cell::Missing, Cell::Real)),
            Kind::Numeric | Kind::Text => row
                .try_get::<_, Option<&str>>(place)
                .map_or(Cell::Bytes, |cell| cell.map_or(Cell::Missing, Cell::Text)),
            Kind::Other => match row.try_get::<_, Option<bool>>(place) {
                Ok(None) => Cell::Missing,
                _ => Cell::Bytes,
            },
        }
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
