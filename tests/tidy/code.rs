//! Rust text without comments, strings and tests, byte for byte where it was.

use std::ops::Range;

/// A file's text with everything blanked that is no code.
#[derive(Clone)]
pub(super) struct Code {
    text: String,
    /// Lines that belong to tests.
    test_lines: usize,
}

const CFG_TEST: &str = "#[cfg(test)]";

impl Code {
    /// Blanks comments and the insides of strings and characters.
    pub(super) fn read(text: &str) -> Code {
        let mut bytes = text.as_bytes().to_vec();
        let mut at = 0;
        while at < bytes.len() {
            let end = token_end(text.as_bytes(), at);
            if let Some(end) = end {
                for byte in &mut bytes[at..end] {
                    if *byte != b'\n' {
                        *byte = b' ';
                    }
                }
            }
            at = end.unwrap_or(at + 1);
        }
        Code {
            text: String::from_utf8(bytes).expect("whole tokens were blanked"),
            test_lines: 0,
        }
    }

    /// The same with every item blanked that is compiled for tests alone.
    pub(super) fn without_tests(&self) -> Code {
        let mut text = self.text.clone();
        let mut test_lines = 0;
        while let Some(start) = text.find(CFG_TEST) {
            let end = item_end(text.as_bytes(), start + CFG_TEST.len());
            let item = &text[start..end];
            test_lines += item.matches('\n').count() + 1;
            let blank: String = item
                .chars()
                .map(|letter| if letter == '\n' { '\n' } else { ' ' })
                .collect();
            text.replace_range(start..end, &blank);
        }
        Code { text, test_lines }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Lines that are not tests'.
    pub(super) fn lines(&self) -> usize {
        self.text.lines().count() - self.test_lines
    }

    /// Where a word stands by itself.
    pub(super) fn words(&self, word: &str) -> Vec<Range<usize>> {
        words(&self.text, word)
    }

    /// The modules that this file declares, in order.
    pub(super) fn modules(&self) -> Vec<String> {
        let declared = |range: Range<usize>| {
            let (name, rest) = name(&self.text[range.end..])?;
            rest.trim_start().starts_with(';').then(|| name.to_owned())
        };
        self.words("mod").into_iter().filter_map(declared).collect()
    }
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Where a word stands by itself, not inside a longer name.
pub(super) fn words(text: &str, word: &str) -> Vec<Range<usize>> {
    let alone = |(start, _): (usize, &str)| {
        let range = start..start + word.len();
        let before = text[..start].chars().next_back();
        let after = text[range.end..].chars().next();
        let free = |letter: Option<char>| !letter.is_some_and(is_name);
        (free(before) && free(after)).then_some(range)
    };
    text.match_indices(word).filter_map(alone).collect()
}

/// The name that a text starts with, after white space, and what follows it.
pub(super) fn name(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(|letter| !is_name(letter)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Where a comment, string or character that starts here ends; `None` when none does.
fn token_end(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let line = || rest.iter().position(|byte| *byte == b'\n');
    match rest {
        [b'/', b'/', ..] => Some(at + line().unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + block_comment(rest)),
        [b'"', ..] => Some(at + quoted(rest)),
        [b'r', b'"' | b'#', ..] if at == 0 || !is_name(char::from(text[at - 1])) => {
            raw(rest).map(|length| at + length)
        }
        [b'\'', b'\\', _, tail @ ..] => {
            let end = tail.iter().position(|byte| *byte == b'\'')?;
            Some(at + 3 + end + 1)
        }
        [b'\'', ..] => {
            let letter = std::str::from_utf8(&rest[1..]).ok()?.chars().next()?;
            let end = 1 + letter.len_utf8();
            (rest.get(end) == Some(&b'\'')).then_some(at + end + 1)
        }
        _ => None,
    }
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The length of a raw string; `None` for a raw name such as `r#type`.
fn raw(text: &[u8]) -> Option<usize> {
    let hashes = text[1..].iter().take_while(|byte| **byte == b'#').count();
    let start = 1 + hashes;
    if text.get(start) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &text[1..start]].concat();
    let length = text[start + 1..].windows(end.len()).position(|w| w == end);
    length.map(|length| start + 1 + length + end.len())
}

/// Where the item after an attribute ends: at its semicolon, or with its block.
fn item_end(text: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0_i32, from);
    while at < text.len() {
        match text[at] {
            // The next attribute is no part of the item's own brackets.
            b'#' if text.get(at + 1) == Some(&b'[') && depth == 0 => {
                at += text[at..]
                    .iter()
                    .position(|byte| *byte == b']')
                    .unwrap_or_default();
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth -= 1,
            b'}' if depth == 0 => return at,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}
