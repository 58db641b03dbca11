//! Texts with names in them that stand for something: `{{host}}`.

/// The text with every `{{name}}` replaced by what `value` says of that name.
///
/// # Errors
/// As `value` says; and a `{{` without its `}}`, which is handed to `wrong` in words.
pub fn fill<E>(
    text: &str,
    mut value: impl FnMut(&str) -> Result<String, E>,
    wrong: impl FnOnce(String) -> E,
) -> Result<String, E> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            return Err(wrong(format!("{text:?} has a {{{{ without its }}}}")));
        };
        out.push_str(before);
        out.push_str(&value(name)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn names_are_replaced() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let value = |name: &str| match name {
                "a" => Ok("1".to_owned()),
                "b" => Ok("{{a}}".to_owned()),
                name => Err(format!("no {name}")),
            };
            let filled = fill(text, value, |why| why);
            assert_eq!(filled.as_deref(), expected.map_err(str::to_owned).as_ref().copied(), "{text}");
        };
        check("", Ok(""));
        check("x{{a}}y{{a}}", Ok("x1y1"));
        check("{{b}}", Ok("{{a}}"));
        check("{a}}", Ok("{a}}"));
        check("{{c}}", Err("no c"));
        check("x{{a", Err("\"x{{a\" has a {{ without its }}"));
    }
}
