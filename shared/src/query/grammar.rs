//! Tokens to a query: a dozen productions, and for everything else the rule that it breaks.
//!
//! ```text
//! statement = [SELECT * FROM] select [;]
//! select    = SELECT (* | name {, name}) FROM [name .] name [WHERE any]
//! any       = all {OR all}
//! all       = one {AND one}
//! one       = NOT one | ( any ) | name test
//! test      = sign literal | [NOT] IN ( literal {, literal} ) | [NOT] LIKE text
//!           | [NOT] BETWEEN literal AND literal | IS [NOT] NULL
//! ```

use winnow::Parser;
use winnow::combinator::{opt, peek, separated};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::{Stream, TokenSlice};
use winnow::token::any;

use super::lexer::{Failure, Kind, Refusal, Token, tokens};
use super::{
    Comparison, Literal, Predicate, Query, Relation, Rule, SqlError, check_name, is_plain,
};
use crate::limits;

/// Reads one `SELECT` statement.
///
/// The doubled prefix of a well-known client, `SELECT * FROM select ...`, is unwrapped; nothing
/// else is guessed.
///
/// # Errors
/// The first rule that the text breaks, and where.
pub fn parse(sql: &str) -> Result<Query, SqlError> {
    if sql.len() > limits::SQL_BYTES_MAX {
        return Err(SqlError {
            position: 1,
            rule: Rule::TooLong,
        });
    }
    read(sql).map_err(|failure| {
        let Refusal { left, rule } = failure.into_inner().unwrap_or(Refusal {
            left: 0,
            rule: Rule::End,
        });
        let before = &sql[..sql.len() - left];
        SqlError {
            position: before.chars().count() + 1,
            rule,
        }
    })
}

type Tokens<'a, 't> = TokenSlice<'a, Token<'t>>;

impl ParserError<Tokens<'_, '_>> for Refusal {
    type Inner = Self;

    fn from_input(input: &Tokens<'_, '_>) -> Self {
        Refusal {
            left: left(input),
            rule: Rule::End,
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

fn read(mut sql: &str) -> Result<Query, Failure> {
    let tokens = tokens(&mut sql)?;
    let mut input = TokenSlice::new(&tokens);
    let prefix = (
        word("select"),
        sign("*"),
        word("from"),
        peek(word("select")),
    );
    opt(prefix).parse_next(&mut input)?;
    let query = select(&mut input)?;
    if opt(sign(";")).parse_next(&mut input)?.is_some() && !ends(&input) {
        return refuse(&input, Rule::SecondStatement);
    }
    match ends(&input) {
        true => Ok(query),
        false => refuse(&input, instead(&input, Rule::End)),
    }
}

fn select(input: &mut Tokens<'_, '_>) -> Result<Query, Failure> {
    if opt(word("select")).parse_next(input)?.is_none() {
        let rule = match kind(input) {
            Kind::Word(word) if word.eq_ignore_ascii_case("with") => Rule::With,
            _ => Rule::NotSelect,
        };
        return refuse(input, rule);
    }
    let columns = columns(input)?;
    if opt(word("from")).parse_next(input)?.is_none() {
        let rule = match kind(input) {
            Kind::End | Kind::Sign(";") => Rule::From,
            _ => instead(input, Rule::Columns),
        };
        return refuse(input, rule);
    }
    let relation = relation(input)?;
    let start = left(input);
    let filter = match opt(word("where")).parse_next(input)? {
        Some(_) => Some(any_of(input, 0)?),
        None => None,
    };
    let query = Query {
        relation,
        columns,
        filter,
    };
    match query.check() {
        Ok(()) => Ok(query),
        Err(rule) => refuse_at(start, rule),
    }
}

fn columns(input: &mut Tokens<'_, '_>) -> Result<Option<Vec<String>>, Failure> {
    if opt(sign("*")).parse_next(input)?.is_some() {
        return Ok(None);
    }
    let column = |input: &mut Tokens<'_, '_>| name(input, Rule::Columns);
    let columns = separated(1.., column, sign(",")).parse_next(input)?;
    Ok(Some(columns))
}

fn relation(input: &mut Tokens<'_, '_>) -> Result<Relation, Failure> {
    let plain = |input: &mut Tokens<'_, '_>| {
        let start = left(input);
        let name = name(input, Rule::From)?;
        match is_plain(&name) {
            true => Ok(name),
            false => refuse_at(start, Rule::RelationName),
        }
    };
    let first = plain(input)?;
    let relation = match opt(sign(".")).parse_next(input)? {
        Some(_) => Relation {
            schema: Some(first),
            name: plain(input)?,
        },
        None => Relation {
            schema: None,
            name: first,
        },
    };
    match kind(input) {
        Kind::Sign(".") => refuse(input, Rule::From),
        Kind::Sign(",") => refuse(input, Rule::Join),
        _ => Ok(relation),
    }
}

fn any_of(input: &mut Tokens<'_, '_>, depth: usize) -> Result<Predicate, Failure> {
    let part = |input: &mut Tokens<'_, '_>| all_of(input, depth);
    let parts = separated(1.., part, word("or")).parse_next(input)?;
    Ok(joined(parts, Predicate::Or))
}

fn all_of(input: &mut Tokens<'_, '_>, depth: usize) -> Result<Predicate, Failure> {
    let part = |input: &mut Tokens<'_, '_>| one(input, depth);
    let parts = separated(1.., part, word("and")).parse_next(input)?;
    Ok(joined(parts, Predicate::And))
}

fn joined(mut parts: Vec<Predicate>, join: fn(Vec<Predicate>) -> Predicate) -> Predicate {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn one(input: &mut Tokens<'_, '_>, depth: usize) -> Result<Predicate, Failure> {
    if depth > limits::CONDITION_DEPTH_MAX {
        return refuse(input, Rule::Depth);
    }
    if opt(word("not")).parse_next(input)?.is_some() {
        return Ok(Predicate::Not(Box::new(one(input, depth + 1)?)));
    }
    if matches!(kind(input), Kind::Sign("(")) && !opens_subquery(input) {
        any.void().parse_next(input)?;
        let inner = any_of(input, depth + 1)?;
        return match opt(sign(")")).parse_next(input)? {
            Some(_) => Ok(inner),
            None => refuse(input, instead(input, Rule::Parenthesis)),
        };
    }
    let column = name(input, Rule::Condition)?;
    test(input, column)
}

fn test(input: &mut Tokens<'_, '_>, column: String) -> Result<Predicate, Failure> {
    if let Some(operator) = opt(any.verify_map(comparison)).parse_next(input)? {
        let literal = literal(input)?;
        return Ok(Predicate::Compare {
            column,
            operator,
            literal,
        });
    }
    if opt(word("is")).parse_next(input)?.is_some() {
        let negated = opt(word("not")).parse_next(input)?.is_some();
        if opt(word("null")).parse_next(input)?.is_none() {
            return refuse(input, Rule::Comparison);
        }
        return Ok(negate(negated, Predicate::IsNull { column }));
    }
    let negated = opt(word("not")).parse_next(input)?.is_some();
    let start = left(input);
    let test = if opt(word("in")).parse_next(input)?.is_some() {
        Predicate::In {
            column,
            literals: list(input)?,
        }
    } else if opt(word("between")).parse_next(input)?.is_some() {
        let low = literal(input)?;
        if opt(word("and")).parse_next(input)?.is_none() {
            return refuse(input, instead(input, Rule::Comparison));
        }
        let high = literal(input)?;
        Predicate::Between { column, low, high }
    } else if opt(word("like")).parse_next(input)?.is_some() {
        match literal(input)? {
            Literal::Text(pattern) => Predicate::Like { column, pattern },
            Literal::Number(_) | Literal::Boolean(_) => return refuse_at(start, Rule::Pattern),
        }
    } else {
        return refuse(input, instead(input, Rule::Comparison));
    };
    Ok(negate(negated, test))
}

fn negate(negated: bool, test: Predicate) -> Predicate {
    if negated {
        Predicate::Not(Box::new(test))
    } else {
        test
    }
}

fn comparison(token: &Token<'_>) -> Option<Comparison> {
    let Kind::Sign(sign) = token.kind else {
        return None;
    };
    Some(match sign {
        "=" => Comparison::Equal,
        "<>" | "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn list(input: &mut Tokens<'_, '_>) -> Result<Vec<Literal>, Failure> {
    if opens_subquery(input) {
        return refuse(input, Rule::Subquery);
    }
    if opt(sign("(")).parse_next(input)?.is_none() {
        return refuse(input, Rule::InList);
    }
    if matches!(kind(input), Kind::Sign(")")) {
        return refuse(input, Rule::InList);
    }
    let literals = separated(1.., literal, sign(",")).parse_next(input)?;
    match opt(sign(")")).parse_next(input)? {
        Some(_) => Ok(literals),
        None => refuse(input, instead(input, Rule::Parenthesis)),
    }
}

fn literal(input: &mut Tokens<'_, '_>) -> Result<Literal, Failure> {
    let literal = match kind(input) {
        Kind::Number(number) => Literal::Number((*number).to_owned()),
        Kind::Text(text) => Literal::Text(text.clone()),
        Kind::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Boolean(true),
        Kind::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Boolean(false),
        Kind::Word(word) if word.eq_ignore_ascii_case("null") => {
            return refuse(input, Rule::Null);
        }
        Kind::Word(word) => {
            let rule = reserved(word).unwrap_or(match input.get(1).map(|next| &next.kind) {
                Some(Kind::Sign("(")) => Rule::Function,
                Some(Kind::Text(_)) => Rule::Cast,
                _ => Rule::Literal,
            });
            return refuse(input, rule);
        }
        Kind::Sign("(") if opens_subquery(input) => return refuse(input, Rule::Subquery),
        Kind::Quoted(_) | Kind::Sign(_) | Kind::End => return refuse(input, Rule::Literal),
    };
    any.void().parse_next(input)?;
    Ok(literal)
}

/// A name of a column, schema or table; `expected` is the rule when there is no name at all.
fn name(input: &mut Tokens<'_, '_>, expected: Rule) -> Result<String, Failure> {
    let name = match kind(input) {
        Kind::Word(word) => match reserved(word) {
            Some(rule) => return refuse(input, rule),
            None => (*word).to_owned(),
        },
        Kind::Quoted(name) => (*name).to_owned(),
        Kind::Sign("(") if opens_subquery(input) => return refuse(input, Rule::Subquery),
        Kind::Text(_) | Kind::Number(_) | Kind::Sign(_) | Kind::End => {
            return refuse(input, expected);
        }
    };
    if let Err(rule) = check_name(&name) {
        return refuse(input, rule);
    }
    any.void().parse_next(input)?;
    match (kind(input), expected) {
        (Kind::Sign("("), _) => refuse(input, Rule::Function),
        (Kind::Sign("."), Rule::Columns | Rule::Condition) => refuse(input, Rule::Qualified),
        _ => Ok(name),
    }
}

/// The rule that a token breaks by standing where it stands.
fn instead(input: &Tokens<'_, '_>, otherwise: Rule) -> Rule {
    match kind(input) {
        Kind::Word(word) => reserved(word).unwrap_or(match otherwise {
            Rule::Comparison => otherwise,
            _ => Rule::Alias,
        }),
        Kind::Quoted(_) => match otherwise {
            Rule::Comparison => otherwise,
            _ => Rule::Alias,
        },
        Kind::Number(number) if number.starts_with(['+', '-']) => Rule::Operator,
        Kind::Sign("*" | "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") => Rule::Operator,
        Kind::Text(_) | Kind::Number(_) | Kind::Sign(_) | Kind::End => otherwise,
    }
}

/// The rule against a word that is no name unless it is quoted; `None` for every other word.
fn reserved(word: &str) -> Option<Rule> {
    Some(match word.to_ascii_lowercase().as_str() {
        "select" | "exists" | "any" | "some" | "values" | "table" => Rule::Subquery,
        "with" | "recursive" => Rule::With,
        "union" | "intersect" | "except" | "minus" => Rule::SetOperation,
        "join" | "inner" | "left" | "right" | "full" | "outer" | "cross" | "natural"
        | "lateral" | "using" | "on" => Rule::Join,
        "as" => Rule::Alias,
        "distinct" | "all" | "only" => Rule::Distinct,
        "order" | "limit" | "offset" | "fetch" | "for" | "tablesample" => Rule::Slice,
        "group" | "having" | "window" | "over" => Rule::Grouping,
        "cast" | "collate" => Rule::Cast,
        "case" | "when" | "then" | "else" | "end" | "array" | "row" | "current_user"
        | "session_user" | "user" | "current_role" | "current_date" | "current_time"
        | "current_timestamp" | "localtime" | "localtimestamp" | "current_schema"
        | "current_catalog" => Rule::Function,
        "ilike" | "similar" | "rlike" | "regexp" | "glob" | "isnull" | "notnull" | "overlaps"
        | "div" | "mod" | "xor" => Rule::Operator,
        "escape" => Rule::Escape,
        "into" | "insert" | "update" | "delete" | "create" | "drop" | "alter" => Rule::NotSelect,
        "from" | "where" | "and" | "or" | "not" | "in" | "between" | "is" | "like" | "true"
        | "false" => Rule::Reserved,
        "null" => Rule::Null,
        _ => return None,
    })
}

fn kind<'a, 't>(input: &Tokens<'a, 't>) -> &'a Kind<'t> {
    const END: &Kind<'static> = &Kind::End;
    input.peek_token().map_or(END, |token| &token.kind)
}

fn ends(input: &Tokens<'_, '_>) -> bool {
    matches!(kind(input), Kind::End)
}

fn opens_subquery(input: &Tokens<'_, '_>) -> bool {
    matches!(kind(input), Kind::Sign("("))
        && matches!(
            input.get(1).map(|next| &next.kind),
            Some(Kind::Word(word)) if reserved(word) == Some(Rule::Subquery)
        )
}

fn word<'a, 't>(word: &'static str) -> impl Parser<Tokens<'a, 't>, (), Failure>
where
    't: 'a,
{
    any.verify(move |token: &&Token<'t>| match token.kind {
        Kind::Word(found) => found.eq_ignore_ascii_case(word),
        Kind::Quoted(_) | Kind::Text(_) | Kind::Number(_) | Kind::Sign(_) | Kind::End => false,
    })
    .void()
}

fn sign<'a, 't>(sign: &'static str) -> impl Parser<Tokens<'a, 't>, (), Failure>
where
    't: 'a,
{
    any.verify(move |token: &&Token<'t>| token.kind == Kind::Sign(sign))
        .void()
}

fn refuse<T>(input: &Tokens<'_, '_>, rule: Rule) -> Result<T, Failure> {
    refuse_at(left(input), rule)
}

fn refuse_at<T>(left: usize, rule: Rule) -> Result<T, Failure> {
    Err(ErrMode::Cut(Refusal { left, rule }))
}

/// Bytes of the text from the next token on.
fn left(input: &Tokens<'_, '_>) -> usize {
    input.first().map_or(0, |token| token.left)
}
