//! Python literals as JSON values: how managers read lists and maps out of an event's text.

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read: metadata is one level deep, and 255 characters hold no more than this.
const MAX_DEPTH: usize = 64;

/// The value of a Python literal: `None`, truth values, numbers, texts, lists and maps with texts as keys. `None`
/// if the text is something else.
pub fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(0)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Takes `token` if it comes next, and the blanks behind it.
    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?.trim_start();
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.chars().next()? {
            '[' => self.list(depth),
            '{' => self.map(depth),
            quote @ ('\'' | '"') => self.string(quote).map(Value::String),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.take("[")?;
        let mut items = Vec::new();
        while self.take("]").is_none() {
            items.push(self.value(depth + 1)?);
            if !self.rest.starts_with(']') {
                self.take(",")?;
            }
        }
        Some(Value::Array(items))
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        self.take("{")?;
        let mut entries = Map::new();
        while self.take("}").is_none() {
            let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let key = self.string(quote)?;
            self.take(":")?;
            entries.insert(key, self.value(depth + 1)?);
            if !self.rest.starts_with('}') {
                self.take(",")?;
            }
        }
        Some(Value::Object(entries))
    }

    fn word(&mut self) -> Option<Value> {
        let ends = |c: char| matches!(c, ',' | ']' | '}' | ':') || c.is_whitespace();
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        match word {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            number => {
                let whole = number.parse::<i64>().map(Number::from);
                let whole = whole.or_else(|_| number.parse::<u64>().map(Number::from));
                let number = whole.ok().or_else(|| Number::from_f64(number.parse().ok()?))?;
                Some(Value::Number(number))
            }
        }
    }

    fn string(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        chars.next()?;
        loop {
            match chars.next()? {
                '\\' => text.push(escaped(&mut chars)?),
                c if c == quote => break,
                c => text.push(c),
            }
        }
        self.rest = chars.as_str().trim_start();
        Some(text)
    }
}

/// What stands behind a backslash.
fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        'x' => hex(chars, 2),
        'u' => hex(chars, 4),
        'U' => hex(chars, 8),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        other => Some(other),
    }
}

fn hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let text: String = chars.by_ref().take(digits).collect();
    let are_digits = text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(&text, 16).ok().filter(|_| are_digits)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::wire::python::repr;

    #[test]
    fn literals_are_read() {
        let check = |text: &str, value: Value| assert_eq!(parse(text), Some(value), "{text}");
        check("['MIGRATE', 'LIVE_MIGRATE']", json!(["MIGRATE", "LIVE_MIGRATE"]));
        check("{'a': True, 'b': [None, 1.5, -2], }", json!({"a": true, "b": [null, 1.5, -2]}));
        check("[18446744073709551615, -9223372036854775808]", json!([u64::MAX, i64::MIN]));
        check(r#""it's""#, json!("it's"));
        check("[]", json!([]));
        check(" {} ", json!({}));
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "",
            "[",
            "['a'",
            "{'a'}",
            "{a: 1}",
            "[1 2]",
            "__import__('os')",
            "'a",
            "[true]",
            "'\\x'",
            "'\\x+f'",
            "'\\x4",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(10_000)), None);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_fenix_writes_managers_read_back(value in values()) {
            prop_assert_eq!(parse(&repr(&value)), Some(value));
        }
    }
}
