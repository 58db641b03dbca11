//! JSON values as Python text: what `str()` and `repr()` of the same value would give.
//!
//! Ceilometer stores every trait as `str(value)`, and managers evaluate lists and maps out of that text: Tacker as
//! Python, OPNFV Doctor as YAML. So `true` or `null` instead of `True` or `None` would break them.

use serde_json::{Number, Value};

/// Longest text in characters that reaches a manager whole: Ceilometer cuts text traits there without a word.
pub const MAX_TEXT: usize = 255;

/// What `str(value)` gives: a string as it is, everything else as [`repr`].
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// What `repr(value)` gives.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (i, (key, item)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_string(out, key);
                out.push_str(": ");
                write_value(out, item);
            }
            out.push('}');
        }
    }
}

/// Python prefers single quotes, and takes double ones only where they save an escape.
fn write_string(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            '\'' | '"' => out.push(c),
            c if is_printable(c) => out.push(c),
            c => write_escape(out, c),
        }
    }
    out.push(quote);
}

/// The standard library's own idea of printable. It also escapes combining marks, which Python shows as they are;
/// the text that a reader gets out of it is the same.
fn is_printable(c: char) -> bool {
    c == ' ' || (c.escape_debug().len() == 1 && !c.is_whitespace())
}

fn write_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    out.push_str(&match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    });
}

fn write_number(out: &mut String, number: &Number) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_float(out, float),
        Some(_) | None => out.push_str(&number.to_string()),
    }
}

/// The shortest digits that read back the same, with an exponent below 1e-4 and from 1e16 on.
fn write_float(out: &mut String, float: f64) {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = float.to_string();
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The right-hand sides were printed by Python 3.
    #[test]
    fn values_read_as_python_prints_them() {
        let check = |value: Value, expected: &str| assert_eq!(repr(&value), expected, "{value}");
        check(json!(null), "None");
        check(json!([true, false]), "[True, False]");
        check(json!(["MIGRATE", "LIVE_MIGRATE", "OWN_ACTION"]), "['MIGRATE', 'LIVE_MIGRATE', 'OWN_ACTION']");
        check(json!({"openstack_version": "Train"}), "{'openstack_version': 'Train'}");
        check(json!({"a": {"b": [1, -2, 3.5]}, "c": null}), "{'a': {'b': [1, -2, 3.5]}, 'c': None}");
        check(json!([]), "[]");
        check(json!({}), "{}");
        check(json!(18_446_744_073_709_551_615_u64), "18446744073709551615");
        check(json!("it's"), r#""it's""#);
        check(json!("say \"it's\""), r#"'say "it\'s"'"#);
        check(json!("\"quoted\""), r#"'"quoted"'"#);
        check(json!("back\\slash\nline\ttab\r"), r"'back\\slash\nline\ttab\r'");
        check(json!("\u{7f}\u{a0}\u{200b}\u{10ffff}\u{0}"), r"'\x7f\xa0\u200b\U0010ffff\x00'");
        check(json!("naïve 日本"), "'naïve 日本'");
    }

    #[test]
    fn floats_read_as_python_prints_them() {
        let check = |value: f64, expected: &str| assert_eq!(repr(&json!(value)), expected);
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(0.1, "0.1");
        check(1e15, "1000000000000000.0");
        check(1e16, "1e+16");
        check(1.5e300, "1.5e+300");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1.25e-7, "1.25e-07");
    }

    #[test]
    fn a_string_is_its_own_text() {
        assert_eq!(text(&json!("it's")), "it's");
        assert_eq!(text(&json!(["x"])), "['x']");
    }
}
