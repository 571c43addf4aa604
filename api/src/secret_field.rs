//! A secret in a body: taken out of its bytes before they are read as JSON, so that no JSON value,
//! message, log line or hash ever has it, and its digits are what the caller wrote.

use std::ops::Range;

use zeroize::Zeroizing;

/// Takes the value of the outermost object's field `name` out of `bytes`, as JSON text; `0` stays in
/// its place. `None` when there is no such field, or the bytes are no JSON object, which reading
/// them tells.
pub(crate) fn take(bytes: &mut [u8], name: &str) -> Option<Zeroizing<String>> {
    let range = find(bytes, name.as_bytes())?;
    let value = std::str::from_utf8(&bytes[range.clone()]).ok()?;
    let value = Zeroizing::new(value.to_owned());
    bytes[range.clone()].fill(b' ');
    bytes[range.start] = b'0';
    Some(value)
}

fn find(bytes: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut scan = Scan { bytes, at: 0 };
    scan.expect(b'{')?;
    loop {
        let field = scan.string()?;
        scan.expect(b':')?;
        let value = scan.value()?;
        if &bytes[field] == name {
            return Some(value);
        }
        scan.expect(b',')?;
    }
}

/// Goes over JSON without building anything of it.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| !b" \t\r\n".contains(byte))?;
        Some(self.bytes[self.at])
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    /// What stands between the quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at - 1)
    }

    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'[' | b'{' => self.nested()?,
            b',' | b'}' | b']' => return None,
            _ => {
                let rest = &self.bytes[start..];
                let ends = |byte: &u8| b",}] \t\r\n".contains(byte);
                self.at += rest.iter().position(ends)?;
            }
        }
        Some(start..self.at)
    }

    /// To the end of the array or object that begins here.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (Option<String>, String) {
        let mut bytes = text.as_bytes().to_vec();
        let value = take(&mut bytes, "input").map(|value| value.to_string());
        (value, String::from_utf8(bytes).expect("UTF-8"))
    }

    #[test]
    fn a_value_is_taken_as_it_is_written_and_leaves_a_zero() {
        for (text, value) in [
            (r#"{"input":"[[1,2]]","jobID":"7"}"#, r#""[[1,2]]""#),
            (
                r#"{ "a" : {"input":1}, "input" : "x\"y\\" }"#,
                r#""x\"y\\""#,
            ),
            (
                r#"{"jobID":"}","input": [[1.10 , "]"],[{}]] }"#,
                r#"[[1.10 , "]"],[{}]]"#,
            ),
            (
                r#"{"input":239483279483298918390}"#,
                "239483279483298918390",
            ),
            (r#"{"input":-1e3 ,"b":null}"#, "-1e3"),
            (r#"{"诊":"诊","input":true}"#, "true"),
        ] {
            let (found, left) = taken(text);
            assert_eq!(found.as_deref(), Some(value), "{text}");
            let rest = text.replacen(value, "0", 1);
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&left), squeezed(&rest));
            assert_eq!(left.len(), text.len());
        }
    }

    #[test]
    fn what_has_no_such_field_stays_as_it_is() {
        for text in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"input"}"#,
            r#"{"input":}"#,
            r#"{"input":"#,
            r#"{"input":1"#,
            r#"{"input":"1\"#,
            r#"{"input":[[1]"#,
            r#"{"a":{"input":1}}"#,
            r#"{"a":"\"input\":1"}"#,
            r#"{"in\u0070ut":1}"#,
            r#"["input",1]"#,
            r#"{"a":]}"#,
        ] {
            assert_eq!(taken(text), (None, text.to_owned()));
        }
    }
}
