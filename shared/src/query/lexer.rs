//! Text to tokens. What has no place in any query is refused here.

use winnow::Parser;
use winnow::ascii::{digit0, digit1, multispace0};
use winnow::combinator::{alt, eof, opt, peek, preceded, repeat, repeat_till};
use winnow::error::{ErrMode, ParserError};
use winnow::token::{any, one_of, take_till, take_while};

use super::Rule;

/// One word, name, constant or sign.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    /// Bytes of the text from here to its end.
    pub(super) left: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    /// An unquoted word.
    Word(&'t str),
    /// A name in double quotes.
    Quoted(&'t str),
    /// A string, its doubled quotes halved.
    Text(String),
    /// A number with its sign.
    Number(&'t str),
    /// A sign.
    Sign(&'t str),
    /// The end of the text.
    End,
}

/// Why parsing stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// Bytes of the text from there to its end.
    pub(super) left: usize,
    /// The rule that is broken.
    pub(super) rule: Rule,
}

pub(super) type Failure = ErrMode<Refusal>;

impl ParserError<&str> for Refusal {
    type Inner = Self;

    fn from_input(input: &&str) -> Self {
        Refusal {
            left: input.len(),
            rule: Rule::Character,
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

/// Every token of a text; the last one is [`Kind::End`].
pub(super) fn tokens<'t>(input: &mut &'t str) -> Result<Vec<Token<'t>>, Failure> {
    let (mut tokens, end): (Vec<_>, _) = repeat_till(0.., token, end).parse_next(input)?;
    tokens.push(end);
    Ok(tokens)
}

fn end<'t>(input: &mut &'t str) -> Result<Token<'t>, Failure> {
    let kind = preceded(multispace0, eof).value(Kind::End);
    kind.map(|kind| Token { kind, left: 0 }).parse_next(input)
}

fn token<'t>(input: &mut &'t str) -> Result<Token<'t>, Failure> {
    multispace0.parse_next(input)?;
    let left = input.len();
    let kind = alt((word, quoted, text, number, sign, refused)).parse_next(input)?;
    Ok(Token { kind, left })
}

fn starts_name(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

fn continues_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word<'t>(input: &mut &'t str) -> Result<Kind<'t>, Failure> {
    let word = (one_of(starts_name), take_while(0.., continues_name))
        .take()
        .parse_next(input)?;
    if input.starts_with(['\'', '"']) {
        return refuse(input, Rule::Escape);
    }
    Ok(Kind::Word(word))
}

fn quoted<'t>(input: &mut &'t str) -> Result<Kind<'t>, Failure> {
    let name = preceded(
        '"',
        take_till(0.., |letter: char| letter == '"' || letter.is_control()),
    )
    .parse_next(input)?;
    close(input, '"')?;
    if input.starts_with('"') {
        return refuse(input, Rule::Quote);
    }
    Ok(Kind::Quoted(name))
}

fn text<'t>(input: &mut &'t str) -> Result<Kind<'t>, Failure> {
    let plain = |letter: char| letter != '\'' && letter != '\\' && !letter.is_control();
    let piece = alt((take_while(1.., plain), "''".value("'")));
    let text = preceded('\'', repeat(0.., piece)).parse_next(input)?;
    close(input, '\'')?;
    Ok(Kind::Text(text))
}

fn close(input: &mut &str, quote: char) -> Result<(), Failure> {
    match any::<_, Failure>.parse_next(input) {
        Ok(letter) if letter == quote => Ok(()),
        Ok('\\') => refuse(input, Rule::Escape),
        Ok(_) => refuse(input, Rule::Character),
        Err(_) => refuse(input, Rule::Unterminated),
    }
}

fn number<'t>(input: &mut &'t str) -> Result<Kind<'t>, Failure> {
    let sign = || opt(one_of(['+', '-']));
    let digits = alt(((digit1, opt(('.', digit0))).void(), ('.', digit1).void()));
    let exponent = opt((one_of(['e', 'E']), sign(), digit1));
    let number = (sign(), digits, exponent).take().parse_next(input)?;
    if input.starts_with(|letter: char| continues_name(letter) || letter == '.') {
        return refuse(input, Rule::Number);
    }
    Ok(Kind::Number(number))
}

fn sign<'t>(input: &mut &'t str) -> Result<Kind<'t>, Failure> {
    let double = alt(("<>", "!=", "<=", ">="));
    let single = alt(("=", "<", ">", "(", ")", ",", ".", ";", "*"));
    alt((double, single)).map(Kind::Sign).parse_next(input)
}

/// Names the rule against whatever no token starts with.
fn refused<'t>(input: &mut &'t str) -> Result<Kind<'t>, Failure> {
    let rule = if ["--", "/*", "#"].iter().any(|mark| input.starts_with(mark)) {
        Rule::Comment
    } else if input.starts_with("::") {
        Rule::Cast
    } else {
        match peek(any).parse_next(input)? {
            '$' | '?' | ':' | '@' => Rule::Parameter,
            '+' | '-' | '/' | '%' | '^' | '&' | '|' | '~' | '!' => Rule::Operator,
            '\\' => Rule::Escape,
            '`' | '[' | ']' => Rule::Quote,
            _ => Rule::Character,
        }
    };
    refuse(input, rule)
}

fn refuse<T>(input: &str, rule: Rule) -> Result<T, Failure> {
    Err(ErrMode::Cut(Refusal {
        left: input.len(),
        rule,
    }))
}
